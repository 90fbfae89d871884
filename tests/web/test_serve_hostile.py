"""Hostile requests: tokens, hosts, other sites' pages, uploads that are too large or no photos, any request at all."""

import asyncio
import io
import struct
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from typing import Any

import httpx
import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from PIL import Image
from schemathesis.specs.openapi.checks import positive_data_acceptance
from starlette.testclient import TestClient

from kadr.errors import InputError
from kadr.serve import Service, check_address, create_app

MakeService = Callable[..., Service]
Serve = Callable[[FastAPI], AbstractContextManager[str]]
TOKEN = "0123456789abcdef"


@pytest.mark.parametrize(
    ("host", "token"), [("127.0.0.1", None), ("::1", None), ("localhost", None), ("0.0.0.0", TOKEN)]
)
def test_addresses_that_may_be_listened_at(host: str, token: str | None) -> None:
    check_address(host, token)


@pytest.mark.parametrize(
    ("host", "token", "told"),
    [
        ("0.0.0.0", None, "lets other machines ask"),
        ("::", None, "lets other machines ask"),
        ("photos.example", None, "lets other machines ask"),
        ("127.0.0.2", None, "lets other machines ask"),  # no name that the server answers to
        ("127.0.0.1", "short", "16 or more ASCII"),
        ("0.0.0.0", "", "16 or more ASCII"),
        ("0.0.0.0", "пароль-из-16-букв", "16 or more ASCII"),
    ],
)
def test_addresses_that_may_not(host: str, token: str | None, told: str) -> None:
    with pytest.raises(InputError, match=told):
        check_address(host, token)


@pytest.fixture
def guarded(make_service: MakeService) -> FastAPI:
    """The application with a token."""
    return create_app(make_service(), TOKEN)


def test_nothing_of_the_users_without_the_token(guarded: FastAPI) -> None:
    asking = TestClient(guarded, base_url="http://photos.example")
    for path in ("/", "/health", "/static/main.js"):
        assert asking.get(path).status_code == 200
    paths = ("/photos/x", "/thumbnails/x", "/facts/x", "/pairs?rater=ann", "/metrics", "/openapi.json", "/never")
    assert {asking.get(path).status_code for path in paths} == {401}
    for wrong in ("Bearer wrong", f"Basic {TOKEN}", "Bearer", f"Bearer {TOKEN}x", "Bearer \xff"):
        headers = {b"authorization": wrong.encode("latin-1")}
        assert asking.post("/search", json={"text": "dog"}, headers=headers).status_code == 401  # type: ignore[arg-type]
    right = {"Authorization": f"Bearer {TOKEN}"}
    with TestClient(guarded, base_url="http://photos.example", headers=right) as knowing:
        assert knowing.post("/search", json={"text": "dog"}).status_code == 200


def test_the_page_gets_a_cookie_for_the_token(guarded: FastAPI) -> None:
    asking = TestClient(guarded, base_url="http://photos.example")
    assert asking.post("/session").status_code == 401
    opened = asking.post("/session", headers={"Authorization": f"Bearer {TOKEN}"})
    assert opened.status_code == 204
    cookie = opened.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie
    assert asking.get("/photos/red dog 000.jpg").status_code == 200


@pytest.mark.parametrize("host", ["photos.example", "127.0.0.1.example", "10.0.0.7:8000", "localhost.example:8000", ""])
def test_without_a_token_only_this_machines_names(client: TestClient, host: str) -> None:
    assert client.get("/health", headers={"Host": host}).status_code == 400


