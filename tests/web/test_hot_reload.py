"""Tests of hot reload: a complete new version is loaded, and a damaged new version is ignored."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from kadr.errors import SearchError
from kadr.index import Index, publish_folder
from kadr.search import Searcher
from kadr.serve import HotReload


@pytest.fixture
def publish(index: Index, tmp_path: Path) -> Callable[[], Path]:
    """A function that writes the index atomically, as the pipeline does, and returns the index folder."""

    def write() -> Path:
        with publish_folder(tmp_path / "index") as folder:
            index.write(folder)
        return tmp_path / "index"

    return write


def test_a_new_version_is_loaded_when_its_files_no_longer_change(
    publish: Callable[[], Path], searcher: Searcher
) -> None:
    folder = publish()
    loads: list[int] = []

    def load() -> Searcher:
        loads.append(len(Index.load(folder).table))
        return Searcher(searcher.index, searcher.encoders, None, 0)

    hot_reload = HotReload(load, [folder])
    first = hot_reload.current.searcher
    assert [hot_reload.reload_if_changed() for _ in range(2)] == [False, False]
    publish()
    assert [hot_reload.reload_if_changed() for _ in range(3)] == [False, True, False]
    assert hot_reload.current.searcher is not first
    assert loads == [60, 60]


def test_a_version_that_cannot_be_loaded_is_logged_once(
    publish: Callable[[], Path], searcher: Searcher, caplog: pytest.LogCaptureFixture
) -> None:
    folder = publish()

    def load() -> Searcher:
        Index.load(folder)
        return searcher

    hot_reload = HotReload(load, [folder])
    (folder / "index.json").write_text('{"encoder": ')
    with caplog.at_level(logging.INFO):
        assert not any(hot_reload.reload_if_changed() for _ in range(4))
    assert (hot_reload.n_failed_reloads, hot_reload.up_to_date, hot_reload.current.searcher) == (1, False, searcher)
    assert caplog.text.count("Cannot load the new version") == 1
    assert "Traceback" not in caplog.text
    publish()
    hot_reload.reload_if_changed()
    assert hot_reload.reload_if_changed()
    assert hot_reload.up_to_date


def test_an_unexpected_error_is_logged_with_its_traceback(
    publish: Callable[[], Path], searcher: Searcher, caplog: pytest.LogCaptureFixture
) -> None:
    folder = publish()
    results: list[Searcher | Exception] = [searcher, SearchError("The index is missing."), KeyError("vectors")]

    def load() -> Searcher:
        result = results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    hot_reload = HotReload(load, [folder, folder.with_name("missing.yaml")])
    folder.rename(folder.with_name("moved"))
    assert not any(hot_reload.reload_if_changed() for _ in range(5))
    publish()
    assert not any(hot_reload.reload_if_changed() for _ in range(3))
    assert (hot_reload.n_failed_reloads, hot_reload.current.searcher) == (2, searcher)
    assert caplog.text.count("Traceback") == 1
