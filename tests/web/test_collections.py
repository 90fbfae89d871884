"""Tests of favourites, saved searches, near-duplicates and downloads."""

import csv
import io
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pytest
from starlette.testclient import TestClient

from kadr.errors import DiskError
from kadr.index import Index
from kadr.io.schemas import INDEXED_IMAGES
from kadr.serve import Collections, Service, create_app
from kadr.serve.collections import Favourite, find_favourites
from kadr.serve.duplicate_groups import DuplicateGroups, group_duplicates
from kadr.serve.image_archive import UNREADABLE_LIST, unique_names, zip_images

MakeService = Callable[..., Service]
IMAGE_ID = "red dog 000.jpg"
OTHER_ID = "green dog 001.jpg"


def make_table(rows: list[dict[str, object]]) -> pa.Table:
    """Return the table of an index with the given rows. Missing columns are null."""
    defaults: dict[str, object] = dict.fromkeys(INDEXED_IMAGES.names)
    full = [defaults | {"row": n, "image_id": f"{n}.jpg", "path": f"/p/{n}.jpg"} | row for n, row in enumerate(rows)]
    return pa.Table.from_pylist(full, INDEXED_IMAGES)


def test_favourites_are_added_listed_exported_and_removed(client: TestClient) -> None:
    for image_id in (IMAGE_ID, OTHER_ID, IMAGE_ID):
        assert client.put(f"/favourites/{quote(image_id)}").status_code == 204
    assert client.get("/favourites").json() == {"image_ids": [IMAGE_ID, OTHER_ID], "n_missing": 0}
    exported = client.get("/favourites.json").json()
    assert [(row["image_id"], row["in_index"]) for row in exported] == [(IMAGE_ID, True), (OTHER_ID, True)]
    rows = list(csv.DictReader(io.StringIO(client.get("/favourites.csv").text)))
    assert [row["path"] for row in rows] == [row["path"] for row in exported]
    assert client.delete(f"/favourites/{quote(IMAGE_ID)}").status_code == 204
    assert client.delete(f"/favourites/{quote(IMAGE_ID)}").status_code == 204
    assert client.get("/favourites").json()["image_ids"] == [OTHER_ID]


def test_only_images_of_the_index_become_favourites(client: TestClient) -> None:
    response = client.put("/favourites/none.jpg")
    assert (response.status_code, "none.jpg" in response.json()["detail"]) == (404, True)


def test_the_search_filters_by_favourites(client: TestClient) -> None:
    request = {"filters": {"favourites": True}}
    assert client.post("/search", json=request).json()["matches"] == []
    client.put(f"/favourites/{quote(OTHER_ID)}")
    assert [match["image_id"] for match in client.post("/search", json=request).json()["matches"]] == [OTHER_ID]
    found = client.post("/search", json=request | {"text": "red"}).json()
    assert ([match["image_id"] for match in found["matches"]], found["n_images"]) == ([OTHER_ID], 1)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"image_id": "a.jpg", "path": "/p/a.jpg", "sha256": "x"}, "a.jpg"),  # nothing has changed
        ({"image_id": "b.jpg", "path": "/p/b.jpg", "sha256": "x"}, "b.jpg"),  # the file was moved
        ({"image_id": "a.jpg", "path": "/p/a.jpg", "sha256": "y"}, "a.jpg"),  # the file was edited
        ({"image_id": "a.jpg", "path": "/other/a.jpg", "sha256": "y"}, None),  # another collection
        ({"image_id": "b.jpg", "path": "/p/b.jpg", "sha256": "y"}, None),
    ],
)
def test_a_favourite_is_found_in_a_new_index(row: dict[str, object], expected: str | None) -> None:
    favourite = Favourite("a.jpg", "x", "/p/a.jpg", "2026-01-01T00:00:00+00:00")
    assert list(find_favourites([favourite], make_table([row]))) == ([expected] if expected else [])


def test_a_copy_of_a_favourite_is_no_favourite() -> None:
    favourite = Favourite("b.jpg", "x", "/p/b.jpg", "2026-01-01T00:00:00+00:00")
    table = make_table([{"image_id": name, "sha256": "x"} for name in ("a.jpg", "b.jpg")])
    assert list(find_favourites([favourite], table)) == ["b.jpg"]


def test_a_moved_favourite_can_be_removed(make_service: MakeService, index: Index) -> None:
    service = make_service()
    row = index.table.slice(index.find_row(IMAGE_ID), 1).to_pylist()[0]
    service.collections.add_favourite("old name.jpg", row["sha256"], "/old/old name.jpg")
    client = TestClient(create_app(service), base_url="http://localhost")
    assert client.get("/favourites").json()["image_ids"] == [IMAGE_ID]
    assert client.get("/favourites.json").json()[0]["path"] == row["path"]
    client.delete(f"/favourites/{quote(IMAGE_ID)}")
    assert service.collections.favourites() == []


