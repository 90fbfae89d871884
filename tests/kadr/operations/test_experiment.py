"""Tests of the temporary copy of the project in which an experiment runs."""

import os
import shutil
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import pytest

from kadr.errors import ParamsError
from kadr.operations.experiment import ExperimentError, create_experiment
from kadr.params import load_params

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning"),  # raised by pygtrie, which DVC uses
]

DVC_YAML = """
stages:
  first:
    cmd: cat code.py data/raw/own/a.txt ../outside/b.txt > first.txt
    deps: [code.py, data/raw/own, ../outside, data/vectors, ABSOLUTE]
    outs: [first.txt]
  second:
    cmd: grep num_leaves params.yaml > second.txt
    deps: [first.txt]
    params: [train.num_leaves]
    outs: [second.txt]
"""
GITIGNORE = "/data/raw/*\n/data/vectors/own\n/first.txt\n/second.txt\n"


def git(*arguments: str) -> str:
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    return subprocess.run(["git", *identity, *arguments], check=True, capture_output=True, text=True).stdout


def dvc(*arguments: str) -> str:
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    command = [sys.executable, "-m", "dvc", *arguments]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Path:
    """A git repository after `dvc repro`, whose inputs are partly in git, ignored by git, and outside of the folder."""
    tmp_path = tmp_path_factory.mktemp("experiment")
    folder = tmp_path / "project"
    (tmp_path / "absolute.txt").touch()
    for path in ("project/data/raw/own/a.txt", "project/data/vectors/own/v.txt", "outside/b.txt", "project/code.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(f"{path}\n")
    (folder / "data/vectors/README.md").touch()
    (folder / "dvc.yaml").write_text(DVC_YAML.replace("ABSOLUTE", str(tmp_path / "absolute.txt")))
    (folder / ".gitignore").write_text(GITIGNORE)
    shutil.copy(project / "params.yaml", folder)
    with chdir(folder):
        git("init", "-q")
        dvc("init", "-q")
        git("add", ".")
        git("commit", "-qm", "start")
        (folder / "code.py").write_text("changed, but not committed\n")
        dvc("repro", "-q")
    return folder


@pytest.fixture
def folder(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The repository as the working directory."""
    monkeypatch.chdir(repository)
    return repository


def test_the_copy_has_all_inputs_and_outputs_and_the_project_is_not_changed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (folder / "params.yaml").read_bytes(), git("status", "--porcelain")
    experiment = create_experiment("leaves", ["train.num_leaves=7"])
    assert ((folder / "params.yaml").read_bytes(), git("status", "--porcelain")) == before
    assert load_params(experiment.folder / "params.yaml").train.num_leaves == 7
    assert (experiment.folder / "first.txt").read_text() == (folder / "first.txt").read_text()
    assert (experiment.folder / "data/raw/own").readlink() == folder / "data/raw/own"
    assert (experiment.folder / "../outside/b.txt").samefile(folder / "../outside/b.txt")

    with pytest.raises(ExperimentError, match="with this name is running or has failed"):
        create_experiment("leaves", [])

    monkeypatch.chdir(experiment.folder)
    assert "first" not in dvc("status").replace("first.txt", "")  # all inputs of this stage are the same
    dvc("repro", "-q")
    assert (experiment.folder / "second.txt").read_text().split()[1] == "7"
    dvc("exp", "save", "-q", "--name", "leaves")
    dvc("exp", "push", "-q", "--no-cache", "origin", "leaves")
    monkeypatch.chdir(folder)
    experiment.delete()
    assert (folder / "second.txt").read_text().split()[1] != "7"
    assert ((folder / "params.yaml").read_bytes(), git("status", "--porcelain")) == before

    with pytest.raises(ExperimentError, match="already an experiment 'leaves'"):
        create_experiment("leaves", [])
    dvc("exp", "apply", "leaves")
    assert (folder / "second.txt").read_text().split()[1] == "7"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.num_leavs=7", "train.num_leavs: unknown key. Did you mean num_leaves?"),
        ("trian.num_leaves=7", "no section 'trian' for the key 'num_leaves'. Did you mean train?"),
        ("train.num_leaves=many", "train.num_leaves: "),
    ],
    ids=["unknown key", "unknown section", "invalid value"],
)
def test_an_invalid_setting_leaves_no_copy(folder: Path, override: str, message: str) -> None:
    with pytest.raises(ParamsError) as error:
        create_experiment("other", [override])
    assert message in str(error.value)
    assert os.listdir(folder / ".dvc/tmp/exps/flow") == []


def test_the_name_must_be_valid(folder: Path) -> None:
    with pytest.raises(ExperimentError, match="not a valid name"):
        create_experiment("two words", [])


def test_a_folder_without_a_git_commit_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ExperimentError, match="git repository with a commit"):
        create_experiment("leaves", [])
