"""Test that no search fails while a champion model is published, rolled back or damaged."""

import logging
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import Event

import httpx
import pytest
from fastapi import FastAPI

from kadr.index import Index
from kadr.operations.champion.champion_versions import MODEL_FOLDERS, REFERENCE_TABLES, publish, roll_back
from kadr.project import PROJECT
from kadr.search import Searcher
from kadr.serve import Annotation, Collections, HotReload, Limits, RatingsFile, ServerMetrics, Service, create_app

N_IMAGES = (30, 60)
"""Number of images in the first and the second version of the champion."""

TIMEOUT_S = 20.0
N_CLIENTS = 4

Serve = Callable[[FastAPI], AbstractContextManager[str]]


@pytest.fixture
def versions(
    make_index: Callable[[Path, int], Index], project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[Path]:
    """The folders of two published champion versions in the working directory. The second version is in use."""
    monkeypatch.chdir(tmp_path)
    for folder in (*MODEL_FOLDERS, *(table.parent for table, _ in REFERENCE_TABLES.values())):
        folder.mkdir(parents=True, exist_ok=True)
    for file in (PROJECT.dvc_lock, *(table for table, _ in REFERENCE_TABLES.values())):
        file.touch()
    shutil.copy(project / "params.yaml", "params.yaml")
    folders = []
    for n_images in N_IMAGES:
        make_index(tmp_path / "images", n_images).write(PROJECT.index)
        folders.append(publish({}, None))
    return folders


@contextmanager
def search_continuously(address: str) -> Iterator[list[str]]:
    """Search from several threads during the `with` block. Yield the list of incorrect responses so far."""
    stop, failures = Event(), list[str]()

    def search() -> int:
        n_requests = 0
        with httpx.Client(base_url=address) as client:
            while not stop.is_set():
                n_requests += 1
                response = client.post("/search", json={"text": "dog", "k": 100})
                if response.status_code != 200 or len(response.json()["matches"]) not in N_IMAGES:
                    failures.append(response.text)
        return n_requests

    with ThreadPoolExecutor(N_CLIENTS) as threads:
        clients = [threads.submit(search) for _ in range(N_CLIENTS)]
        try:
            yield failures
        finally:
            stop.set()
    assert all(client.result() > 0 for client in clients)


def wait_for_health(address: str, **expected: object) -> None:
    """Wait until the response of /health contains the expected values."""
    deadline = time.monotonic() + TIMEOUT_S
    while (health := httpx.get(f"{address}/health").json()) | expected != health:
        assert time.monotonic() < deadline, f"expected {expected}, got {health}"
        time.sleep(0.05)


@pytest.mark.slow
def test_searches_succeed_while_the_champion_changes(
    versions: list[Path], make_searcher: Callable[[Index], Searcher], serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    def load() -> Searcher:
        return make_searcher(Index.load(PROJECT.index_artifacts(PROJECT.champion).index))

    annotation = Annotation(RatingsFile(Path("ratings_long.csv")), Path("rate_next.csv"), PROJECT.queries)
    collections = Collections(PROJECT.collections)
    service = Service(HotReload(load, [PROJECT.champion]), annotation, Limits(), ServerMetrics(), collections)
    with serve(create_app(service, reload_interval_s=0.1)) as address, search_continuously(address) as failures:
        wait_for_health(address, n_images=60, up_to_date=True)
        roll_back()
        wait_for_health(address, n_images=30, up_to_date=True)
        roll_back(versions[1].name)
        wait_for_health(address, n_images=60, up_to_date=True)

        metadata = versions[0] / PROJECT.index.name / "metadata.arrow"
        content = metadata.read_bytes()
        metadata.write_bytes(content[: len(content) // 2])
        with caplog.at_level(logging.ERROR):
            roll_back()
            wait_for_health(address, n_images=60, up_to_date=False, n_failed_reloads=1)
        assert "Cannot load the new version" in caplog.text
        assert metadata.name in caplog.text
        metadata.write_bytes(content)
        wait_for_health(address, n_images=30, up_to_date=True, n_failed_reloads=1)

        for _ in range(3):  # publishing deletes old versions, including the loaded version
            publish({}, None)
        assert not any(version.exists() for version in versions)
        wait_for_health(address, n_images=60, up_to_date=True)
    assert failures == []
