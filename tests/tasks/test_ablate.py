"""Stage ablate on a small project: a row for each part, by the same pairs as the model, and child runs in MLflow."""

import os
from pathlib import Path

import mlflow
import pyarrow as pa
import pytest

from kadr.errors import ParamsError
from kadr.io.schemas import RATINGS, read_table, write_table
from kadr.params import Params
from kadr.project import PROJECT
from tasks.ablate import ablate
from tasks.train import train

pytestmark = pytest.mark.slow

ROWS = {
    "modality": ["text alone", "photo alone", "text and photo"],
    "blocks": ["without cosine", "without product"],
    "aggregates": ["relevance by mean", "relevance by median", "relevance by majority"],
    "objectives": ["trees by regression", "trees by huber"],
    "sources": ["expert ratings alone", "crowd ratings alone"],
}


def ablating(params: Params, rows: list[str], cells: str = "diagonal") -> Params:
    return params.model_copy(update={"ablate": params.ablate.model_copy(update={"rows": rows, "cells": cells})})


def test_a_row_for_each_part(small_project: Path, small_params: Params) -> None:
    train(small_params)
    metrics = ablate(ablating(small_params, ["encoders", *ROWS]))
    assert {group: list(rows) for group, rows in metrics["rows"].items()} == ROWS  # one encoder cannot be left out
    assert (metrics["n_pairs"], metrics["n_cells"]) == (3 * 8 * 8, 3)
    model, rows = metrics["model"], metrics["rows"]
    without = rows["blocks"]["without cosine"]
    assert without["difference"]["tau_c"]["value"] == pytest.approx(without["tau_c"]["value"] - model["tau_c"]["value"])
    assert rows["modality"]["text alone"]["difference"]["tau_c"]["high"] < 0
    assert rows["sources"]["crowd ratings alone"]["tau_c"]["low"] > 0
    assert all(row["tau_c"]["value"] != model["tau_c"]["value"] for row in rows["objectives"].values())


def seeing(params: Params, *features: str) -> Params:
    return params.model_copy(update={"train": params.train.model_copy(update={"features": list(features)})})


def test_a_variant_that_is_the_model_differs_by_nothing(small_project: Path, small_params: Params) -> None:
    train(seeing(small_params, "cosine"))
    metrics = ablate(ablating(seeing(small_params, "cosine", "product"), ["blocks"], "all"))
    assert metrics["n_pairs"] == 24 * 24
    same, other = metrics["rows"]["blocks"]["without product"], metrics["rows"]["blocks"]["without cosine"]
    assert set(same["difference"]["tau_c"].values()) == {0.0}
    assert other["difference"]["tau_c"]["high"] < 0


def test_rows_are_child_runs_once(small_project: Path, small_params: Params) -> None:
    train(small_params)
    for _ in range(2):
        metrics = ablate(ablating(small_params, ["blocks"]))
    client = mlflow.MlflowClient(os.environ["MLFLOW_TRACKING_URI"])
    experiment = client.get_experiment_by_name(small_params.train.experiment)
    assert experiment is not None
    runs = {run.data.tags["kadr.role"]: run for run in client.search_runs([experiment.experiment_id])}
    found = [role for role in runs if role.startswith("ablation ")]
    assert sorted(found) == ["ablation blocks: without cosine", "ablation blocks: without product"]
    child = runs["ablation blocks: without cosine"]
    assert child.data.tags["mlflow.parentRunId"] == runs["model"].info.run_id
    wanted = metrics["rows"]["blocks"]["without cosine"]["tau_c"]["value"]
    assert child.data.metrics["tau_c"] == pytest.approx(wanted, abs=1e-5)


def test_an_unknown_group_is_named_before_anything_is_read(
    tmp_path: Path, small_params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParamsError, match="unknown group 'block'; the groups are modality"):
        ablate(ablating(small_params, ["blocks", "block"]))


def test_a_variant_that_sees_nothing_is_left_out_and_said(
    small_project: Path, small_params: Params, caplog: pytest.LogCaptureFixture
) -> None:
    ratings = read_table(PROJECT.ratings, RATINGS).to_pandas()
    experts = ratings[ratings["source"] == "expert"]
    write_table(pa.Table.from_pandas(experts, RATINGS, preserve_index=False), PROJECT.ratings, RATINGS)
    train(small_params)
    metrics = ablate(ablating(small_params, ["sources"]))
    assert list(metrics["rows"]["sources"]) == ["expert ratings alone"]
    assert "crowd ratings alone: left out, as there is nothing to learn from" in caplog.text


def test_no_row_asked_no_row(small_project: Path, small_params: Params) -> None:
    train(small_params)
    assert ablate(ablating(small_params, []))["rows"] == {}
