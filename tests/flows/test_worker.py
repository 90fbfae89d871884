"""The commands of docs/flows.md, as typed: deployed, run by a worker, scheduled, on a real server."""

import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.conftest import PROJECT, Toy
from tests.test_docs import blocks

STAGES = {
    "copy": {"cmd": "cp input.txt output.txt", "deps": ["input.txt"], "outs": ["output.txt"]},
    "evaluate": {"cmd": "cp output.txt last.txt", "deps": ["output.txt"], "outs": ["last.txt"]},
}


def commands(page: str = "flows.md") -> list[list[str]]:
    """Every command of the page, without its comment, in order."""
    shown = "".join(blocks(PROJECT / "docs" / page, "bash"))
    return [shlex.split(line, comments=True) for line in shown.splitlines()]


def prefect(arguments: list[str]) -> list[str]:
    return [sys.executable, "-m", "prefect", *arguments[1:]]


@pytest.fixture
def folder(toy: Toy) -> Path:
    """A DVC project of two stages with this project's flows and deployments."""
    folder = toy(STAGES)
    (folder / "prefect.yaml").write_bytes((PROJECT / "prefect.yaml").read_bytes())
    (folder / "flows").symlink_to(PROJECT / "flows")
    return folder


@pytest.fixture
def worker(folder: Path, environment: dict[str, str], server: str) -> Iterator[dict[str, str]]:
    """The environment of a shell while the worker that the page starts is at work."""
    own = environment | {"PREFECT_API_URL": server}
    before = [command for command in commands() if command[0] == "prefect"][1:4]
    for command in ([*before[0], "--overwrite"], before[1]):  # another test of this server may have made the pool
        subprocess.run(prefect(command), cwd=folder, env=own, check=True, capture_output=True)
    with subprocess.Popen(
        prefect(before[2]), cwd=folder, env=own, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield own
        finally:
            process.terminate()


@pytest.mark.slow
def test_a_worker_runs_what_is_deployed(folder: Path, worker: dict[str, str]) -> None:
    first, *others = [command for command in commands() if command[:2] == ["prefect", "deployment"]]
    (folder / "input.txt").write_text("deployed\n")
    ran = subprocess.run(prefect(first), cwd=folder, env=worker, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "Completed" in ran.stdout
    assert (folder / "last.txt").read_text() == "deployed\n"
    assert (folder / "dvc.lock").is_file()
    for command in others:
        ran = subprocess.run(prefect(command), cwd=folder, env=worker, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "0 3 * * *" in ran.stdout
