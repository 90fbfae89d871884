"""Tests that a stage survives a killed flow, worker or server, and that the next run completes the pipeline."""

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

from tests.flows.conftest import PROJECT, MakeDvcProject, run_server

pytestmark = pytest.mark.slow

WAITING_SCRIPT = """
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
TIMEOUT_S = 120


@pytest.fixture
def folder(make_dvc_project: MakeDvcProject) -> Path:
    """A DVC project whose first stage waits for the file go.txt."""
    folder = make_dvc_project(STAGES)
    (folder / "wait.py").write_text(WAITING_SCRIPT)
    (folder / "prefect.yaml").write_bytes((PROJECT / "prefect.yaml").read_bytes())
    (folder / "flows").symlink_to(PROJECT / "flows")
    return folder


def wait_until(condition: Callable[[], object], event: str) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, f"{event} did not happen within {TIMEOUT_S} s"
        time.sleep(0.2)


@contextmanager
def started(folder: Path, environment: dict[str, str], *module: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run `python -m MODULE` in the folder, and yield the process as soon as the waiting stage has started."""
    with subprocess.Popen(
        [sys.executable, "-m", *module], cwd=folder, env=environment, stderr=subprocess.DEVNULL
    ) as process:
        try:
            wait_until((folder / "started.txt").exists, "the start of the stage")
            yield process
        finally:
            process.kill()


def is_complete(folder: Path) -> bool:
    return (folder / "last.txt").read_text() == "1\n" and (folder / "runs.txt").read_text() == "ran "


def test_the_next_run_waits_for_the_stage_of_a_killed_flow(
    folder: Path, environment: dict[str, str], server: str
) -> None:
    variables = environment | {"PREFECT_API_URL": server}
    with started(folder, variables, "flows.pipeline") as flow:
        flow.kill()
    command = [sys.executable, "-m", "flows.pipeline"]
    with subprocess.Popen(command, cwd=folder, env=variables, stderr=subprocess.PIPE, text=True) as next_run:
        busy_line = next(line for line in next_run.stderr or () if "is busy, it is being blocked by" in line)
        assert "out.txt" in busy_line
        (folder / "go.txt").touch()
        next_run.communicate()
    assert next_run.returncode == 0
    assert is_complete(folder)


def test_another_worker_replaces_a_killed_worker(folder: Path, environment: dict[str, str], server: str) -> None:
    variables = environment | {"PREFECT_API_URL": server}

    def prefect(command: str) -> None:
        subprocess.run([sys.executable, "-m", "prefect", *command.split()], cwd=folder, env=variables, check=True)

    for command in ("work-pool create kadr-pool --type process --overwrite", "deploy --all"):
        prefect(command)
    prefect("deployment run pipeline/local")
    with started(folder, variables, *WORKER) as worker:
        worker.kill()
    (folder / "go.txt").touch()
    wait_until((folder / "out.txt").exists, "the end of the stage")
    with started(folder, variables, *WORKER):
        prefect("deployment run pipeline/local --watch")
    assert is_complete(folder)


def test_a_restarted_server_receives_the_final_state(folder: Path, environment: dict[str, str], tmp_path: Path) -> None:
    home = environment | {"PREFECT_HOME": str(tmp_path / "prefect")}
    with run_server(home) as (first, api):
        variables = home | {"PREFECT_API_URL": api}
        with started(folder, variables, "flows.pipeline") as flow:
            os.kill(first.pid, signal.SIGKILL)
            with run_server(home, int(api.split(":")[2].split("/")[0])):
                (folder / "go.txt").touch()
                assert flow.wait(TIMEOUT_S) == 0
                assert httpx.post(f"{api}/flow_runs/filter", json={}).json()[0]["state"]["type"] == "COMPLETED"
    assert is_complete(folder)
