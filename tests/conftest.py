"""Shared fixtures: the real input, an embedding cache of the test run's own, a project whose pipeline has run."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

pytest_plugins = ["tests.small_project"]

PROJECT = Path(__file__).parents[1]
SHARED = PROJECT.parent / "shared"
SMALL = [
    "clip.epochs=1",
    "evaluate.n_bootstrap=20",
    "evaluate.gates.above=null",
    "ablate.rows=[modality]",
    "train.image_folds=2",
    "train.query_folds=2",
    "train.n_estimators=20",
]
COUNTS = ["--n-train", "60", "--n-test", "10", "--n-corpus", "150"]


@pytest.fixture(scope="session")
def project() -> Path:
    """The project's folder."""
    return PROJECT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real photos, ratings and weights; the test skips where it is missing."""
    if not (SHARED / "flickr8k").is_dir():
        pytest.skip("the real photos, ratings and weights (../shared) are not on this machine")
    return SHARED


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the tests' embeddings out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KADR_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new MLflow store, made once: creating its tables takes seconds."""
    import mlflow

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    mlflow.MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


def run(command: str, folder: Path, environment: dict[str, str]) -> str:
    """Run a command as a user types it; its output."""
    done = subprocess.run(command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


@dataclass(frozen=True)
class Finished:
    """A committed copy of the project on a small sample, after one `dvc repro`. Tests change copies of it alone."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """This interpreter first on the path, and the embedding cache of that run."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        who = {f"GIT_{who}_{what}": "test@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        ours = {"PATH": path, "PYTHONPATH": ".", "KADR_CACHE": str(self.folder.with_name("cache"))}
        return {**os.environ, **who, **ours, "GIT_CONFIG_NOSYSTEM": "1", "DVC_NO_ANALYTICS": "1"}

    def copy_to(self, folder: Path) -> Path:
        """A copy at `folder`, which is not there yet."""
        return Path(shutil.copytree(self.folder, folder, symlinks=True))

    def make(self) -> None:
        """Copy the project, draw the sample, run the pipeline."""
        tracked = subprocess.run(["git", "ls-files"], cwd=PROJECT, check=True, capture_output=True, text=True).stdout
        for name in tracked.splitlines():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, self.folder / name)
        for command in (
            f"kadr sample {' '.join(COUNTS)}",
            "kadr use sample " + " ".join(f"-S {override}" for override in SMALL),
            "git init -q && git add -A && git commit -qm copy",
            "dvc repro",
        ):
            run(command, self.folder, self.environment)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Finished:
    """The finished project; the first of all the test run's workers makes it."""
    base = tmp_path_factory.getbasetemp()
    home = (base if worker_id == "master" else base.parent) / "finished"
    finished = Finished(home / "kadr")
    with FileLock(home.with_suffix(".lock")):
        if not (home / "done").exists():
            finished.make()
            (home / "done").touch()
    return finished
