"""Tests of access control: listening addresses, tokens, host names and cross-site requests."""

from collections.abc import Callable

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from kadr.errors import InputError
from kadr.serve import Service, check_address, create_app

MakeService = Callable[..., Service]
TOKEN = "0123456789abcdef"
REMOTE_URL = "http://photos.example"


@pytest.mark.parametrize(
    ("host", "token"), [("127.0.0.1", None), ("::1", None), ("localhost", None), ("0.0.0.0", TOKEN)]
)
def test_a_loopback_address_or_a_token_is_accepted(host: str, token: str | None) -> None:
    check_address(host, token)


@pytest.mark.parametrize(
    ("host", "token", "message"),
    [
        ("0.0.0.0", None, "no token is set"),
        ("::", None, "no token is set"),
        ("photos.example", None, "no token is set"),
        ("127.0.0.2", None, "no token is set"),  # loopback address that the application does not accept as a host name
        ("127.0.0.1", "short", "16 or more"),
        ("0.0.0.0", "", "16 or more"),
        ("0.0.0.0", "пароль-из-16-букв", "16 or more"),
    ],
)
def test_an_open_address_or_a_weak_token_is_rejected(host: str, token: str | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_address(host, token)


@pytest.fixture
def protected_app(make_service: MakeService) -> FastAPI:
    """An application that requires the access token `TOKEN`."""
    return create_app(make_service(), TOKEN)


@pytest.mark.parametrize("path", ["/", "/health", "/static/main.js"])
def test_the_page_and_health_need_no_token(protected_app: FastAPI, path: str) -> None:
    assert TestClient(protected_app, base_url=REMOTE_URL).get(path).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/images/x",
        "/thumbnails/x",
        "/metadata/x",
        "/annotation/pairs?rater=ann",
        "/metrics",
        "/openapi.json",
        "/no/such/route",
    ],
)
def test_other_routes_need_the_token(protected_app: FastAPI, path: str) -> None:
    assert TestClient(protected_app, base_url=REMOTE_URL).get(path).status_code == 401


@pytest.mark.parametrize("value", ["Bearer wrong", f"Basic {TOKEN}", "Bearer", f"Bearer {TOKEN}x", "Bearer \xff"])
def test_a_wrong_token_is_rejected(protected_app: FastAPI, value: str) -> None:
    client = TestClient(protected_app, base_url=REMOTE_URL)
    headers = {b"authorization": value.encode("latin-1")}
    assert client.post("/search", json={"text": "dog"}, headers=headers).status_code == 401  # type: ignore[arg-type]


def test_the_token_gives_access(protected_app: FastAPI) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with TestClient(protected_app, base_url=REMOTE_URL, headers=headers) as client:
        assert client.post("/search", json={"text": "dog"}).status_code == 200


def test_the_session_cookie_gives_access_without_containing_the_token(protected_app: FastAPI) -> None:
    client = TestClient(protected_app, base_url=REMOTE_URL)
    assert client.post("/session").status_code == 401
    session = client.post("/session", headers={"Authorization": f"Bearer {TOKEN}"})
    assert session.status_code == 204
    cookie = session.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie
    assert client.get("/images/red dog 000.jpg").status_code == 200


@pytest.mark.parametrize("host", ["photos.example", "127.0.0.1.example", "10.0.0.7:8000", "localhost.example:8000", ""])
def test_without_a_token_other_host_names_are_rejected(client: TestClient, host: str) -> None:
    assert client.get("/health", headers={"Host": host}).status_code == 400


@pytest.mark.parametrize("host", ["127.0.0.1:8123", "localhost:1", "LOCALHOST", "[::1]:8000"])
def test_without_a_token_loopback_host_names_are_accepted(client: TestClient, host: str) -> None:
    assert client.get("/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    ("headers", "accepted"),
    [
        ({"Origin": "http://127.0.0.1"}, True),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, False),
        ({"Sec-Fetch-Site": "same-origin"}, True),
    ],
)
def test_cross_site_requests_are_rejected(client: TestClient, headers: dict[str, str], accepted: bool) -> None:
    search = client.post("/search", json={"text": "dog"}, headers=headers)
    assert search.status_code == (200 if accepted else 403)
    rating = {"image_id": "red dog 000.jpg", "text": "a", "rater": "ann", "rating": 1}
    stored = client.post("/annotation/ratings", json=rating, headers=headers)
    assert stored.status_code == (201 if accepted else 403)
