"""Tests of HEAD requests, errors as JSON, unknown form fields, the login, and cached images."""

import io
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from PIL import Image
from starlette.testclient import TestClient

from kadr.index import Index
from kadr.serve import Service, create_app

MakeService = Callable[..., Service]
Serve = Callable[[FastAPI], AbstractContextManager[str]]
TOKEN = "0123456789abcdef"
IMAGE_ID = "red dog 000.jpg"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/health",
        "/metrics",
        "/openapi.json",
        "/static/main.js",
        f"/images/{IMAGE_ID}",
        f"/thumbnails/{IMAGE_ID}",
        f"/metadata/{IMAGE_ID}",
        "/annotation/pairs?rater=ann&text=dog",
    ],
)
def test_head_has_the_headers_of_get_and_no_body(client: TestClient, path: str) -> None:
    got, head = client.get(path), client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == got.headers["content-type"]
    if path != "/metrics":  # counts the requests
        assert head.headers["content-length"] == got.headers["content-length"]


def test_a_real_server_answers_head(make_service: MakeService, serve: Serve) -> None:
    with serve(create_app(make_service())) as address, httpx.Client(base_url=address) as client:
        assert client.head("/health").status_code == client.head(f"/images/{IMAGE_ID}").status_code == 200
        assert client.head("/search").status_code == 405
        assert client.get("/health").json()["status"] == "ok"  # the connection is still usable


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "message"),
    [
        ("GET", "/health", {"Host": "nas.local"}, 400, "[::1]"),
        ("GET", "/no/such/route", {}, 404, "/no/such/route"),
        ("GET", "/static/no.js", {}, 404, "/static/no.js"),
        ("GET", "/search", {}, 405, "Use POST"),
        ("POST", "/health", {}, 405, "Use GET"),
        ("POST", "/search", {"Content-Length": "99999999"}, 413, "at most 20 MB"),
    ],
)
def test_every_error_is_json(
    client: TestClient, method: str, path: str, headers: dict[str, str], status: int, message: str
) -> None:
    response = client.request(method, path, headers=headers)
    assert response.status_code == status
    assert message in response.json()["detail"]


def test_an_unexpected_error_is_json(make_service: MakeService) -> None:
    service = make_service()
    service.hot_reload.current = replace(service.hot_reload.current, searcher=None)  # type: ignore[arg-type]
    client = TestClient(create_app(service), base_url="http://localhost", raise_server_exceptions=False)
    response = client.get("/health")
    assert response.status_code == 500
    assert "AttributeError" in response.json()["detail"]


@pytest.mark.parametrize("field", ["folder", "photo", "K"])
@pytest.mark.parametrize("route", ["/similar", "/score"])
def test_an_unknown_form_field_is_refused(client: TestClient, route: str, field: str) -> None:
    response = client.post(route, data={field: "1"}, files={"image": b"x"})
    assert response.status_code == 422
    assert f"{field}: this field is unknown" in response.json()["detail"]


def test_the_login_response_has_no_body(
    make_service: MakeService, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    with serve(create_app(make_service(), TOKEN)) as address, httpx.Client(base_url=address) as client:
        response = client.post("/session", headers={"Authorization": f"Bearer {TOKEN}"})
        assert (response.status_code, response.content) == (204, b"")
        assert "content-length" not in response.headers
        client.cookies = response.cookies
        assert client.get(f"/metadata/{IMAGE_ID}").status_code == 200
    assert caplog.records == []


@pytest.fixture
def client_and_path(
    make_service: MakeService, make_index: Callable[[Path, int], Index], tmp_path: Path
) -> tuple[TestClient, Path]:
    """A test client for an index of four images, and the file path of the image `IMAGE_ID`."""
    service = make_service()
    searcher = replace(service.searcher, index=make_index(tmp_path / "images", 4))
    service.hot_reload.current = replace(service.hot_reload.current, searcher=searcher)
    return TestClient(create_app(service), base_url="http://localhost"), tmp_path / "images" / IMAGE_ID


@pytest.mark.parametrize("route", ["images", "thumbnails"])
def test_a_changed_image_is_not_shown_from_a_cache(client_and_path: tuple[TestClient, Path], route: str) -> None:
    client, path = client_and_path
    first = client.get(f"/{route}/{IMAGE_ID}")
    assert first.headers["cache-control"] == "private, no-cache"
    known = {"If-None-Match": first.headers["etag"]}
    unchanged = client.get(f"/{route}/{IMAGE_ID}", headers=known)
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    if route == "images":
        Image.new("RGB", (40, 30), "blue").save(path)
        changed = client.get(f"/{route}/{IMAGE_ID}", headers=known)
        assert Image.open(io.BytesIO(changed.content)).size == (40, 30)


@pytest.mark.parametrize("route", ["images", "thumbnails"])
def test_a_url_with_the_current_version_is_cached(client: TestClient, route: str) -> None:
    matches = client.post("/search", json={"text": "red dog", "k": 60}).json()["matches"]
    versions = {match["image_id"]: match["version"] for match in matches}
    assert len(set(versions.values())) == 60
    current = client.get(f"/{route}/{IMAGE_ID}", params={"v": versions[IMAGE_ID]})
    assert current.headers["cache-control"] == "private, max-age=31536000, immutable"
    other = client.get(f"/{route}/{IMAGE_ID}", params={"v": "0123"})
    assert other.headers["cache-control"] == "private, no-cache"


def test_the_response_says_how_the_query_was_read(client: TestClient) -> None:
    response = client.post("/search", json={"text": "dog –sea", "k": 1}).json()
    assert (response["read_as"], response["hints"]) == ("dog - sea", [])
    plain = client.post("/search", json={"text": "dog- sea", "k": 1}).json()
    assert plain["read_as"] is None
    assert "'dog-'" in plain["hints"][0]