SEARCH = {
    "text": "dog - cat",
    "terms": [{"image_id": IMAGE_ID, "weight": -0.5}],
    "filters": {"folder": "2024", "after": "2024-01-31", "near": {"latitude": 1.0, "longitude": 2.0, "km": 3.0}},
    "sort": "newest",
    "fold_duplicates": False,
}


def test_searches_are_saved_replaced_listed_and_removed(client: TestClient) -> None:
    name = "dogs / \u0441\u043e\u0431\u0430\u043a\u0438 ?#%"
    assert client.put(f"/searches/{quote(name, safe='')}", json={"text": "cat"}).status_code == 200
    saved = client.put(f"/searches/{quote(name, safe='')}", json=SEARCH).json()
    assert client.get("/searches").json()["searches"] == [saved]
    assert client.get(f"/searches/{quote(name, safe='')}").json() == saved
    assert (saved["name"], saved["text"], saved["sort"]) == (name, "dog - cat", "newest")
    assert {key: value for key, value in saved["filters"].items() if value} == SEARCH["filters"]
    request = {key: saved[key] for key in SEARCH}
    assert client.post("/search", json=request).status_code == 200  # a saved search is a valid search
    assert client.delete(f"/searches/{quote(name, safe='')}").status_code == 204
    response = client.delete(f"/searches/{quote(name, safe='')}")
    assert (response.status_code, "no saved search" in response.json()["detail"]) == (404, True)


def test_a_search_of_another_version_is_read(make_service: MakeService) -> None:
    service = make_service()
    service.collections.save_search("old", {"text": "dog", "mood": 1, "filters": {"lens": "x", "min_side": 9}})
    client = TestClient(create_app(service), base_url="http://localhost")
    (saved,) = client.get("/searches").json()["searches"]
    assert (saved["text"], saved["filters"]["min_side"]) == ("dog", 9)


def test_threads_and_processes_share_the_file(tmp_path: Path, project: Path) -> None:
    path = tmp_path / "folder" / "collections.sqlite"
    code = (
        "import sys; from pathlib import Path; from kadr.serve.collections import Collections\n"
        "for n in range(30): Collections(Path(sys.argv[1])).add_favourite(f'{sys.argv[2]}{n}', None, 'p')"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, path, name], cwd=project, env={"PYTHONPATH": str(project)})
        for name in "ab"
    ]
    collections = Collections(path)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda n: collections.add_favourite(f"c{n}", None, "p"), range(30)))
    assert [process.wait(60) for process in processes] == [0, 0]
    assert len(collections.favourites()) == 90
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_a_damaged_file_is_an_error_with_a_fix(make_service: MakeService) -> None:
    service = make_service()
    service.collections.path.write_bytes(b"no database" * 1000)
    with pytest.raises(DiskError, match="move it away"):
        service.collections.favourites()
    response = TestClient(create_app(service), base_url="http://localhost").get("/favourites")
    assert (response.status_code, "collections.sqlite" in response.json()["detail"]) == (503, True)


def hash_row(phash: int, width: int = 100, blur: float = 1.0, **values: object) -> dict[str, object]:
    return {"phash": f"{phash:016x}", "width": width, "height": 100, "blur": blur} | values


def test_the_best_image_represents_a_group() -> None:
    chain = [hash_row(0b1111, 100), hash_row(0, 300), hash_row(0b11111111, 200), hash_row(0b1111, 50)]
    others = [hash_row(0xFF << 40, blur=1.0), hash_row(0xFF << 40, blur=3.0), hash_row(2**63 - 1), {}]
    groups = [list(group) for group in group_duplicates(make_table([*chain, *others]), 4)]
    assert groups == [[1, 0, 3], [5, 4]]  # image 2 is no near-duplicate of image 1


def test_of_equal_images_the_oldest_is_the_best() -> None:
    times = [np.datetime64(f"202{year}-01-01", "ms").item() for year in (4, 1, 3)]
    table = make_table([hash_row(1, taken=time) for time in times] + [hash_row(1)])
    assert [list(group) for group in group_duplicates(table, 4)] == [[1, 2, 0, 3]]


def test_images_with_other_colours_are_no_duplicates() -> None:
    white, black = bytes(33) + b"\xff" * 192, bytes(225)
    rows = [hash_row(1, signature=white), hash_row(1, signature=black), hash_row(1, signature=white)]
    assert [list(group) for group in group_duplicates(make_table(rows), 4)] == [[0, 2]]


