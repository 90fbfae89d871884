"""Tests of the commands in docs/flows.md with a Prefect server and a worker."""

import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.conftest import PROJECT, MakeDvcProject
from tests.test_docs import read_blocks

STAGES = {
    "copy": {"cmd": "cp input.txt output.txt", "deps": ["input.txt"], "outs": ["output.txt"]},
    "evaluate": {"cmd": "cp output.txt last.txt", "deps": ["output.txt"], "outs": ["last.txt"]},
}


def commands(page: str = "flows.md") -> list[list[str]]:
    """Return the commands of a docs page in order, without comments."""
    script = "".join(read_blocks(PROJECT / "docs" / page, "bash"))
    return [shlex.split(line, comments=True) for line in script.splitlines()]


def prefect(arguments: list[str]) -> list[str]:
    return [sys.executable, "-m", "prefect", *arguments[1:]]


@pytest.fixture
def folder(make_dvc_project: MakeDvcProject) -> Path:
    """A DVC project with two stages and the flows and deployments of kadr."""
    folder = make_dvc_project(STAGES)
    (folder / "prefect.yaml").write_bytes((PROJECT / "prefect.yaml").read_bytes())
    (folder / "flows").symlink_to(PROJECT / "flows")
    return folder


@pytest.fixture
def worker(folder: Path, environment: dict[str, str], server: str) -> Iterator[dict[str, str]]:
    """Environment variables for commands. The worker of docs/flows.md runs until the end of the test."""
    variables = environment | {"PREFECT_API_URL": server}
    create_pool, deploy, start_worker = [command for command in commands() if command[0] == "prefect"][1:4]
    for command in ([*create_pool, "--overwrite"], deploy):  # another test may have created the pool on this server
        subprocess.run(prefect(command), cwd=folder, env=variables, check=True, capture_output=True)
    with subprocess.Popen(
        prefect(start_worker), cwd=folder, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield variables
        finally:
            process.terminate()


@pytest.mark.slow
def test_a_worker_runs_the_deployments(folder: Path, worker: dict[str, str]) -> None:
    first, *others = [command for command in commands() if command[:2] == ["prefect", "deployment"]]
    (folder / "input.txt").write_text("deployed\n")
    process = subprocess.run(prefect(first), cwd=folder, env=worker, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stdout + process.stderr
    assert "Completed" in process.stdout
    assert (folder / "last.txt").read_text() == "deployed\n"
    assert (folder / "dvc.lock").is_file()
    for command in others:
        process = subprocess.run(prefect(command), cwd=folder, env=worker, capture_output=True, text=True, check=False)
        assert process.returncode == 0, process.stdout + process.stderr
    assert "0 3 * * *" in process.stdout
