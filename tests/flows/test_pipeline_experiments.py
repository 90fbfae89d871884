"""Tests of experiments that the pipeline flow runs in a copy of a small project."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import httpx
import pytest
from filelock import FileLock

from tests.flows.conftest import PROJECT
from tests.flows.test_worker import run_worker

pytestmark = pytest.mark.slow

LOCK = ".dvc/tmp/flow.lock"

DVC_YAML = """
stages:
  join:
    cmd: echo join >> runs.txt && cat data/raw/input.txt > join.txt
    deps: [data/raw/input.txt]
    outs: [join.txt]
  evaluate:
    cmd: mkdir -p metrics && python evaluate.py
    deps: [join.txt, evaluate.py]
    params: [train.num_leaves]
    metrics: [metrics/evaluate.json]
"""
EVALUATE = """
import json, pathlib, sys, yaml
leaves = yaml.safe_load(pathlib.Path("params.yaml").read_text())["train"]["num_leaves"]
if leaves == 3:
    sys.exit("evaluate: 3 leaves are not enough")
metrics = {"tau_c": {"value": float(leaves), "low": leaves - 1.0, "high": leaves + 1.0}}
pathlib.Path("metrics/evaluate.json").write_text(json.dumps(metrics))
"""
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a small project."""
    folder = tmp_path_factory.mktemp("experiments") / "project"
    (folder / "data/raw").mkdir(parents=True)
    (folder / "dvc.yaml").write_text(DVC_YAML)
    (folder / "evaluate.py").write_text(EVALUATE)
    shutil.copy(PROJECT / "prefect.yaml", folder)
    (folder / "flows").symlink_to(PROJECT / "flows")
    (folder / "data/raw/input.txt").write_text("1\n")
    (folder / ".gitignore").write_text("/data\n/flows\n/join.txt\n/runs.txt\n/metrics\n/.gitignore\n")
    return Path(shutil.copy(PROJECT / "params.yaml", folder)).parent


@pytest.fixture(scope="module")
def variables(environment: dict[str, str], server: str) -> dict[str, str]:
    """Return the environment variables of the commands."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return environment | {"PATH": path, "PREFECT_API_URL": server}


@pytest.fixture(scope="module")
def run(folder: Path, variables: dict[str, str]) -> Run:
    """Return a function that runs a command in the project, which is a git repository after `dvc repro`."""

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)

    identity = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    for command in ("init -q -b trunk", "add .", "commit -qm start"):
        assert run("git", *identity, *command.split()).returncode == 0
        if command.startswith("init"):
            assert run("dvc", "init", "-q").returncode == 0
    assert run("dvc", "repro", "-q").returncode == 0
    return run


def experiment_commands() -> list[list[str]]:
    """Return the commands in the section on experiments of docs/flows.md."""
    _, section = (
        (PROJECT / "docs/flows.md").read_text(encoding="utf-8").split("## Run an experiment with other settings\n")
    )
    block = section.split("```bash\n")[1].split("```")[0]
    return [shlex.split(line, comments=True) for line in block.splitlines()]


def experiment(run: Run, *options: str) -> subprocess.CompletedProcess[str]:
    return run(sys.executable, "-m", "flows.pipeline", *options)


def test_an_experiment_leaves_the_project_as_it_was(folder: Path, run: Run, server: str) -> None:
    before = run("git", "status", "--porcelain").stdout, run("cat", "params.yaml", "runs.txt").stdout
    _, from_command_line, *_ = experiment_commands()
    with FileLock(folder / LOCK):  # as if another run were active
        done = run(*from_command_line)
    assert done.returncode == 0, done.stderr
    assert "evaluate will run: params.yaml: train.num_leaves modified" in done.stderr
    assert (run("git", "status", "--porcelain").stdout, run("cat", "params.yaml", "runs.txt").stdout) == before
    assert run("ls", ".dvc/tmp/exps/flow").stdout == ""

    latest = httpx.post(f"{server}/artifacts/latest/filter", json={"artifacts": {"key": {"any_": ["experiment"]}}})
    page = latest.json()[0]["data"]
    assert page.startswith("# Experiment four-leaves\n\n- Settings: `train.num_leaves=4`\n")
    assert "| tau_c | 4 | 3 | 5 | 6 |" in page
    assert "`dvc exp apply four-leaves`" in page
    assert "four-leaves" in run("dvc", "exp", "list", "--name-only").stdout.split()

    tags = {"project:project", "branch:trunk", "experiment:four-leaves"}
    (flow_run,) = httpx.post(f"{server}/flow_runs/filter", json={"flow_runs": {"tags": {"all_": sorted(tags)}}}).json()
    assert set(flow_run["tags"]) == tags
    task_runs = httpx.post(
        f"{server}/task_runs/filter", json={"task_runs": {"flow_run_id": {"any_": [flow_run["id"]]}}}
    )
    assert {task_run["name"]: set(task_run["tags"]) for task_run in task_runs.json()} == {
        "evaluate": tags,
        "dvc exp save": tags,
        "dvc exp push": tags,
    }


def test_a_run_waits_for_another_run_in_the_same_folder(folder: Path, run: Run, variables: dict[str, str]) -> None:
    command = [sys.executable, "-m", "flows.pipeline"]
    lock = FileLock(folder / LOCK)
    with (
        lock,
        subprocess.Popen(command, cwd=folder, env=variables, stderr=subprocess.PIPE, text=True) as waiting,
    ):
        assert any("Waiting for another run in this folder" in line for line in waiting.stderr or ())
        lock.release()
        _, rest = waiting.communicate()
    assert waiting.returncode == 0
    assert "2 of 2 stages are up to date" in rest


def test_the_copy_of_a_failed_experiment_is_kept(run: Run) -> None:
    failed = experiment(run, "-S", "train.num_leaves=3", "--experiment", "three")
    assert failed.returncode == 1
    assert "stage evaluate failed: evaluate: 3 leaves are not enough" in failed.stderr
    assert "three" not in run("dvc", "exp", "list", "--name-only").stdout.split()
    assert run("ls", ".dvc/tmp/exps/flow").stdout == "three\n"


def test_an_unknown_setting_is_an_error_before_any_stage_runs(run: Run) -> None:
    failed = experiment(run, "-S", "train.num_leavs=7")
    assert failed.returncode == 1
    assert "train.num_leavs: unknown key. Did you mean num_leaves?" in failed.stderr
    assert "will run" not in failed.stderr


def test_the_commands_of_the_page_run_and_apply_an_experiment(
    folder: Path, run: Run, variables: dict[str, str]
) -> None:
    deployed, _, show, apply = experiment_commands()
    with chdir(folder), run_worker(variables):
        done = run(*deployed)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"seven-leaves\W+7\s", run(*show).stdout)
    old = json.loads((folder / "metrics/evaluate.json").read_text())
    assert run(*apply).returncode == 0
    new = json.loads((folder / "metrics/evaluate.json").read_text())
    assert (old["tau_c"]["value"], new["tau_c"]["value"]) == (6, 7)
