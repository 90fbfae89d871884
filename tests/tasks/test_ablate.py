"""Tests of stage ablate on a small project."""

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
    "aggregates": ["relevance by majority", "relevance by mean", "relevance by median"],
    "objectives": ["trees by regression", "trees by huber"],
    "sources": ["expert ratings alone", "crowd ratings alone"],
}


def with_rows(params: Params, rows: list[str], cells: str = "diagonal") -> Params:
    return params.model_copy(update={"ablate": params.ablate.model_copy(update={"rows": rows, "cells": cells})})


def with_features(params: Params, *features: str) -> Params:
    return params.model_copy(update={"train": params.train.model_copy(update={"features": list(features)})})


def test_every_group_gives_its_rows(small_project: Path, small_params: Params) -> None:
    train(small_params)
    metrics = ablate(with_rows(small_params, ["encoders", *ROWS]))
    # The group `encoders` has no rows, because the only encoder cannot be removed.
    assert {group: list(rows) for group, rows in metrics["rows"].items()} == ROWS
    assert (metrics["n_pairs"], metrics["n_cells"]) == (3 * 8 * 8, 3)
    model, rows = metrics["model"], metrics["rows"]
    without = rows["blocks"]["without cosine"]
    assert without["difference"]["tau_c"]["value"] == pytest.approx(without["tau_c"]["value"] - model["tau_c"]["value"])
    assert rows["modality"]["text alone"]["difference"]["tau_c"]["high"] < 0
    assert rows["sources"]["crowd ratings alone"]["tau_c"]["low"] > 0
    assert all(row["tau_c"]["value"] != model["tau_c"]["value"] for row in rows["objectives"].values())


def test_a_variant_that_equals_the_model_has_no_difference(small_project: Path, small_params: Params) -> None:
    train(with_features(small_params, "cosine"))
    metrics = ablate(with_rows(with_features(small_params, "cosine", "product"), ["blocks"], "all"))
    assert metrics["n_pairs"] == 24 * 24
    rows = metrics["rows"]["blocks"]
    assert set(rows["without product"]["difference"]["tau_c"].values()) == {0.0}
    assert rows["without cosine"]["difference"]["tau_c"]["high"] < 0


def test_repeated_ablations_update_the_same_child_runs(small_project: Path, small_params: Params) -> None:
    train(small_params)
    for _ in range(2):
        metrics = ablate(with_rows(small_params, ["blocks"]))
    client = mlflow.MlflowClient(os.environ["MLFLOW_TRACKING_URI"])
    experiment = client.get_experiment_by_name(small_params.train.experiment)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    children = [run for run in runs if run.data.tags["kadr.role"].startswith("ablation ")]
    roles = [run.data.tags["kadr.role"] for run in children]
    assert sorted(roles) == ["ablation blocks: without cosine", "ablation blocks: without product"]
    (model,) = [run for run in runs if run.data.tags["kadr.role"] == "model"]
    child = children[roles.index("ablation blocks: without cosine")]
    assert child.data.tags["mlflow.parentRunId"] == model.info.run_id
    expected = metrics["rows"]["blocks"]["without cosine"]["tau_c"]["value"]
    assert child.data.metrics["tau_c"] == pytest.approx(expected, abs=1e-5)


def test_an_unknown_group_raises_an_error_before_any_file_is_read(
    tmp_path: Path, small_params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParamsError, match=r"unknown group 'block'. Expected one of modality"):
        ablate(with_rows(small_params, ["blocks", "block"]))


def test_a_variant_without_ratings_is_skipped_with_a_warning(
    small_project: Path, small_params: Params, caplog: pytest.LogCaptureFixture
) -> None:
    ratings = read_table(PROJECT.ratings, RATINGS).to_pandas()
    expert = ratings[ratings["source"] == "expert"]
    write_table(pa.Table.from_pandas(expert, RATINGS, preserve_index=False), PROJECT.ratings, RATINGS)
    train(small_params)
    metrics = ablate(with_rows(small_params, ["sources"]))
    assert list(metrics["rows"]["sources"]) == ["expert ratings alone"]
    assert "The variant 'crowd ratings alone' is skipped" in caplog.text


def test_no_groups_give_no_rows(small_project: Path, small_params: Params) -> None:
    train(small_params)
    assert ablate(with_rows(small_params, []))["rows"] == {}
