"""The champion switched under a server that is being asked: no request fails, and a damaged one is not taken."""

import logging
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest

from kadr.index import Index
from kadr.operations.champion.champion import LOCK, PARTS, TABLES, publish, roll_back
from kadr.project import PROJECT
from kadr.search import Searcher
from kadr.serve import Judging, Limits, Live, Metrics, RatingsFile, Service, create_app

SIZES = (30, 60)  # photos of the first and of the second version
WITHIN_S = 20.0


@pytest.fixture
def champions(
    draw: Callable[[Path, int], Index], project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[Path]:
    """Two versions of models/champion in this folder, as a refresh publishes them; the second is in use."""
    monkeypatch.chdir(tmp_path)
    for path in (*PARTS, *(table.parent for table, _ in TABLES.values())):
        path.mkdir(parents=True, exist_ok=True)
    for path in (LOCK, *(table for table, _ in TABLES.values())):
        path.touch()
    shutil.copy(project / "params.yaml", "params.yaml")
    versions = []
    for n in SIZES:
        draw(tmp_path / "photos", n).write(PROJECT.index)
        versions.append(publish({}, None))
    return versions


@contextmanager
def asked_all_the_time(address: str) -> Iterator[list[Any]]:
    """Searches from four threads during the block; what any got that was no answer with all photos of one version."""
    ended, wrong = Event(), list[Any]()

    def ask() -> int:
        n = 0
        with httpx.Client(base_url=address) as client:
            while not ended.is_set():
                n += 1
                answer = client.post("/search", json={"text": "dog", "k": 100})
                if answer.status_code != 200 or len(answer.json()["matches"]) not in SIZES:
                    wrong.append(answer.text)
        return n

    with ThreadPoolExecutor(4) as threads:
        asking = [threads.submit(ask) for _ in range(4)]
        try:
            yield wrong
        finally:
            ended.set()
    assert all(thread.result() for thread in asking)


def wait_for(address: str, **wanted: object) -> None:
    """Until /health says this."""
    end = time.monotonic() + WITHIN_S
    while (said := httpx.get(f"{address}/health").json()) | wanted != said:
        assert time.monotonic() < end, f"{wanted} does not come; {said}"
        time.sleep(0.05)


@pytest.mark.slow
def test_a_switch_costs_no_request_and_a_damaged_champion_is_not_taken(
    champions: list[Path], searcher_over: Callable[[Index], Searcher], serve: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def load() -> Searcher:
        return searcher_over(Index.load(PROJECT.artifacts_of(PROJECT.champion).index))

    judging = Judging(RatingsFile(Path("ratings_long.csv")), Path("rate_next.csv"), PROJECT.queries)
    service = Service(Live(load, [PROJECT.champion]), judging, Limits(), Metrics())
    with serve(create_app(service, reload_every=0.1)) as address, asked_all_the_time(address) as wrong:
        wait_for(address, n_photos=60, newest=True)
        roll_back()
        wait_for(address, n_photos=30, newest=True)
        roll_back(champions[1].name)
        wait_for(address, n_photos=60, newest=True)
        photos = champions[0] / PROJECT.index.name / "metadata.parquet"
        whole = photos.read_bytes()
        photos.write_bytes(whole[: len(whole) // 2])
        with caplog.at_level(logging.ERROR):
            roll_back()
            wait_for(address, n_photos=60, newest=False, n_failed_reloads=1)
        assert "the new version cannot be loaded, the old one goes on: " in caplog.text
        assert f"{photos}: not a readable Parquet file" in caplog.text
        photos.write_bytes(whole)
        wait_for(address, n_photos=30, newest=True, n_failed_reloads=1)
        for _ in range(3):  # the version that is served, and was, is deleted
            publish({}, None)
        assert not any(version.exists() for version in champions)
        wait_for(address, n_photos=60, newest=True)
    assert wrong == []
