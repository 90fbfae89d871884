"""Tests of the MLflow store of DVC experiments and copied projects, and of servers that do not respond."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
import yaml

from kadr.operations.doctor.service_checks import check_mlflow
from kadr.operations.tracking.tracking_store import (
    TrackingError,
    open_store,
    store_address,
    tolerate_store_errors,
    use_experiment,
)

RECORD = """
import mlflow
from kadr.operations.tracking.tracking_store import open_store, use_experiment
with open_store():
    use_experiment("sample")
    with mlflow.start_run():
        mlflow.log_text("trees", "model.txt")
"""


@pytest.fixture
def original(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project with an empty MLflow store at the default address, and change to its folder."""
    folder = tmp_path / "original"
    folder.mkdir()
    shutil.copy(empty_store, folder / "mlflow.db")
    enter(folder, monkeypatch)
    return folder


def enter(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Change to the folder of a project and use its default store, like a new process in this folder."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "set by mlflow.set_tracking_uri")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    monkeypatch.chdir(project)


def record_model() -> None:
    """Record a run with an artifact, and register the artifact as a model."""
    with open_store():
        use_experiment("sample")
        with mlflow.start_run() as run:
            mlflow.log_text("trees", "model.txt")
        client = mlflow.MlflowClient()
        client.create_registered_model("kadr-sample")
        client.create_model_version("kadr-sample", f"{run.info.artifact_uri}/model.txt", run.info.run_id)


def recorded_paths() -> list[Path]:
    """Return the artifact folder of each run of the experiment, and the path of the registered model."""
    with open_store():
        runs = mlflow.search_runs(experiment_names=["sample"], output_format="list")
        versions = mlflow.MlflowClient().search_model_versions("name = 'kadr-sample'")
        models = [mlflow.MlflowClient().get_model_version_download_uri(each.name, each.version) for each in versions]
        return [Path(path) for path in [*(run.info.artifact_uri for run in runs), *models]]


def test_a_dvc_experiment_is_recorded_in_the_store_of_the_project(original: Path, project: Path) -> None:
    (original / "record.py").write_text(RECORD)
    (original / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"train": {"cmd": f"{sys.executable} record.py"}}}))
    (original / ".gitignore").write_text("/mlflow.db\n/mlruns/\n")
    identity = {f"GIT_{role}_{key}": "test@localhost" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
    environment = {**os.environ, **identity, "PYTHONPATH": str(project), "DVC_NO_ANALYTICS": "1"}
    dvc = f"{sys.executable} -m dvc"
    command = f"git init -q && {dvc} init -q && git add -A && git commit -qm project && {dvc} exp run --temp"
    subprocess.run(command, shell=True, env=environment, check=True)
    (artifacts,) = recorded_paths()
    assert artifacts.is_relative_to(original / "mlruns/sample")
    assert (artifacts / "model.txt").read_text() == "trees"


def test_a_copied_project_refers_to_its_own_artifacts(original: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record_model()
    copy = shutil.copytree(original, original.with_name("copy"))
    enter(copy, monkeypatch)
    paths = recorded_paths()
    assert len(paths) == 2
    assert all(path.is_relative_to(copy / "mlruns/sample") and path.exists() for path in paths)
    assert [finding.state for finding in check_mlflow()] == ["ok"]
    enter(original, monkeypatch)
    assert all(path.is_relative_to(original) for path in recorded_paths())


def test_a_moved_store_stores_new_artifacts_in_its_project(original: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record_model()
    moved = original.with_name("moved")
    moved.mkdir()
    shutil.move(original / "mlflow.db", moved)
    enter(moved, monkeypatch)
    shutil.rmtree(original)
    assert all(path.is_relative_to(moved / "mlruns/sample") for path in recorded_paths())


def test_the_doctor_reports_a_store_that_was_copied_without_its_artifacts(
    original: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_model()
    copy = original.with_name("copy of the store")
    copy.mkdir()
    shutil.copy(original / "mlflow.db", copy)
    enter(copy, monkeypatch)
    _, finding = check_mlflow()
    assert finding.message.startswith(f"The artifacts of sample are in {original}/mlruns")
    subprocess.run(finding.fix.split("`")[1], shell=True, check=True)
    assert [finding.state for finding in check_mlflow()] == ["ok"]
    assert all(path.is_relative_to(copy) and path.exists() for path in recorded_paths())


@pytest.mark.parametrize("store", ["http://{silent}", "postgresql://kadr:secret@{silent}/mlflow"])
def test_a_server_that_does_not_respond_does_not_stop_the_training(
    store: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("kadr.operations.tracking.store_probe.TIMEOUT_S", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", store.format(silent="{}:{}".format(*silent.getsockname())))
        tolerate_store_errors("the training run")(pytest.fail)("the store is not open")
    assert "MLflow did not record the training run." in caplog.text
    assert "the server does not respond. Restart the server" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("store", ["http://127.0.0.1:9", "postgresql://kadr:secret@127.0.0.1:9/mlflow"])
def test_a_stopped_server_is_reported(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    with pytest.raises(TrackingError, match="no server responds at this address"), open_store():
        pytest.fail("the store is not open")
    (finding,) = check_mlflow()
    assert finding.state == "problem"


def test_an_address_relative_to_the_project_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = tmp_path / ".dvc/tmp/exps/tmp1/subfolder"
    experiment.mkdir(parents=True)
    monkeypatch.chdir(experiment)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///runs/mlflow.db")
    assert store_address() == f"sqlite:///{tmp_path}/runs/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://localhost:5000")
    assert store_address() == "http://localhost:5000"
