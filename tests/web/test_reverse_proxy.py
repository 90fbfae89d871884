"""Tests of the server behind a reverse proxy: prefix, host name, client address and secure cookie."""

import contextlib
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
from fastapi import FastAPI

from kadr.serve import Service, create_app

MakeService = Callable[..., Service]
Serve = Callable[[FastAPI], contextlib.AbstractContextManager[str]]
PAGE = Path(__file__).parents[2] / "docs" / "serve.md"
STATIC = Path(__file__).parents[2] / "kadr" / "serve" / "static"
TOKEN = "0123456789abcdef"
AUTHORIZATION = {"Authorization": f"Bearer {TOKEN}"}
IMAGE_ID = "red dog 000.jpg"


@pytest.fixture
def server(make_service: MakeService, serve: Serve) -> Iterator[str]:
    """The address of a server with an access token."""
    with serve(create_app(make_service(), TOKEN)) as address:
        yield address


@pytest.fixture
def proxy(server: str, tmp_path: Path) -> Iterator[str]:
    """The address of the page behind nginx, with the configuration in docs/serve.md."""
    if shutil.which("nginx") is None:
        pytest.skip("nginx is not installed")
    (block,) = re.findall(r"(?ms)^```nginx\n(.*?)^```", PAGE.read_text(encoding="utf-8"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    block = block.replace("127.0.0.1:8000", urlsplit(server).netloc).replace("listen 8080", f"listen 127.0.0.1:{port}")
    folders = "".join(
        f"{name}_temp_path {tmp_path}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    log = f"error_log {tmp_path}/error.log;\npid {tmp_path}/pid;\n"
    (tmp_path / "nginx.conf").write_text(f"{log}events {{}}\nhttp {{\naccess_log off;\n{folders}{block}}}\n")
    command = [
        "nginx",
        "-p",
        str(tmp_path),
        "-c",
        str(tmp_path / "nginx.conf"),
        "-g",
        "daemon off; master_process off;",
    ]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/photos/"
    finally:
        process.terminate()
        process.wait(10)


def test_the_page_works_under_a_prefix_of_nginx(proxy: str) -> None:
    with httpx.Client() as client:
        page = client.get(proxy)
        assert page.status_code == 200
        urls = [urljoin(proxy, url) for url in re.findall(r'(?:src|href)="(static/[^"]+)"', page.text)]
        assert len(urls) >= 4
        for url in urls:
            assert "immutable" in client.get(url).headers["cache-control"], url
        origin = {"Origin": f"http://{urlsplit(proxy).netloc}"}
        session = client.post(urljoin(proxy, "session"), headers=AUTHORIZATION | origin)
        assert session.status_code == 204
        assert client.get(urljoin(proxy, f"thumbnails/{IMAGE_ID}")).status_code == 200
        found = client.post(urljoin(proxy, "search"), json={"text": "red dog"}, headers=origin)
        assert found.json()["matches"][0]["image_id"].startswith("red dog")
        upload = client.post(urljoin(proxy, "similar"), files={"image": bytes(100)}, headers=origin)
        assert upload.status_code == 422
        foreign = client.post(urljoin(proxy, "search"), json={"text": "dog"}, headers={"Origin": "http://evil.example"})
        assert (foreign.status_code, "Host header" in foreign.json()["detail"]) == (403, True)


def test_the_log_names_the_client_and_not_the_proxy(proxy: str, caplog: pytest.LogCaptureFixture) -> None:
    spoofed = {"Authorization": "Bearer wrong", "X-Forwarded-For": "10.9.9.9"}
    assert httpx.get(urljoin(proxy, "metrics"), headers=spoofed).status_code == 401
    assert "Wrong access token from 127.0.0.1" in caplog.text
    assert "10.9.9.9" not in caplog.text


@pytest.mark.parametrize(("scheme", "is_secure"), [("https", True), ("http", False)])
def test_the_cookie_is_secure_behind_tls(server: str, scheme: str, is_secure: bool) -> None:
    response = httpx.post(f"{server}/session", headers=AUTHORIZATION | {"X-Forwarded-Proto": scheme})
    assert ("Secure" in response.headers["set-cookie"]) == is_secure


def test_a_modern_browser_needs_no_forwarded_host(server: str) -> None:
    headers = AUTHORIZATION | {"Origin": "https://photos.example", "Sec-Fetch-Site": "same-origin"}
    assert httpx.post(f"{server}/search", json={"text": "dog"}, headers=headers).status_code == 200
    for site in ("cross-site", "same-site"):
        rejected = httpx.post(f"{server}/search", json={}, headers=headers | {"Sec-Fetch-Site": site})
        assert rejected.status_code == 403


def test_the_page_has_no_absolute_address() -> None:
    for path in STATIC.glob("*.*"):
        text = path.read_text(encoding="utf-8")
        assert not re.findall(
            r"""(?:src|href)=["']/|(?:fetch|request|import)\(\s*["'`]/|url\(["']?/|from ["']/""", text
        ), path