def test_every_group_equals_an_exhaustive_search() -> None:
    rng = np.random.default_rng(0)
    hashes = (rng.integers(0, 2**62, 8)[rng.integers(0, 8, 120)] ^ (1 << rng.integers(0, 60, 120))).tolist()
    table = make_table([hash_row(phash, int(width)) for phash, width in zip(hashes, rng.permutation(120), strict=True)])
    widths = table["width"].to_pylist()
    expected, taken = [], set()
    for row in sorted(range(120), key=lambda row: -widths[row]):
        near = [n for n in range(120) if n not in taken and (hashes[n] ^ hashes[row]).bit_count() <= 1]
        if row not in taken:
            taken |= set(near)
            expected += [near] if len(near) > 1 else []
    assert sorted(sorted(group.tolist()) for group in group_duplicates(table, 1)) == sorted(expected)


def test_groups_are_computed_once_per_index(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    n_calls = []
    monkeypatch.setattr("kadr.serve.duplicate_groups.group_duplicates", lambda *_: n_calls.append(1) or [])
    groups = DuplicateGroups()
    for requested in (index, index, replace(index)):
        groups.groups(requested, 4)
    assert len(n_calls) == 2


@pytest.fixture
def client_with_duplicates(make_service: MakeService, index: Index) -> Iterator[TestClient]:
    """A client of a server whose images 0 to 9 and 10 to 12 are near-duplicates."""
    service = make_service()
    phashes = ["0" * 16] * 10 + ["f" * 16] * 3 + [None] * (len(index.table) - 13)
    position = index.table.column_names.index("phash")
    table = index.table.set_column(position, index.table.field(position), pa.array(phashes, pa.string()))
    searcher = replace(service.searcher, index=replace(index, table=table))
    service.hot_reload.current = replace(service.hot_reload.current, searcher=searcher)
    with TestClient(create_app(service), base_url="http://localhost") as client:
        yield client


def test_the_route_returns_pages_of_groups(client_with_duplicates: TestClient) -> None:
    first = client_with_duplicates.get("/duplicates?k=1").json()
    assert (first["more"], first["n_groups"], first["groups"][0]["n_images"]) == (True, 2, 10)
    assert first["groups"][0]["best"] == first["groups"][0]["images"][0]["image_id"]
    second = client_with_duplicates.get("/duplicates?k=1&offset=1").json()
    assert (second["more"], len(second["groups"][0]["images"])) == (False, 3)
    image_id = second["groups"][0]["images"][2]["image_id"]
    assert client_with_duplicates.get("/duplicates", params={"image_id": image_id}).json()["groups"] == second["groups"]
    assert client_with_duplicates.get("/duplicates", params={"image_id": "none"}).status_code == 404


def test_the_download_contains_the_original_files(client: TestClient, index: Index) -> None:
    response = client.post("/download", json={"image_ids": [IMAGE_ID, OTHER_ID, IMAGE_ID]})
    assert (response.status_code, response.headers["content-type"]) == (200, "application/zip")
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        assert archive.namelist() == [IMAGE_ID, OTHER_ID]
        path = index.table["path"][index.find_row(IMAGE_ID)].as_py()
        assert archive.read(IMAGE_ID) == Path(path).read_bytes()
    assert client.post("/download", json={"image_ids": ["none"]}).status_code == 404
    assert client.post("/download", json={"image_ids": [IMAGE_ID] * 1001}).status_code == 422


def test_unreadable_files_are_listed_and_names_are_unique(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a/x.jpg", "b/X.JPG", "b/missing.jpg")]
    for path in paths[:2]:
        path.parent.mkdir()
        path.write_bytes(path.name.encode())
    with zipfile.ZipFile(io.BytesIO(b"".join(zip_images(list(map(str, paths)))))) as archive:
        assert archive.namelist() == ["x.jpg", "X (2).JPG", UNREADABLE_LIST]
        assert archive.testzip() is None
        assert str(paths[2]) in archive.read(UNREADABLE_LIST).decode()


def test_the_archive_is_written_in_small_pieces(tmp_path: Path) -> None:
    path = tmp_path / "large.tif"
    with path.open("wb") as file:
        file.truncate(200_000_000)
    sizes = [len(piece) for piece in zip_images([str(path)])]
    assert max(sizes) < 2_000_000
    assert sum(sizes) > 200_000_000


def test_names_are_safe_on_every_system() -> None:
    names = unique_names(["/a/CON:1?.jpg", "../..", "/b/\x07x.png", "s3://bucket/x.png", "..."])
    assert names == ["CON_1_.jpg", "image", "_x.png", "x.png", "image (2)"]
