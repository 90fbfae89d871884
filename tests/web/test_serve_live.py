"""New versions: loaded when they lie still, switched whole, and a broken one leaves the old in use."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from kadr.errors import SearchError
from kadr.index import Index, published
from kadr.search import Searcher
from kadr.serve import Live


@pytest.fixture
def publish(index: Index, tmp_path: Path) -> Callable[[], Path]:
    """Publish the index as the pipeline does, and say where."""

    def write() -> Path:
        with published(tmp_path / "index") as folder:
            index.write(folder)
        return tmp_path / "index"

    return write


def test_a_new_version_is_loaded_once_it_lies_still(publish: Callable[[], Path], searcher: Searcher) -> None:
    loads: list[int] = []

    def load() -> Searcher:
        loads.append(len(Index.load(folder).photos))
        return Searcher(searcher.index, searcher.encoders, None, 0)

    folder = publish()
    live = Live(load, [folder])
    first = live.loaded.searcher
    assert [live.check(), live.check()] == [False, False]
    publish()
    assert [live.check(), live.check(), live.check()] == [False, True, False]
    assert live.loaded.searcher is not first
    assert loads == [60, 60]


def test_a_broken_version_is_logged_and_the_old_goes_on(
    publish: Callable[[], Path], searcher: Searcher, caplog: pytest.LogCaptureFixture
) -> None:
    folder = publish()

    def load() -> Searcher:
        Index.load(folder)
        return searcher

    live = Live(load, [folder])
    (folder / "index.json").write_text('{"encoder": ')
    with caplog.at_level(logging.INFO):
        assert [live.check(), live.check(), live.check()] == [False, False, False]
    assert (live.n_failed, live.loaded.searcher) == (1, searcher)
    assert "the new version cannot be loaded, the old one goes on" in caplog.text
    assert "Traceback" not in caplog.text
    publish()
    live.check()
    assert live.check()


def test_a_version_that_vanishes_and_a_bug_while_loading(
    publish: Callable[[], Path], searcher: Searcher, caplog: pytest.LogCaptureFixture
) -> None:
    folder = publish()
    answers: list[Searcher | Exception] = [searcher, SearchError("there is no index"), KeyError("vectors")]

    def load() -> Searcher:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    live = Live(load, [folder, folder.with_name("never.yaml")])
    folder.rename(folder.with_name("gone"))
    checks = [live.check() for _ in range(5)]
    assert not any(checks)
    publish()
    assert not any(live.check() for _ in range(3))
    assert (live.n_failed, live.loaded.searcher) == (2, searcher)
    assert caplog.text.count("Traceback") == 1
