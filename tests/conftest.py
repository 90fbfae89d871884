"""Shared fixtures: real input data, a temporary embedding cache, and a project after a pipeline run."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

pytest_plugins = ["tests.project_copy", "tests.small_project", "tests.postgres"]

os.environ["OMP_WAIT_POLICY"] = "PASSIVE"  # idle OpenMP threads leave the cores to the other test processes
os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = (
    "false"  # jobs start 8 more processes per server, and no test uses them
)

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in a background job of a shell
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the subprocesses of the tests must not ignore it, too

PROJECT = Path(__file__).parents[1]
SHARED = PROJECT.parent / "shared"
TIMEOUT_S = 600
SMALL_SETTINGS = [
    "clip.epochs=1",
    "evaluate.n_bootstrap=20",
    "evaluate.gates.above=null",
    "ablate.rows=[modality]",
    "train.image_folds=2",
    "train.query_folds=2",
    "train.n_estimators=20",
]
SAMPLE_COUNTS = ["--n-train", "60", "--n-test", "10", "--n-corpus", "150"]


@pytest.fixture(scope="session")
def project() -> Path:
    """Return the project folder."""
    return PROJECT


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of real images, ratings and weights. Skip the test if the folder is missing."""
    if not (SHARED / "flickr8k").is_dir():
        pytest.skip("the folder ../shared with real images, ratings and weights does not exist")
    return SHARED


@pytest.fixture(scope="session", autouse=True)
def temporary_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Use a temporary embedding cache and temporary user folders, so that tests do not change those of the user."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KADR_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("KADR_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an empty MLflow store. Creating its tables takes seconds, so tests copy this file."""
    import mlflow

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    mlflow.MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


def run(command: str, folder: Path, environment: dict[str, str]) -> str:
    """Run a shell command and return its output. The test fails if the command fails, or takes longer than TIMEOUT_S.

    The output of a command that hangs contains the stacks of its Python processes.
    """
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, shell=True, cwd=folder, env=environment, start_new_session=True, **pipes) as process:
        try:
            output, errors = process.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGABRT)  # PYTHONFAULTHANDLER makes Python print the stacks of its threads
            output, errors = process.communicate(timeout=60)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, f"{command}\n{output}\n{errors}"
    return output + errors


@dataclass(frozen=True)
class FinishedProject:
    """A committed copy of the project after `dvc repro` on a small sample. Tests must not change the copy."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that select this Python and the embedding cache of the finished project."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        git = {f"GIT_{role}_{key}": "test@localhost" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
        variables = {"PATH": path, "PYTHONPATH": ".", "KADR_CACHE": str(self.folder.with_name("cache"))}
        variables["PYTHONFAULTHANDLER"] = "1"
        return {**os.environ, **git, **variables, "GIT_CONFIG_NOSYSTEM": "1", "DVC_NO_ANALYTICS": "1"}

    def copy_to(self, folder: Path) -> Path:
        """Copy the project to `folder`, which must not exist."""
        return Path(shutil.copytree(self.folder, folder, symlinks=True))

    def create(self) -> None:
        """Copy the source files, write a small sample and run the pipeline."""
        tracked = subprocess.run(["git", "ls-files"], cwd=PROJECT, check=True, capture_output=True, text=True).stdout
        for name in tracked.splitlines():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, self.folder / name)
        for command in (
            f"kadr sample {' '.join(SAMPLE_COUNTS)}",
            "kadr use sample " + " ".join(f"-S {setting}" for setting in SMALL_SETTINGS),
            "git init -q && git add -A && git commit -qm copy",
            "dvc repro",
        ):
            run(command, self.folder, self.environment)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> FinishedProject:
    """Return the finished project. All test workers share one project, which the first worker creates."""
    base = tmp_path_factory.getbasetemp()
    home = (base if worker_id == "master" else base.parent) / "finished"
    finished = FinishedProject(home / "kadr")
    with FileLock(home.with_suffix(".lock")):
        if not (home / "done").exists():
            finished.create()
            (home / "done").touch()
    return finished
