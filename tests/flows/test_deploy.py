"""Tests of the deployments in docs/deploy.md with a Prefect server, a git repository, a DVC remote and a worker."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from flows.deploy import DeployError, clone_steps
from tests.flows.conftest import PROJECT, MakeDvcProject

DEPENDENCY = "data/raw/sample"
STAGES = {
    "copy": {"cmd": f"cp {DEPENDENCY}/input.txt output.txt", "deps": [DEPENDENCY], "outs": ["output.txt"]},
    "evaluate": {"cmd": "cp output.txt last.txt", "deps": ["output.txt"], "outs": ["last.txt"]},
}

pytestmark = pytest.mark.slow


def read_commands(heading: str) -> list[str]:
    """Return the commands in one section of docs/deploy.md, without comments."""
    page = (PROJECT / "docs/deploy.md").read_text(encoding="utf-8")
    section = page.split(f"## {heading}\n")[1].split("\n## ")[0]
    blocks = re.findall(r"```bash\n(.*?)```", section, re.DOTALL)
    return [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]


def execute(command: str, folder: Path, environment: dict[str, str], exit_code: int = 0) -> str:
    process = subprocess.run(
        command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert process.returncode == exit_code, f"{command}\n{process.stdout}\n{process.stderr}"
    return process.stdout + process.stderr


@pytest.fixture(scope="module")
def variables(environment: dict[str, str], server: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment variables of the commands, with an empty home folder."""
    home = tmp_path_factory.mktemp("home")
    path = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
    git = {f"GIT_{role}_{key}": "test@localhost" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
    dvc = {"DVC_GLOBAL_CONFIG_DIR": str(home / "dvc"), "DVC_SITE_CACHE_DIR": str(home / "site")}
    return environment | git | dvc | {"HOME": str(home), "PATH": path, "PREFECT_API_URL": server}


@pytest.fixture(scope="module")
def worker(variables: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Run the worker of docs/deploy.md in an empty folder, with its own DVC cache."""
    folder = tmp_path_factory.mktemp("worker")
    cache, start = read_commands("Get the code from git and the data from DVC")[7:9]
    create_pool = read_commands("Run in a project folder")[0]
    execute(f"{create_pool} --overwrite", folder, variables)  # another test may have created the pool on this server
    execute(cache, folder, variables)
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(f"exec {start}", shell=True, cwd=folder, env=variables, **silent) as process:
        try:
            yield
        finally:
            process.terminate()


@pytest.fixture
def folder(make_dvc_project: MakeDvcProject, variables: dict[str, str], tmp_path: Path) -> Path:
    """A DVC project in git with two stages, the flows of kadr, and a bare repository as `origin`."""
    folder = make_dvc_project(STAGES)
    (folder / DEPENDENCY).mkdir(parents=True)
    shutil.move(folder / "input.txt", folder / DEPENDENCY)
    shutil.copy(PROJECT / "prefect.yaml", folder)
    (folder / "flows").symlink_to(PROJECT / "flows")
    (folder / ".gitignore").write_text("/origin\n/store\n")
    for command in (
        "git init -q --bare origin && git init -q -b main && git remote add origin $PWD/origin",
        "dvc config --unset core.no_scm && git add . ':!data' && git commit -qm project",
    ):
        execute(command, folder, variables)
    return folder


def test_a_worker_clones_the_code_and_exchanges_data_with_the_remote(
    folder: Path, variables: dict[str, str], worker: None
) -> None:
    commands = read_commands("Get the code from git and the data from DVC")
    for command in commands[:7]:
        execute(command.replace("/mnt/store", str(folder / "store")), folder, variables)
    trigger, restore = commands[9:]
    assert "Completed" in execute(trigger, folder, variables)
    assert not (folder / "last.txt").exists()
    output = execute(restore, folder, variables)
    assert output.count("is cached - skipping run") == len(STAGES)
    assert "Running stage" not in output
    assert (folder / "last.txt").read_text() == "1\n"


def test_a_deployment_belongs_to_one_folder(
    folder: Path, variables: dict[str, str], worker: None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    deploy, rename = read_commands("Run in a project folder")[1:4:2]
    second = tmp_path_factory.mktemp("second") / "kadr"
    execute(f"git clone -q {folder} {second}", folder, variables)
    execute(f"{deploy} --name moved", second, variables)
    message = execute(f"{deploy} --name moved", folder, variables, exit_code=1)
    assert f"belongs to the folder {second}" in message
    assert f"--name {folder.name.replace('_', '-')}-main" in message
    assert rename == f"{deploy} --name kadr-main"
    shutil.rmtree(second)
    execute("prefect deployment run pipeline/moved --watch", folder, variables, exit_code=1)
    response = httpx.post(f"{variables['PREFECT_API_URL']}/logs/filter", json={"logs": {"level": {"ge_": 40}}})
    assert any(f"The project folder {second} does not exist on " in log["message"] for log in response.json())


def test_a_password_in_the_address_of_the_repository_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    execute("git init -q -b main && git remote add origin https://user:secret@host.example/kadr", tmp_path, variables)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DeployError, match="contains a password") as error:
        clone_steps()
    assert "secret" not in str(error.value)
