"""Attacks on a real server: slow, incomplete, oversized and malformed requests.

After each attack, the server answers other requests, has sent no status of 500 or above, and has logged no stack trace.
"""

import concurrent.futures
import contextlib
import io
import json
import logging
import socket
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI
from PIL import Image

from kadr.serve import Limits, Service, create_app

MakeService = Callable[..., Service]
Serve = Callable[[FastAPI, Limits], contextlib.AbstractContextManager[str]]
IMAGE_ID = "red dog 000.jpg"
LIMITS = Limits(header_timeout_s=0.4, max_connections=40, max_body_bytes=2_000_000)


class Server:
    """A running server that is under attack."""

    def __init__(self, address: str, client: httpx.Client) -> None:
        self.client = client
        parts = urlsplit(address)
        self.location = (str(parts.hostname), int(parts.port or 0))

    @contextlib.contextmanager
    def connect(self) -> Iterator[socket.socket]:
        with socket.create_connection(self.location, timeout=8) as connection:
            yield connection

    def send(self, *pieces: bytes, pause_s: float = 0.0) -> bytes:
        """Send bytes over a new connection, and return everything that the server sends until it closes it.

        Raises:
            TimeoutError: the server sends nothing for 8 s, and does not close the connection.
        """
        with self.connect() as connection:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                for piece in pieces:
                    connection.sendall(piece)
                    time.sleep(pause_s)
            return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            received += piece
    return received


