"""Tests of stage ablate on a small project."""

import os
from pathlib import Path

import mlflow
import pandas as pd
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


def test_the_embeddings_alone_are_trained_if_they_are_no_baseline(small_project: Path, small_params: Params) -> None:
    without = small_params.train.model_copy(update={"baselines": ["cosine"]})
    train(small_params)
    both = [
        ablate(with_rows(params, ["modality"], "all"))["rows"]["modality"]["text and photo"]
        for params in (small_params, small_params.model_copy(update={"train": without}))
    ]
    assert both[0] == both[1]


def test_the_mlflow_run_has_a_table_of_the_last_ablations(small_project: Path, small_params: Params) -> None:
    train(small_params)
    for _ in range(2):
        metrics = ablate(with_rows(small_params, ["blocks"]))
    client = mlflow.MlflowClient(os.environ["MLFLOW_TRACKING_URI"])
    experiment = client.get_experiment_by_name(small_params.train.experiment)
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    table = pd.read_csv(client.download_artifacts(run.info.run_id, "tables/ablation.csv"))
    rows = table.set_index(["group", "variant", "metric"])
    row, expected = rows.loc[("blocks", "without cosine", "tau_c")], metrics["rows"]["blocks"]["without cosine"]
    assert row["low"] == pytest.approx(expected["tau_c"]["low"], abs=1e-5)
    assert row["difference"] == pytest.approx(expected["difference"]["tau_c"]["value"], abs=1e-5)
    assert set(table["variant"]) == {"without cosine", "without product"}


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
