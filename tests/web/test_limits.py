"""Tests of server limits and invalid input: uploads, body sizes, timeouts, malformed and generated requests."""

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

from kadr.serve import Service, create_app
from kadr.serve.limits import TimeoutMiddleware

MakeService = Callable[..., Service]
Serve = Callable[[FastAPI], AbstractContextManager[str]]


def png_of_zeros(width: int, height: int) -> bytes:
    """Return a small PNG file whose header contains the given image size."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100_000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def jpeg(size: tuple[int, int] = (32, 32)) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", size, "red").save(content, "JPEG")
    return content.getvalue()


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"


def upload(client: TestClient, route: str, content: bytes) -> httpx.Response:
    files = {"image": ("../../etc/x.svg", content, "image/svg+xml")}
    return client.post(route, files=files, data={"text": "dog"} if route == "/score" else None)


@pytest.mark.parametrize("route", ["/similar", "/score"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"not an image", "not an image"),
        (SVG, "not an image"),
        (b"%PDF-1.4\n" + jpeg(), "not an image"),
        (EPS, "not an image"),
        (png_of_zeros(60_000, 60_000), "too many pixels"),
        (png_of_zeros(9_000, 9_000), "81,000,000 pixels (9000 x 9000), expected at most 25,000,000"),
        (png_of_zeros(2_000, 2_000), "cannot be decoded"),
        (jpeg()[:300], "cannot be decoded"),
    ],
    ids=["empty", "text", "svg", "pdf", "eps", "bomb", "large", "incomplete", "truncated"],
)
def test_an_invalid_upload_is_rejected(client: TestClient, route: str, content: bytes, message: str) -> None:
    response = upload(client, route, content)
    assert response.status_code == 422, response.text
    assert message in response.json()["detail"]


@pytest.mark.parametrize("route", ["/similar", "/score"])
@pytest.mark.parametrize("suffix", [b"<script>alert(1)</script>", b"PK\x03\x04" + bytes(1000)], ids=["html", "zip"])
def test_bytes_after_an_image_are_ignored(client: TestClient, route: str, suffix: bytes) -> None:
    assert upload(client, route, jpeg() + suffix).json() == upload(client, route, jpeg()).json()


@pytest.mark.parametrize("headers", [{}, {"Content-Length": "2000000000"}])
def test_a_large_body_is_rejected_before_it_is_read(make_service: MakeService, headers: dict[str, str]) -> None:
    app = create_app(make_service(max_body_bytes=100_000))
    n_sent = 0

    async def stream() -> AsyncIterator[bytes]:
        nonlocal n_sent
        for _ in range(2_000):  # 2 GB in total
            n_sent += 1_000_000
            yield bytes(1_000_000)

    async def post() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        content_type = {"Content-Type": "multipart/form-data; boundary=x"}
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.post("/similar", content=stream(), headers=content_type | headers)

    assert asyncio.run(post()).status_code == 413
    assert n_sent <= 2_000_000


@pytest.mark.parametrize("route", ["/search", "/annotation/ratings", "/similar"])
@pytest.mark.parametrize(
    ("content", "content_type"),
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
def test_a_malformed_body_is_a_client_error(client: TestClient, route: str, content: bytes, content_type: str) -> None:
    response = client.post(route, content=content, headers={"Content-Type": content_type})
    assert 400 <= response.status_code < 500


def get_with_timeout(app: Callable[..., Any], seconds: float) -> httpx.Response:
    async def get() -> httpx.Response:
        transport = httpx.ASGITransport(TimeoutMiddleware(app, seconds))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get("/")

    return asyncio.run(get())


def test_a_response_that_starts_too_late_gets_status_504() -> None:
    async def slow_app(scope: object, receive: object, send: object) -> None:
        await asyncio.sleep(60)

    response = get_with_timeout(slow_app, 0.01)
    assert response.status_code == 504
    assert "0.01 s" in response.json()["detail"]


def test_a_response_that_has_started_may_take_longer() -> None:
    async def streaming_app(scope: object, receive: object, send: Callable[..., Any]) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(0.1)
        await send({"type": "http.response.body", "body": b"complete"})

    assert get_with_timeout(streaming_app, 0.05).content == b"complete"


def test_generated_requests_get_documented_responses(make_service: MakeService, serve: Serve) -> None:
    """Send valid and invalid requests that Schemathesis generates, and check the responses against the API schema."""
    n_requests: dict[str, int] = {}

    def check(operation: Any) -> None:
        @given(case=operation.as_strategy())
        @settings(
            max_examples=8, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
        )
        def send(case: Any) -> None:
            n_requests[case.operation.label] = n_requests.get(case.operation.label, 0) + 1
            case.call_and_validate(excluded_checks=[positive_data_acceptance])  # the schema allows empty queries

        send()

    with serve(create_app(make_service())) as address:
        for operation in schemathesis.openapi.from_url(f"{address}/openapi.json").get_all_operations():
            check(operation.ok())
    assert len(n_requests) == sum(len(methods) for methods in create_app(make_service()).openapi()["paths"].values())
    without_parameters = {
        *("GET /health", "GET /metrics", "POST /session"),
        *("GET /favourites", "GET /favourites.csv", "GET /favourites.json", "GET /searches"),
    }
    assert all(n >= 5 for label, n in n_requests.items() if label not in without_parameters)