def head(method: str = "POST", path: str = "/similar", **headers: str) -> bytes:
    """Return the start of a request, without the empty line after the headers."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n"


def status_of(response: bytes) -> int:
    return int(response.split(b" ", 2)[1]) if response else 0


def detail_of(response: bytes) -> str:
    body, _ = json.JSONDecoder().raw_decode(response.partition(b"\r\n\r\n")[2].decode())
    return str(body["detail"])


@pytest.fixture
def server(make_service: MakeService, serve: Serve, caplog: pytest.LogCaptureFixture) -> Iterator[Server]:
    """A server that must survive the attack of the test."""
    caplog.set_level(logging.WARNING)
    service = make_service(max_body_bytes=LIMITS.max_body_bytes)
    with serve(create_app(service), LIMITS) as address, httpx.Client(base_url=address, timeout=10) as client:
        yield Server(address, client)
        assert client.post("/search", json={"text": "dog"}).status_code == 200
        metrics = client.get("/metrics").text
        assert not [line for line in metrics.splitlines() if 'status="5' in line]
    assert not [record for record in caplog.records if record.exc_info]


def test_headers_that_never_end_time_out(server: Server) -> None:
    response = server.send(head(), *[b"X-%d: 1\r\n" % n for n in range(8)], pause_s=0.1)
    assert (status_of(response), "0.4 s" in detail_of(response)) == (408, True)


def test_a_connection_without_a_request_is_closed(server: Server) -> None:
    assert server.send() == b""


def test_half_a_second_request_times_out(server: Server) -> None:
    request = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
    response = server.send(request + b"\r\n", request, pause_s=0.2)
    assert response.count(b"HTTP/1.1 ") == 2
    assert b"HTTP/1.1 408" in response


def test_a_slow_body_times_out(make_service: MakeService, serve: Serve) -> None:
    request = head(path="/search", Content_Type="application/json", Content_Length="1000") + b"\r\n"
    with serve(create_app(make_service(request_timeout_s=0.5)), LIMITS) as address, httpx.Client() as client:
        response = Server(address, client).send(request, *[b"{"] * 10, pause_s=0.1)
    assert (status_of(response), "did not arrive within 0.5 s" in detail_of(response)) == (408, True)


def test_a_body_that_nobody_reads_does_not_keep_the_connection(server: Server) -> None:
    request = head(path="/none", Content_Length="1000").replace(b"Connection: close\r\n", b"") + b"\r\n"
    response = server.send(request, *[b"x"] * 20, pause_s=0.1)
    assert status_of(response) == 404


MULTIPART = "multipart/form-data; boundary=B"
PART = b'--B\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'


@pytest.mark.parametrize(
    "body",
    [
        PART + b"\xff\xd8\xff",
        b"--B\r\n",
        b"--B",
        b"",
        b"--B\r\nContent-Disposition: form-data\r\n\r\nx\r\n--B--\r\n",
        b'--B\r\nContent-Disposition: form-data; name="image"; filename="\xff\x00"\r\n\r\nx\r\n--B--\r\n',
        b"--B\r\n" + b"X: 1\r\n" * 5000 + b"\r\n\r\n--B--\r\n",
        b"".join(b'--B\r\nContent-Disposition: form-data; name="f%d"\r\n\r\nx\r\n' % n for n in range(500)) + b"--B--",
        b'--B\r\nContent-Disposition: form-data; name="image"\r\n\r\n' + b"x" * 1_900_000 + b"\r\n--B--\r\n",
        (PART + b"x\r\n") * 30 + b"--B--\r\n",
    ],
    ids=["half", "open", "boundary", "empty", "no name", "null", "headers", "fields", "long field", "files"],
)
@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # Starlette leaves an unfinished file open
def test_a_malformed_form_is_a_client_error(server: Server, body: bytes) -> None:
    for path in ("/similar", "/score"):
        response = server.client.post(path, content=body, headers={"Content-Type": MULTIPART})
        assert response.status_code in {400, 422}
        assert response.json()["detail"]


def test_a_client_that_leaves_in_the_middle_of_a_form_does_no_harm(server: Server) -> None:
    for n_bytes in (0, 10, len(PART) + 2):
        with server.connect() as connection:
            request = head(Content_Type=MULTIPART, Content_Length="5000") + b"\r\n" + PART + b"\xff\xd8\xff"
            connection.sendall(request[: len(request) - n_bytes])


@pytest.mark.parametrize(
    "request_head",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"GET\r\n\r\n",
        head("GET", "/").replace(b"1.1", b"9.9") + b"\r\n",
        head("GET", "/").replace(b"Host", b"Ghost") + b"\r\n",
        head("GET", "/", Host="localhost") + b"\r\n",
        head("GET", "/" + "a" * 100_000) + b"\r\n",
        head("GET", "/", X="y" * 200_000) + b"\r\n",
        head("GET", "/") + b"X: 1\r\n" * 20_000 + b"\r\n",
        head("GET", "/", X="a\x00b") + b"\r\n",
        head(Content_Length="-1") + b"\r\n",
        head(Content_Length="5", Transfer_Encoding="chunked") + b"\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n",
        head(Transfer_Encoding="chunked") + b"\r\nZZZ\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_invalid_http_is_a_client_error(server: Server, request_head: bytes) -> None:
    response = server.send(request_head)
    assert status_of(response) < 500
    assert status_of(response) in {0, 200} or detail_of(response)


@pytest.mark.parametrize("upgrade", ["websocket", "h2c"])
def test_an_upgrade_is_ignored(server: Server, upgrade: str) -> None:
    response = server.send(
        head("GET", "/health", Upgrade=upgrade).replace(b"Connection: close", b"Connection: upgrade")
    )
    assert status_of(response) in {0, 200, 400, 408}


TRAVERSALS = [
    "../../../../etc/passwd",
    "..%2f..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e/etc/passwd",
    "/etc/passwd",
    "....//....//etc/passwd",
    "..\\..\\etc\\passwd",
    "file:///etc/passwd",
    "%00",
    "a%00.jpg",
    "%ff%fe",
    "%ed%a0%80",
    "%0d%0aX-Injected:%201",
    "%",
    "%zz",
    "a" * 5000,
]


@pytest.mark.parametrize("image_id", TRAVERSALS)
def test_no_path_leads_out_of_the_index(server: Server, image_id: str) -> None:
    for method, route in [
        ("GET", "/images"),
        ("GET", "/thumbnails"),
        ("GET", "/metadata"),
        ("GET", "/static"),
        ("PUT", "/favourites"),
        ("GET", "/searches"),
    ]:
        response = server.send(head(method, f"{route}/{image_id}", Content_Length="0") + b"\r\n")
        assert status_of(response) in {400, 404, 405, 422}, (route, response[:200])
        assert b"root:" not in response
        assert b"X-Injected" not in response.partition(b"\r\n\r\n")[0]
        assert detail_of(response)


JSON_BODIES = [
    b"[" * 400_000,
    b'{"a":' * 150_000,
    b'{"text": NaN}',
    b'{"text": "dog", "k": Infinity}',
    b'{"text": "dog", "k": 1e400}',
    b'{"text": "dog", "k": ' + b"9" * 5000 + b"}",
    b'{"text": "\\ud800"}',
    b'{"text": "\xed\xa0\x80"}',
    b'{"text": "dog\\u0000"}',
    b'{"text": "dog", "filters": {"after": "99999-01-01"}}',
    b'{"text": "dog", "filters": {"near": {"latitude": NaN, "longitude": 1, "km": 1}}}',
    b'{"text": "dog", "terms": [' + b'{"text": "x"},' * 20_000 + b"null]}",
    b'{"filters": {"name": "[[[[*?"}}',
    b'{"filters": {"folder": "\\u0000"}}',
    b"null",
    b"",
    b"\xff\xfe{\x00}\x00",
    b'{"text": "' + b"+" * 400 + b'"}',
    b'{"text": "' + b'\\" - ' * 90 + b'"}',
]


CONTENT_TYPES = ("text/plain", "application/x-www-form-urlencoded", "\u00e9/;=", MULTIPART)


def test_hostile_json_is_no_server_error(server: Server) -> None:
    routes = ["POST /search", "POST /facets", "POST /annotation/ratings", "PUT /searches/x", "POST /download"]
    requests = [(route, body, "application/json") for route in routes for body in JSON_BODIES]
    requests += [(route, JSON_BODIES[2], content_type) for route in routes for content_type in CONTENT_TYPES]
    for route, body, content_type in requests:
        method, path = route.split()
        headers = {"Content-Type": content_type.encode("latin-1")}
        response = server.client.request(method, path, content=body, headers=headers)
        assert response.status_code < 500, (route, body[:50], content_type, response.text[:300])
        assert response.status_code < 400 or response.json()["detail"]


def png(width: int, height: int, *, complete: bool = True) -> bytes:
    """Return a PNG file of black pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    pixels = zlib.compress(bytes((3 * width + 1) * height) if complete else b"", 1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def encode(image_format: str, size: tuple[int, int] = (64, 48), n_frames: int = 1) -> bytes:
    content = io.BytesIO()
    frames = [Image.new("RGB", size, (number % 256, 0, 0)) for number in range(n_frames)]
    options = {"save_all": True, "append_images": frames[1:]} if n_frames > 1 else {}
    frames[0].save(content, image_format, **options)
    return content.getvalue()


IMAGES = {
    "thin": png(1, 200_000),
    "flat": png(200_000, 1),
    "huge": png(60_000, 60_000, complete=False),
    "no pixels": png(500, 500, complete=False),
    "zero": png(0, 0, complete=False),
    "animated": encode("GIF", n_frames=200),
    "animated webp": encode("WEBP", n_frames=30),
    "truncated": encode("JPEG")[:400],
    "truncated avif": encode("AVIF")[:300],
    "truncated tiff": encode("TIFF")[:-500],
    "text": b"GIF89a" + b"\xff" * 1000,
    "random": bytes(range(256)) * 40,
}


@pytest.mark.parametrize("name", IMAGES)
def test_a_hostile_image_is_no_server_error(server: Server, name: str) -> None:
    for path in ("/similar", "/score"):
        files = {"image": ("a.png", IMAGES[name])}
        response = server.client.post(path, files=files, data={"text": "dog"} if path == "/score" else {})
        assert response.status_code == (200 if name.startswith("animated") else 422), response.text
        assert name.startswith("animated") or response.json()["detail"]


def test_forty_uploads_at_once(server: Server) -> None:
    contents = [*list(IMAGES.values())[:5], png(1500, 1500), b"x" * 1_900_000, encode("JPEG", (2000, 2000))]

    def upload(number: int) -> int:
        files = {"image": ("a", contents[number % len(contents)])}
        return server.client.post("/similar", files=files, timeout=30).status_code

    with concurrent.futures.ThreadPoolExecutor(36) as threads:
        statuses = list(threads.map(upload, range(40)))
    assert set(statuses) == {200, 422}


def test_more_connections_than_allowed_are_refused_and_then_accepted(make_service: MakeService, serve: Serve) -> None:
    limits = Limits(max_connections=5, header_timeout_s=5)
    with serve(create_app(make_service()), limits) as address, contextlib.ExitStack() as stack:
        server = Server(address, stack.enter_context(httpx.Client()))
        for _ in range(5):
            stack.enter_context(server.connect()).sendall(b"GET / HTTP/1.1\r\n")
        response = server.send(head("GET", "/health") + b"\r\n")
        assert (status_of(response), "too many open connections" in detail_of(response)) == (503, True)
        stack.close()
        time.sleep(0.1)
        assert httpx.get(f"{address}/health").status_code == 200


def test_a_zip_of_all_images_can_be_left(server: Server) -> None:
    matches = server.client.post("/search", json={"k": 200}).json()["matches"]
    image_ids = [match["image_id"] for match in matches]
    assert len(server.client.post("/download", json={"image_ids": image_ids}).content) > 20_000
    for _ in range(5):
        with server.client.stream("POST", "/download", json={"image_ids": image_ids}) as response:
            assert response.status_code == 200


def test_forbidden_methods_and_ranges_are_client_errors(server: Server) -> None:
    for method in ("TRACE", "CONNECT", "PATCH", "DELETE", "BREW"):
        response = server.send(head(method, "/search", Content_Length="0") + b"\r\n")
        assert status_of(response) in {400, 405}
    path = f"/images/{IMAGE_ID}"
    for value in ("bytes=9999999-", "bytes=-", "bytes=a-b", "bytes=5-1", "bytes=" + "0-1," * 3000):
        response = server.client.get(path, headers={"Range": value})
        assert response.status_code in {200, 206, 400, 416, 431}
        assert response.status_code < 400 or response.json()["detail"]
    assert server.client.get(path, headers={"Range": "bytes=0-9"}).content == server.client.get(path).content[:10]


def test_work_of_a_client_that_left_is_dropped(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    n_started, n_finished = 0, 0

    def slow_check(_content: bytes, _pixels: int) -> None:
        nonlocal n_started, n_finished
        n_started += 1
        time.sleep(0.5)
        n_finished += 1

    monkeypatch.setattr("kadr.serve.uploads.check_upload", slow_check)
    body = PART + b"\xff\xd8\xff\r\n--B--\r\n"
    request = head(Content_Type=MULTIPART, Content_Length=str(len(body))) + b"\r\n" + body
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(server.connect()).sendall(request)
        time.sleep(0.3)
    time.sleep(1.0)
    assert (n_started, n_finished) == (2, 2)  # two were being decoded, and six waited
