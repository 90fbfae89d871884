"""Tests of the commands in docs/refresh.md with a small pipeline and two snapshots."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import mlflow
import pytest
import torch
import yaml

from kadr.clip.checkpoint import save_checkpoint
from kadr.encoders.open_clip_models import load_clip, read_config
from kadr.io.presets import set_value
from kadr.operations.champion.refresh_report import read_report
from kadr.sample import write_sample
from tests.flows.conftest import PROJECT
from tests.flows.test_worker import commands, run_worker

pytestmark = pytest.mark.slow

# All stages run in one process, so that the libraries are imported only once.
STAGES = """
import runpy, sys
embedding = ("embed_images clip", "embed_texts clip", "embed_texts tfidf")
for command in ("ingest", "aggregate", "clip", *embedding, "train", "index"):
    sys.argv = command.split()
    runpy.run_module(f"tasks.{sys.argv[0]}", run_name="__main__")
"""
OUTS = ["data/tables", "data/embeddings", "data/predictions", "models/clip", "models/text_encoders", "models/relevance"]
SMALL = {
    "ingest.max_bad_rows": "0.5",
    "ingest.max_bad_images": "0.5",
    "aggregate.expert": "mean",
    "clip.source": "local",
    "clip.init": "random_clip",
    "train.features": "[cosine]",
    "train.image_folds": "2",
    "train.query_folds": "2",
    "train.n_estimators": "10",
    "evaluate.n_bootstrap": "20",
}


@pytest.fixture
def home(tmp_path: Path, environment: dict[str, str], empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one DVC stage and a snapshot in data/raw/sample."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    for path in (PROJECT / "params.yaml", PROJECT / "prefect.yaml", empty_store):
        shutil.copy(path, home)
    for name in ("presets", "expectations", "flows"):
        (home / name).symlink_to(PROJECT / name)
    for key, value in SMALL.items():
        set_value(key, value, home / "params.yaml")
    params = yaml.safe_load((home / "params.yaml").read_text())
    del params["embed_images"]["encoders"]["efficientnet_lite2"]
    del params["embed_texts"]["encoders"]["sbert"]
    (home / "params.yaml").write_text(yaml.safe_dump(params))
    (home / "stages.py").write_text(STAGES)
    stage = {"cmd": "python stages.py", "deps": ["stages.py", "${ingest.source}"], "outs": [*OUTS, "models/index"]}
    (home / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"all": stage}}))
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "-q"], env=environment, check=True)
    write_sample(home / "data/raw/sample", 1, 30, 5, 30)
    tiny = PROJECT / "presets" / "clip-tiny"
    torch.manual_seed(0)
    save_checkpoint(
        load_clip(f"local-dir:{tiny}", None, weights=False), read_config(tiny)["model_cfg"], None, Path("random_clip")
    )
    return home


@pytest.fixture
def worker(home: Path, environment: dict[str, str], server: str) -> Iterator[dict[str, str]]:
    """Environment variables for commands. The worker of docs/flows.md runs until the end of the test."""
    variables = environment | {"PREFECT_API_URL": server, "KADR_CACHE": str(home / "cache"), "OMP_NUM_THREADS": "1"}
    with run_worker(variables):
        yield variables


def run(command: list[str], environment: dict[str, str]) -> str:
    """Run a command of the docs page, and return its output."""
    path = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
    arguments = [str(shutil.which(command[0], path=path)), *command[1:]]
    process = subprocess.run(arguments, env=environment | {"PATH": path}, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout + process.stderr


def latest_artifact(server: str, key: str) -> Any:
    artifacts = httpx.post(f"{server}/artifacts/latest/filter", json={"artifacts": {"key": {"any_": [key]}}}).json()
    return artifacts[0]["data"]


def champion_link() -> str:
    return os.readlink("models/champion")


def test_the_commands_of_the_page_work(home: Path, worker: dict[str, str], server: str, tmp_path: Path) -> None:
    first, later, search, list_, rollback, deployed = (
        command for command in commands("refresh.md") if command[0] != "export"
    )
    assert "in state Promoted('there was no champion'" in run(first, worker)
    assert champion_link() == ".champion/v000001"

    new = Path(shutil.copytree("data/raw/sample", tmp_path / "latest"))
    rated = new / "train_dataset.csv"
    rated.write_text(
        "".join(rated.read_text().splitlines(keepends=True)[:-20])
    )  # fewer ratings than in the first snapshot
    output = run([*deployed[:-1], f"snapshot={new}"], worker)
    assert "Promoted" in output
    assert champion_link() == ".champion/v000002"
    _check_lineage(server)

    assert "images/" in run(search, worker)
    assert "v000002*" in run(list_, worker)
    assert "models/champion now uses v000001 instead of v000002" in run(rollback, worker)
    output = run([*later[:-1], str(new)], worker)
    assert "3 of 3 stages are up to date" in output  # DVC counts each snapshot as a stage
    assert "in state Unchanged('this model is v000002, which was rolled back. " in output
    assert champion_link() == ".champion/v000001"


def _check_lineage(server: str) -> None:
    """Check that the artifact names the MLflow run, and that the MLflow run names the flow runs on the server."""
    report = read_report()
    verdict = latest_artifact(server, "refresh")
    assert verdict.startswith("# Promoted\n\nnot significantly worse than champion v000001: tau_c ")
    assert report["mlflow_run"] in verdict
    assert "| tau_c |" in verdict
    assert "## Drift from champion v000001: " in verdict
    drift = {row["variable"]: row["action"] for row in json.loads(latest_artifact(server, "drift"))}
    assert {"expert ratings", "relevance", "image vectors (clip)", "text vectors (tfidf)"} <= set(drift)
    client = mlflow.MlflowClient("sqlite:///mlflow.db")
    tags = client.get_run(report["mlflow_run"]).data.tags
    for key in ("prefect.flow_run_id", "refresh.flow_run_id"):
        assert httpx.get(f"{server}/flow_runs/{tags[key]}").is_success
    page = f"{server.removesuffix('/api')}/flow-runs/flow-run/{tags['refresh.flow_run_id']}"
    assert tags["refresh.flow_run_url"] == page
    assert str(client.get_model_version_by_alias("kadr-sample", "champion").version) == report["mlflow"][1]
