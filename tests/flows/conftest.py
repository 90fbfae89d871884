"""Fixtures for the flow tests: a Prefect server and small DVC projects.

Prefect runs only in subprocesses, because resources that Prefect leaves open would make later tests fail.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

PROJECT = Path(__file__).parents[2]
MakeDvcProject = Callable[[dict[str, Any]], Path]


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment variables for `python -m flows.NAME`, with an empty Prefect folder and no server."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    return inherited | {
        "PYTHONPATH": str(PROJECT),
        "DVC_NO_ANALYTICS": "1",  # DVC starts a background process for its analytics
        "PREFECT_HOME": str(tmp_path_factory.mktemp("prefect")),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
    }


@pytest.fixture(scope="session")
def server(environment: dict[str, str]) -> Iterator[str]:
    """API address of a Prefect server with an empty database."""
    with run_server(environment) as (_, api):
        yield api


@contextmanager
def run_server(environment: dict[str, str], port: int | None = None) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run a Prefect server on the loopback interface, and yield the server process and the API address.

    Args:
        environment: environment variables of the server.
        port: port of the server. The default is a free port.
    """
    with socket.socket() as free_socket:
        free_socket.bind(("127.0.0.1", 0))
        port = port or free_socket.getsockname()[1]
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        api = f"http://127.0.0.1:{port}/api"
        try:
            _wait_until_healthy(process, api)
            yield process, api
        finally:
            process.terminate()


def _wait_until_healthy(process: subprocess.Popen[bytes], api: str) -> None:
    for _ in range(360):
        assert process.poll() is None, "the Prefect server stopped during its start"
        try:
            if httpx.get(f"{api}/health").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.5)
    pytest.fail("the Prefect server did not start within 180 s")


@pytest.fixture
def make_dvc_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> MakeDvcProject:
    """Return a function that creates a DVC project with a file input.txt and changes to its folder."""

    def make(stages: dict[str, Any]) -> Path:
        command = [sys.executable, "-m", "dvc", "init", "--no-scm", "-q"]
        subprocess.run(command, cwd=tmp_path, env=environment, check=True)
        (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
        (tmp_path / "input.txt").write_text("1\n")
        monkeypatch.chdir(tmp_path)
        return tmp_path

    return make
