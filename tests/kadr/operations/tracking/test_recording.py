"""Tests of recording training runs and evaluations in an intact, locked, damaged, deleted or shared MLflow store."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mlflow
import pytest
from sqlalchemy.exc import IntegrityError

from kadr.operations.tracking import recording
from kadr.operations.tracking.lineage import dvc_md5, folder_digest, reproduction_note, run_name
from kadr.operations.tracking.run_plots import importance_plot
from kadr.operations.tracking.runs import find_run
from kadr.operations.tracking.tracking_store import open_store
from kadr.params import Params
from kadr.project import PROJECT

pytestmark = pytest.mark.slow

RECORD_SCRIPT = """
from kadr.operations.tracking import recording
from kadr.params import load_params
from kadr.project import PROJECT
import logging
logging.basicConfig()
child_metrics = {f"fold {i}": {"rmse": 0.1} for i in range(10)}
inputs = {"relevance": PROJECT.relevance}
recording.record_training(load_params(), PROJECT.relevance_model, inputs, child_metrics, {})
"""


@pytest.fixture
def trained(small_project: Path, project: Path) -> Path:
    """A project that contains the files of a relevance model."""
    PROJECT.relevance_model.mkdir(parents=True)
    (PROJECT.relevance_model / "model.txt").write_text("trees")
    (PROJECT.relevance_model / "large.bin").write_text("vectors")
    (small_project / "params.yaml").write_bytes((project / "params.yaml").read_bytes())
    return small_project


def record(params: Params) -> None:
    inputs = {"relevance": PROJECT.relevance, "queries": PROJECT.queries}
    plots = {"importance": importance_plot({"cosine": 0.6, "product": 0.4})}
    recording.record_training(params, PROJECT.relevance_model, inputs, {"fold 0": {"rmse": 0.1}}, plots)


def artifact_paths(client: mlflow.MlflowClient, run_id: str) -> set[str]:
    artifacts = client.list_artifacts(run_id)
    nested = [file for folder in artifacts if folder.is_dir for file in client.list_artifacts(run_id, folder.path)]
    return {file.path for file in [*artifacts, *nested] if not file.is_dir}


def test_a_run_records_data_code_settings_and_machine(trained: Path, small_params: Params) -> None:
    record(small_params)
    with open_store():
        client = mlflow.MlflowClient()
        run = find_run("sample", folder_digest(PROJECT.relevance_model))
        assert run is not None
        assert run.info.run_name == "clip / graded_response / 6 leaves" == run_name(small_params)
        (data,) = run.inputs.dataset_inputs
        assert (data.dataset.name, data.dataset.digest) == ("sample", dvc_md5(PROJECT.relevance)[:8])
        tags = run.data.tags
        assert tags["dvc.md5.queries"] == dvc_md5(PROJECT.queries)
        assert {"git.commit", "git.dirty", "env.python", "env.cpus", "env.lightgbm", "env.torch"} <= set(tags)
        assert artifact_paths(client, run.info.run_id) == {"model.txt", "params.yaml", "plots/importance.png"}
        recording.record_evaluation("sample", PROJECT.relevance_model, {"model": {"tau_c": 50.0}}, {})
        assert client.get_run(run.info.run_id).data.metrics["tau_c"] == 50.0


def test_child_runs_are_added_once_and_then_updated(trained: Path, small_params: Params) -> None:
    record(small_params)
    for value in (1.0, 2.0):
        recording.record_children("sample", PROJECT.relevance_model, {"ablation": {"tau_c": value}})
    with open_store():
        runs = mlflow.search_runs(experiment_names=["sample"], output_format="list")
    children = {run.info.run_name: run for run in runs if "mlflow.parentRunId" in run.data.tags}
    assert len(runs) == 3
    assert set(children) == {"fold 0", "ablation"}
    assert children["ablation"].data.metrics["tau_c"] == 2.0


@pytest.mark.parametrize(
    ("commit", "dirty", "expected"),
    [
        ("abc", "False", "git checkout abc\ndvc repro"),
        ("abc", "True", "settings from the artifact `params.yaml`"),
        ("unknown", "True", "trained outside of a git repository"),
    ],
)
def test_the_run_note_has_the_commands_that_reproduce_the_run(commit: str, dirty: str, expected: str) -> None:
    assert expected in reproduction_note({"git.commit": commit, "git.dirty": dirty, "kadr.model_sha256": "0"})


def test_a_store_of_another_mlflow_version_is_explained(
    trained: Path, small_params: Params, caplog: pytest.LogCaptureFixture
) -> None:
    with sqlite3.connect("mlflow.db") as store:
        store.execute("update alembic_version set version_num = 'another'")
    record(small_params)
    assert "another version of MLflow wrote this store" in caplog.text
    assert "mlflow db upgrade sqlite:///" in caplog.text


def test_a_locked_store_does_not_stop_the_training(
    trained: Path, small_params: Params, caplog: pytest.LogCaptureFixture
) -> None:
    store = sqlite3.connect("mlflow.db", isolation_level=None)
    store.execute("begin exclusive")
    record(small_params)
    store.close()
    assert "another process has locked the store" in caplog.text


def overwrite_every_second_page(content: bytes) -> bytes:
    pages = [content[start : start + 4096] for start in range(0, len(content), 4096)]
    return b"".join(b"\xff" * 4096 if number % 2 else page for number, page in enumerate(pages))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda _content: b"hello" * 1000, "the file is not an SQLite database"),
        (overwrite_every_second_page, "the database is damaged"),
    ],
)
def test_a_damaged_store_does_not_stop_the_training(
    trained: Path,
    small_params: Params,
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[bytes], bytes],
    message: str,
) -> None:
    Path("mlflow.db").write_bytes(damage(Path("mlflow.db").read_bytes()))
    record(small_params)
    assert f"{message}. Move the file to another folder." in caplog.text


def test_a_deleted_store_is_created_again(trained: Path, small_params: Params) -> None:
    Path("mlflow.db").unlink()
    record(small_params)
    with open_store():
        assert find_run("sample", folder_digest(PROJECT.relevance_model)) is not None


def test_a_dataset_that_another_training_has_just_added_is_shared(
    trained: Path, small_params: Params, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    record(small_params)
    first_call = iter([True])
    log_input = mlflow.log_input

    def fail_once(*args: object) -> None:
        if next(first_call, False):
            raise IntegrityError("insert into datasets", None, sqlite3.IntegrityError("UNIQUE constraint failed"))
        log_input(*args)

    monkeypatch.setattr(mlflow, "log_input", fail_once)
    record(small_params)
    assert "did not record" not in caplog.text
    with open_store():
        runs = mlflow.search_runs(experiment_names=["sample"], output_format="list")
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert [len(run.inputs.dataset_inputs) for run in parents] == [1, 1]
    assert len({run.inputs.dataset_inputs[0].dataset.digest for run in parents}) == 1


def test_two_simultaneous_trainings_are_both_recorded(trained: Path, project: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(project)}

    def train(_n: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", RECORD_SCRIPT]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    with ThreadPoolExecutor(2) as pool:
        for process in pool.map(train, range(2)):
            assert process.returncode == 0, process.stderr
            assert "did not record" not in process.stderr
    with open_store():
        client = mlflow.MlflowClient()
        (experiment,) = client.search_experiments(filter_string="name = 'sample'")
        runs = client.search_runs([experiment.experiment_id])
    children = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    assert len(runs) == 22
    assert len(children) == 20
    assert all(run.info.status == "FINISHED" for run in runs)
    assert all(run.data.metrics["rmse"] == 0.1 for run in children)
