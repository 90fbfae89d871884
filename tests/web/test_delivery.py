"""Tests of the delivery: compression, caching by content, thumbnails on disk, and original files."""

import io
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from starlette.testclient import TestClient

from kadr.index import Index
from kadr.serve import Service, ThumbnailCache, create_app
from kadr.serve.page_files import PageFiles

MakeService = Callable[..., Service]
IMAGE_ID = "red dog 000.jpg"
IMMUTABLE = "private, max-age=31536000, immutable"


def test_the_page_loads_immutable_compressed_files(client: TestClient) -> None:
    page = client.get("/")
    urls = re.findall(r'"(static/[^"]+)"', page.text)
    assert len(urls) >= 4
    assert len({url.split("/")[1] for url in urls}) == 1
    for url in urls:
        response = client.get(url)
        assert (response.status_code, response.headers["cache-control"]) == (200, IMMUTABLE)
        assert response.headers.get("content-encoding") == "gzip" or int(response.headers["content-length"]) < 1000
    assert page.headers["cache-control"] == "private, no-cache"
    assert client.get("/", headers={"If-None-Match": page.headers["etag"]}).status_code == 304
    assert client.get("/static/main.js").headers["cache-control"] == "private, no-cache"
    assert client.get("/static/0123456789abcdef/main.js").status_code == 404


def test_a_changed_file_changes_the_folder(tmp_path: Path) -> None:
    for name in ("index.html", "main.js"):
        (tmp_path / name).write_text(name)
    files = PageFiles(tmp_path)
    first = files.version
    assert files.version == PageFiles(tmp_path).version == first
    (tmp_path / "main.js").write_text("changed")
    assert files.version != first


def test_json_is_compressed_and_images_are_not(client: TestClient) -> None:
    response = client.post("/search", json={"k": 50})
    assert (response.headers["content-encoding"], response.headers["vary"]) == ("gzip", "Accept-Encoding")
    assert "content-encoding" not in client.get(f"/images/{IMAGE_ID}").headers
    assert "content-encoding" not in client.post("/download", json={"image_ids": [IMAGE_ID]}).headers


@pytest.mark.parametrize(
    ("accept", "image_format"), [("image/avif,image/webp,*/*", "WEBP"), ("image/*", "JPEG"), ("", "JPEG")]
)
@pytest.mark.parametrize("side", [160, 320, 640, 1280])
def test_a_thumbnail_has_a_format_that_the_client_accepts(
    client: TestClient, accept: str, image_format: str, side: int
) -> None:
    response = client.get(f"/thumbnails/{IMAGE_ID}", params={"side": side}, headers={"Accept": accept})
    image = Image.open(io.BytesIO(response.content))
    assert (image.format, max(image.size)) == (image_format, 160)
    assert response.headers["vary"] == "Accept"
    assert response.headers["content-type"] == f"image/{image_format.lower()}"


def test_the_original_file_is_a_download(client: TestClient, index: Index) -> None:
    response = client.get(f"/images/{IMAGE_ID}", params={"original": "true"})
    path = Path(index.table["path"][index.find_row(IMAGE_ID)].as_py())
    assert response.content == path.read_bytes()
    assert response.headers["content-disposition"] == "attachment; filename*=UTF-8''red%20dog%20000.jpg"


@pytest.fixture
def changing(make_service: MakeService, make_index: Callable[[Path, int], Index], tmp_path: Path) -> Service:
    """A service with thumbnails in tmp_path/thumbnails, and images in tmp_path/images that a test can change."""
    service = make_service()
    searcher = replace(service.searcher, index=make_index(tmp_path / "images", 4))
    service.hot_reload.current = replace(service.hot_reload.current, searcher=searcher)
    service.thumbnails = ThumbnailCache(tmp_path / "thumbnails")
    return service


def test_thumbnails_are_stored_and_shared(changing: Service, tmp_path: Path) -> None:
    client = TestClient(create_app(changing), base_url="http://localhost")
    first = client.get(f"/thumbnails/{IMAGE_ID}").content
    (stored,) = (path for path in (tmp_path / "thumbnails").rglob("*") if path.is_file())
    (tmp_path / "images" / IMAGE_ID).unlink()
    changing.thumbnails = ThumbnailCache(tmp_path / "thumbnails")  # another server
    assert client.get(f"/thumbnails/{IMAGE_ID}").content == first == stored.read_bytes()


@pytest.mark.parametrize("route", ["images", "thumbnails"])
def test_a_file_that_changed_after_indexing_is_not_kept_under_its_old_version(
    changing: Service, tmp_path: Path, route: str
) -> None:
    client = TestClient(create_app(changing), base_url="http://localhost")
    matches = {match["image_id"]: match for match in client.post("/search", json={}).json()["matches"]}
    url = f"/{route}/{IMAGE_ID}?v={matches[IMAGE_ID]['version']}"
    Image.new("RGB", (40, 30), "blue").save(tmp_path / "images" / IMAGE_ID)
    response = client.get(url)
    assert response.headers["cache-control"] == "private, no-cache"
    assert Image.open(io.BytesIO(response.content)).size == (40, 30)
    assert not list((tmp_path / "thumbnails").rglob("*-*"))


def test_the_folder_of_thumbnails_is_limited(tmp_path: Path) -> None:
    cache = ThumbnailCache(tmp_path, max_bytes=10_000)
    for number in range(30):
        cache.write(f"{number:02d}ab-320.webp", bytes(1000))
        os.utime(tmp_path / f"{number:02d}" / f"{number:02d}ab-320.webp", (number, number))
        if number == 8:
            os.utime(tmp_path / "00" / "00ab-320.webp", (100, 100))  # somebody used the oldest thumbnail
    kept = {path.name for path in tmp_path.rglob("*.webp")}
    assert len(kept) <= 10
    assert {"00ab-320.webp", "29ab-320.webp"} <= kept
    assert cache.read("01ab-320.webp") is None
    assert cache.read("29ab-320.webp") == bytes(1000)


def test_thumbnails_are_made_although_they_cannot_be_stored(
    changing: Service, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    changing.thumbnails = ThumbnailCache(tmp_path / "file" / "thumbnails")
    client = TestClient(create_app(changing), base_url="http://localhost")
    for _ in range(2):
        assert client.get(f"/thumbnails/{IMAGE_ID}").status_code == 200
    assert len([record for record in caplog.records if "cannot be stored" in record.message]) == 1
