"""What a training leaves in MLflow, and what becomes of it when the store is locked, of another version or shared."""

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
from kadr.operations.tracking.lineage import dvc_md5, folder_digest, run_name, way_back
from kadr.operations.tracking.run_plots import importance_plot
from kadr.params import Params
from kadr.project import PROJECT

pytestmark = pytest.mark.slow

RECORD = """
from pathlib import Path
from kadr.params import load_params
from kadr.operations.tracking import recording
import logging
logging.basicConfig()
figures = {f"fold {i}": {"rmse": 0.1} for i in range(10)}
recording.record_training(load_params(), PROJECT.relevance_model, {"relevance": PROJECT.relevance}, figures, {})
"""


@pytest.fixture
def trained(small_project: Path, project: Path) -> Path:
    PROJECT.relevance_model.mkdir(parents=True)
    (PROJECT.relevance_model / "model.txt").write_text("trees")
    (PROJECT.relevance_model / "large.bin").write_text("vectors")
    (small_project / "params.yaml").write_bytes((project / "params.yaml").read_bytes())
    return small_project


def record(params: Params) -> None:
    inputs = {"relevance": PROJECT.relevance, "queries": PROJECT.queries}
    plots = {"importance": importance_plot({"cosine": 0.6, "product": 0.4})}
    recording.record_training(params, PROJECT.relevance_model, inputs, {"fold 0": {"rmse": 0.1}}, plots)


def files_of(client: mlflow.MlflowClient, run_id: str) -> set[str]:
    found = client.list_artifacts(run_id)
    return {f.path for f in found if not f.is_dir} | {
        inner.path for f in found if f.is_dir for inner in client.list_artifacts(run_id, f.path)
    }


def test_a_run_leads_to_its_data_code_settings_and_machine(trained: Path, small_params: Params) -> None:
    record(small_params)
    with recording.opened():
        client = mlflow.MlflowClient()
        run = recording.find_run("sample", folder_digest(PROJECT.relevance_model))
        assert run is not None
        assert run.info.run_name == "clip / graded_response / 6 leaves" == run_name(small_params)
        (data,) = run.inputs.dataset_inputs
        assert (data.dataset.name, data.dataset.digest) == ("sample", dvc_md5(PROJECT.relevance)[:8])
        tags = run.data.tags
        assert tags["dvc.md5.queries"] == dvc_md5(PROJECT.queries)
        assert {"git.commit", "git.dirty", "env.python", "env.cpus", "env.lightgbm", "env.torch"} <= set(tags)
        assert files_of(client, run.info.run_id) == {"model.txt", "params.yaml", "plots/importance.png"}
        recording.record_evaluation(small_params, PROJECT.relevance_model, {"model": {"tau_c": 50.0}}, {})
        assert client.get_run(run.info.run_id).data.metrics["tau_c"] == 50.0


@pytest.mark.parametrize(
    ("commit", "dirty", "said"),
    [
        ("abc", "False", "git checkout abc\ndvc repro"),
        ("abc", "True", "take the run's artifact `params.yaml` too"),
        ("unknown", "True", "Trained outside of git"),
    ],
)
def test_the_note_says_the_way_back(commit: str, dirty: str, said: str) -> None:
    assert said in way_back({"git.commit": commit, "git.dirty": dirty, "kadr.model_sha256": "0"})


def test_a_store_of_another_version_is_said(
    trained: Path, small_params: Params, caplog: pytest.LogCaptureFixture
) -> None:
    with sqlite3.connect("mlflow.db") as store:
        store.execute("update alembic_version set version_num = 'another'")
    record(small_params)
    assert "another version of MLflow wrote this store" in caplog.text
    assert "mlflow db upgrade sqlite:///" in caplog.text


def test_a_locked_store_costs_the_record_and_not_the_training(
    trained: Path, small_params: Params, caplog: pytest.LogCaptureFixture
) -> None:
    store = sqlite3.connect("mlflow.db", isolation_level=None)
    store.execute("begin exclusive")
    record(small_params)
    store.close()
    assert "another process keeps the store locked" in caplog.text


def damaged(content: bytes) -> bytes:
    """The same database with every second page overwritten."""
    pages = [content[at : at + 4096] for at in range(0, len(content), 4096)]
    return b"".join(b"\xff" * 4096 if number % 2 else page for number, page in enumerate(pages))


@pytest.mark.parametrize(
    ("damage", "said"),
    [(lambda _content: b"hello" * 1000, "this is no SQLite database"), (damaged, "the database is damaged")],
)
def test_a_damaged_store_costs_the_record_and_not_the_training(
    trained: Path,
    small_params: Params,
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[bytes], bytes],
    said: str,
) -> None:
    Path("mlflow.db").write_bytes(damage(Path("mlflow.db").read_bytes()))
    record(small_params)
    assert f"{said}; move it away, and a new one is made" in caplog.text


def test_a_deleted_store_is_made_anew(trained: Path, small_params: Params) -> None:
    Path("mlflow.db").unlink()
    record(small_params)
    with recording.opened():
        assert recording.find_run("sample", folder_digest(PROJECT.relevance_model)) is not None


def test_a_data_set_that_another_training_just_added_is_taken(
    trained: Path, small_params: Params, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    record(small_params)
    first = iter([True])
    log_input = mlflow.log_input

    def too_late(*args: object) -> None:
        if next(first, False):
            raise IntegrityError("insert into datasets", None, sqlite3.IntegrityError("UNIQUE constraint failed"))
        log_input(*args)

    monkeypatch.setattr(mlflow, "log_input", too_late)
    record(small_params)
    assert "did not record" not in caplog.text
    with recording.opened():
        runs = mlflow.search_runs(experiment_names=["sample"], output_format="list")
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert [len(run.inputs.dataset_inputs) for run in parents] == [1, 1]
    assert len({run.inputs.dataset_inputs[0].dataset.digest for run in parents}) == 1


def test_two_trainings_at_once_are_both_whole(trained: Path, project: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(project)}

    def training(_n: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", RECORD]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    with ThreadPoolExecutor(2) as pool:
        for done in pool.map(training, range(2)):
            assert done.returncode == 0, done.stderr
            assert "did not record" not in done.stderr
    with recording.opened():
        client = mlflow.MlflowClient()
        (experiment,) = client.search_experiments(filter_string="name = 'sample'")
        runs = client.search_runs([experiment.experiment_id])
    children = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    assert len(runs) == 22
    assert len(children) == 20
    assert all(run.info.status == "FINISHED" for run in runs)
    assert all(run.data.metrics["rmse"] == 0.1 for run in children)