@pytest.mark.parametrize("host", ["127.0.0.1:8123", "localhost:1", "LOCALHOST", "[::1]:8000"])
def test_this_machines_names(client: TestClient, host: str) -> None:
    assert client.get("/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://127.0.0.1"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
def test_pages_of_other_sites(client: TestClient, headers: dict[str, str], status: int) -> None:
    assert client.post("/search", json={"text": "dog"}, headers=headers).status_code == status
    rating = {"image_id": "red dog 000.jpg", "text": "a", "rater": "ann", "rating": 1}
    sent = client.post("/ratings", json=rating, headers=headers)
    assert sent.status_code == (201 if status == 200 else 403)


def png_bomb(width: int, height: int) -> bytes:
    """A PNG of that size in a few kilobytes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(100_000)))
        + chunk(b"IEND", b"")
    )


def jpeg(size: tuple[int, int] = (32, 32)) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", size, "red").save(content, "JPEG")
    return content.getvalue()


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


@pytest.mark.parametrize(
    ("content", "status", "told"),
    [
        (b"", 422, "no photo that can be read"),
        (b"not a photo", 422, "no photo that can be read"),
        (SVG, 422, "no photo that can be read"),
        (b"%PDF-1.4\n" + jpeg(), 422, "no photo that can be read"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", 422, "no photo that can be read"),
        (png_bomb(60_000, 60_000), 422, "no photo that can be read"),
        (png_bomb(9_000, 9_000), 422, "9000 x 9000 pixels; send one of at most 50,000,000"),
        (png_bomb(2_000, 2_000), 422, "does not decode"),
        (jpeg()[:300], 422, "no"),
        (jpeg() + b"<script>alert(1)</script>", 200, ""),  # a photo with something behind it is the photo
        (jpeg() + b"PK\x03\x04" + bytes(1000), 200, ""),
    ],
    ids=["empty", "text", "svg", "pdf", "eps", "bomb", "large", "half", "cut", "html", "zip"],
)
def test_uploads(client: TestClient, content: bytes, status: int, told: str) -> None:
    for route in ("/similar", "/score"):
        files = {"photo": ("../../etc/x.svg", content, "image/svg+xml")}
        answer = client.post(route, files=files, data={"text": "dog"} if route == "/score" else None)
        assert answer.status_code == status, answer.text
        assert told in answer.json().get("detail", "")


def test_a_body_beyond_the_limit_is_refused_before_it_is_read(make_service: MakeService) -> None:
    app = create_app(make_service(body_bytes=100_000))
    sent = 0

    async def stream() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(2_000):  # 2 GB
            sent += 1_000_000
            yield bytes(1_000_000)

    async def ask(headers: dict[str, str]) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as to:
            kind = {"Content-Type": "multipart/form-data; boundary=x"}
            return await to.post("/similar", content=stream(), headers=kind | headers)

    for headers in ({}, {"Content-Length": "2000000000"}):
        sent = 0
        answer = asyncio.run(ask(headers))
        assert answer.status_code == 413
        assert sent <= 2_000_000


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"{", "application/json"),
        (b"[" * 50_000, "application/json"),
        (b'{"text": "\\ud800"}', "application/json"),
        (b'{"text": "dog", "k": 1e999}', "application/json"),
        (b'{"text": "dog"}', "text/plain"),
        (b"\xff\xfe", "application/json"),
        (b"--x\r\n", "multipart/form-data; boundary=y"),
    ],
)
def test_bodies_that_are_no_request(client: TestClient, content: bytes, kind: str) -> None:
    for route in ("/search", "/ratings", "/similar"):
        answer = client.post(route, content=content, headers={"Content-Type": kind})
        assert 400 <= answer.status_code < 500


def test_any_request_at_all_has_an_answer_of_the_documented_form(make_service: MakeService, serve: Serve) -> None:
    """Schemathesis makes requests from the OpenAPI, valid and not, and holds the answers against it."""
    n_asked: dict[str, int] = {}

    def check(operation: Any) -> None:
        @given(case=operation.as_strategy())
        @settings(
            max_examples=15, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
        )
        def answered(case: Any) -> None:
            n_asked[case.operation.label] = n_asked.get(case.operation.label, 0) + 1
            case.call_and_validate(excluded_checks=[positive_data_acceptance])  # a valid form may hold an empty query

        answered()

    with serve(create_app(make_service())) as address:
        for operation in schemathesis.openapi.from_url(f"{address}/openapi.json").get_all_operations():
            check(operation.ok())
    assert len(n_asked) == 11
    assert all(n >= 5 for label, n in n_asked.items() if label not in {"GET /health", "GET /metrics", "POST /session"})
