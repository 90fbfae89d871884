"""Tests of the commands in docs/flows.md with a Prefect server and a worker."""

import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
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


@contextmanager
def run_worker(variables: dict[str, str]) -> Iterator[None]:
    """Deploy the flows in the working directory and run a worker, with the commands of docs/flows.md.

    Deployments of other tests are deleted, because they belong to other folders.
    """
    api = variables["PREFECT_API_URL"]
    for deployment in httpx.post(f"{api}/deployments/filter", json={}).json():
        httpx.delete(f"{api}/deployments/{deployment['id']}").raise_for_status()
    create_pool, start_worker = [command for command in commands() if command[0] == "prefect"][1:3]
    (deploy,) = [command for command in commands() if command[-1] == "flows.deploy"]
    for command in (prefect([*create_pool, "--overwrite"]), [sys.executable, *deploy[1:]]):
        subprocess.run(command, env=variables, check=True, capture_output=True)
    with subprocess.Popen(
        prefect(start_worker), env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield
        finally:
            process.terminate()


@pytest.fixture
def worker(folder: Path, environment: dict[str, str], server: str) -> Iterator[dict[str, str]]:
    """Environment variables for commands. The worker of docs/flows.md runs until the end of the test."""
    variables = environment | {"PREFECT_API_URL": server}
    with run_worker(variables):
        yield variables


@pytest.mark.slow
def test_a_worker_runs_the_deployments(folder: Path, worker: dict[str, str]) -> None:
    deployment_commands = [command for command in commands() if command[:2] == ["prefect", "deployment"]]
    first, *others = [command for command in deployment_commands if "overrides" not in " ".join(command)]
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
