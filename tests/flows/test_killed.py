"""What `kill -9` of the flow, of the worker and of the server leaves: the stage goes on, the next run ends right."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.flows.conftest import PROJECT, Toy, serving

pytestmark = pytest.mark.slow

WAITING = """
import pathlib, time
pathlib.Path("started.txt").touch()
with open("runs.txt", "a") as runs:
    runs.write("ran ")
while not pathlib.Path("go.txt").exists():
    time.sleep(0.1)
pathlib.Path("out.txt").write_text(pathlib.Path("input.txt").read_text())
"""
STAGES = {
    "wait": {"cmd": "python wait.py", "deps": ["wait.py", "input.txt"], "outs": ["out.txt"]},
    "last": {"cmd": "cp out.txt last.txt", "deps": ["out.txt"], "outs": ["last.txt"]},
}
WORKER = ("prefect", "worker", "start", "--pool", "kadr-pool")
WAIT_S = 120
Command = Callable[..., list[str]]


@pytest.fixture
def folder(toy: Toy) -> Path:
    """A project whose first stage waits for the file go.txt."""
    folder = toy(STAGES)
    (folder / "wait.py").write_text(WAITING)
    (folder / "prefect.yaml").write_bytes((PROJECT / "prefect.yaml").read_bytes())
    (folder / "flows").symlink_to(PROJECT / "flows")
    return folder


def wait_until(true: Callable[[], object], what: str) -> None:
    end = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < end, f"{what}: not within {WAIT_S} s"
        time.sleep(0.2)


@contextmanager
def started(folder: Path, environment: dict[str, str], *module: str) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m MODULE` in the folder, once the waiting stage has started."""
    with subprocess.Popen(
        [sys.executable, "-m", *module], cwd=folder, env=environment, stderr=subprocess.DEVNULL
    ) as it:
        try:
            wait_until((folder / "started.txt").exists, "the stage starts")
            yield it
        finally:
            it.kill()


def is_right(folder: Path) -> bool:
    return (folder / "last.txt").read_text() == "1\n" and (folder / "runs.txt").read_text() == "ran "


def test_a_killed_flow_leaves_its_stage_and_the_next_run_waits_for_it(
    folder: Path, environment: dict[str, str], server: str
) -> None:
    own = environment | {"PREFECT_API_URL": server}
    with started(folder, own, "flows.pipeline") as flow:
        flow.kill()
    command = [sys.executable, "-m", "flows.pipeline"]
    with subprocess.Popen(command, cwd=folder, env=own, stderr=subprocess.PIPE, text=True) as again:
        busy = next(line for line in again.stderr or () if "is busy, it is being blocked by" in line)
        assert "out.txt" in busy
        (folder / "go.txt").touch()
        again.communicate()
    assert again.returncode == 0
    assert is_right(folder)


def test_after_a_killed_worker_the_next_one_goes_on(folder: Path, environment: dict[str, str], server: str) -> None:
    own = environment | {"PREFECT_API_URL": server}

    def prefect(command: str) -> None:
        subprocess.run([sys.executable, "-m", "prefect", *command.split()], cwd=folder, env=own, check=True)

    for command in ("work-pool create kadr-pool --type process --overwrite", "deploy --all"):
        prefect(command)
    prefect("deployment run pipeline/local")
    with started(folder, own, *WORKER) as worker:
        worker.kill()
    (folder / "go.txt").touch()
    wait_until((folder / "out.txt").exists, "the stage ends")
    with started(folder, own, *WORKER):
        prefect("deployment run pipeline/local --watch")
    assert is_right(folder)


def test_a_killed_server_that_comes_back_gets_the_end_of_the_run(
    folder: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    home = environment | {"PREFECT_HOME": str(tmp_path / "prefect")}
    with serving(home) as (first, api):
        own = home | {"PREFECT_API_URL": api}
        with started(folder, own, "flows.pipeline") as flow:
            os.kill(first.pid, signal.SIGKILL)
            with serving(home, int(api.split(":")[2].split("/")[0])):
                (folder / "go.txt").touch()
                assert flow.wait(WAIT_S) == 0
                assert httpx.post(f"{api}/flow_runs/filter", json={}).json()[0]["state"]["type"] == "COMPLETED"
    assert is_right(folder)
