"""Tests of recording training runs and evaluations in an intact, locked, damaged, deleted or shared MLflow store."""

import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from sqlalchemy.exc import IntegrityError

from kadr.operations.tracking import recording
from kadr.operations.tracking.lineage import dvc_md5, folder_digest, reproduction_note, run_name
from kadr.operations.tracking.run_plots import importance_plot
from kadr.operations.tracking.runs import find_run, latest_runs
from kadr.operations.tracking.tracking_store import TrackingError, open_store
from kadr.params import Params
from kadr.project import PROJECT

pytestmark = pytest.mark.slow

RECORD_SCRIPT = """
from kadr.operations.tracking import recording
from kadr.params import load_params
from kadr.project import PROJECT
import logging
logging.basicConfig()
with recording.training_run(load_params(), {"relevance": PROJECT.relevance}) as run:
    run.record(PROJECT.relevance_model, {}, {})
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
    with recording.training_run(params, inputs) as run:
        run.record(PROJECT.relevance_model, {"folds": pd.DataFrame({"fold": [0], "rmse": [0.1]})}, plots)


def find_trained() -> mlflow.entities.Run:
    """Return the run of the trained model."""
    with open_store():
        run = find_run("sample", folder_digest(PROJECT.relevance_model))
    assert run is not None
    return run


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
        assert run.info.run_name == run_name(small_params)
        (data,) = run.inputs.dataset_inputs
        assert (data.dataset.name, data.dataset.digest) == ("sample", dvc_md5(PROJECT.relevance)[:8])
        tags = run.data.tags
        assert tags["dvc.md5.queries"] == dvc_md5(PROJECT.queries)
        assert {"mlflow.user", "mlflow.source.name"} <= set(tags)
        assert {"git.commit", "git.dirty", "env.python", "env.cpus", "env.lightgbm", "env.torch"} <= set(tags)
        assert artifact_paths(client, run.info.run_id) == {
            "model.txt",
            "params.yaml",
            "plots/importance.png",
            "tables/folds.csv",
        }


def test_a_failed_gate_marks_the_run_until_it_passes(trained: Path, small_params: Params) -> None:
    record(small_params)

    end = find_trained().info.end_time
    recording.record_gates("sample", PROJECT.relevance_model, ["tau_c is 40", "auc is 0.5"])
    assert (find_trained().info.status, find_trained().info.end_time) == ("FAILED", end)
    assert find_trained().data.tags["kadr.gates"] == "failed"
    assert find_trained().data.tags["kadr.gate_failures"] == "tau_c is 40\nauc is 0.5"
    recording.record_gates("sample", PROJECT.relevance_model, [])
    assert (find_trained().info.status, find_trained().info.end_time) == ("FINISHED", end)
    assert find_trained().data.tags["kadr.gates"] == "passed"
    assert "kadr.gate_failures" not in find_trained().data.tags


def test_runs_with_other_settings_have_other_names(small_params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    name = run_name(small_params)
    assert re.fullmatch(r"6 leaves / [0-9a-f]{6} / graded_response / clip", name)
    train = small_params.train.model_copy(update={"learning_rate": 0.1})
    assert run_name(small_params.model_copy(update={"train": train})) != name
    monkeypatch.setenv("DVC_EXP_NAME", "wide-trees")
    assert run_name(small_params) == f"wide-trees / {name}"


def test_the_filters_of_the_mlflow_page_find_the_run(
    trained: Path, small_params: Params, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_EXP_NAME", "wide-trees")
    record(small_params)
    recording.record_evaluation(
        "sample", PROJECT.relevance_model, {"tau_c": {"value": 60.0, "low": 55.0, "high": 65.0}}, {}
    )
    recording.record_gates("sample", PROJECT.relevance_model, ["tau_b is 20"])
    page = (project / "docs/mlflow.md").read_text(encoding="utf-8")
    filters = re.findall(r"^\| ``(.+?)`` \|", page, re.MULTILINE)
    assert len(filters) >= 5
    with open_store():
        mlflow.set_experiment("sample")
        with mlflow.start_run(tags={"kadr.role": "trial"}):
            pass
        for condition in filters:
            runs = mlflow.search_runs(experiment_names=["sample"], filter_string=condition, output_format="list")
            assert [run.data.tags["kadr.role"] for run in runs] == ["model"], condition


@pytest.mark.parametrize(("error", "status"), [(ValueError, "FAILED"), (KeyboardInterrupt, "KILLED")])
def test_a_stopped_training_leaves_a_run_that_is_not_compared(
    error: type[BaseException], status: str, trained: Path, small_params: Params
) -> None:
    with pytest.raises(error), recording.training_run(small_params, {"relevance": PROJECT.relevance}):
        raise error
    with open_store():
        (run,) = mlflow.search_runs(experiment_names=["sample"], output_format="list")
        assert run.info.status == status
        with pytest.raises(TrackingError, match="has no training run"):
            latest_runs("sample", 1)


def test_a_running_training_records_the_use_of_the_machine(
    trained: Path, small_params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "SAMPLING_SECONDS", 0.1)
    with recording.training_run(small_params, {"relevance": PROJECT.relevance}) as run:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with open_store():
                metrics = mlflow.MlflowClient().get_run(str(run.run_id)).data.metrics
            if {"system/cpu_utilization_percentage", "system/system_memory_usage_megabytes"} <= set(metrics):
                return
            time.sleep(0.1)
    raise AssertionError(metrics)


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
    log_inputs = mlflow.MlflowClient.log_inputs

    def fail_once(*args: Any) -> None:
        if next(first_call, False):
            raise IntegrityError("insert into datasets", None, sqlite3.IntegrityError("UNIQUE constraint failed"))
        log_inputs(*args)

    monkeypatch.setattr(mlflow.MlflowClient, "log_inputs", fail_once)
    record(small_params)
    assert "did not record" not in caplog.text
    with open_store():
        runs = mlflow.search_runs(experiment_names=["sample"], output_format="list")
    assert [len(run.inputs.dataset_inputs) for run in runs] == [1, 1]
    assert len({run.inputs.dataset_inputs[0].dataset.digest for run in runs}) == 1


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
    assert [run.info.status for run in runs] == ["FINISHED", "FINISHED"]
