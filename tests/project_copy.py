"""A copy of the finished project that tests change, and the commands of the pages that run in it."""

import os
import re
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import FinishedProject, run

TIMEOUT_S = 300


@pytest.fixture(scope="module")
def environment(finished: FinishedProject) -> dict[str, str]:
    """Return the environment variables of the finished project."""
    return finished.environment


@pytest.fixture(scope="module")
def copy(finished: FinishedProject, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the finished project. Tests can change the copy."""
    return finished.copy_to(tmp_path_factory.mktemp("copy") / "kadr")


@pytest.fixture
def restored(copy: Path) -> Iterator[Path]:
    """Yield the copy of the finished project, and restore params.yaml after the test."""
    params = (copy / "params.yaml").read_bytes()
    yield copy
    (copy / "params.yaml").write_bytes(params)


def stages_run(output: str) -> set[str]:
    """Return the names of the stages that DVC reports as running."""
    return set(re.findall(r"Running stage '([^']+)'", output))


def outdated_stages(folder: Path, environment: dict[str, str]) -> set[str]:
    """Return the stages that `dvc repro` would run."""
    return stages_run(run("dvc repro --dry", folder, environment))


@contextmanager
def run_server(command: str, folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """Run a server on a free port and yield its address. The command must end with the option `--port`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen(
        f"exec {command} {port}", shell=True, cwd=folder, env=environment, start_new_session=True, **silent
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def get_page(url: str) -> str:
    """Wait for the server and return its response to a GET request."""
    end = time.monotonic() + TIMEOUT_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as response:
                return str(response.read().decode())
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(1)
