"""Stage train: relevance, queries and embeddings in; the relevance model and out-of-fold predictions out."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from kadr.cli.stage import Metrics, run
from kadr.io.schemas import PAIR, PREDICTIONS, write_table
from kadr.model import FeatureBlocks, RelevanceModel
from kadr.model.cross_validation import FitPredict, given_baseline, mean_baseline, out_of_fold
from kadr.model.explain import block_contributions
from kadr.model.folds import Folds, image_cells
from kadr.model.lightgbm import Scores
from kadr.model.training_data import Pairs, Tables, choose_features, make_grid, make_image_folds, read_pairs
from kadr.operations.tracking import recording
from kadr.operations.tracking.run_plots import importance_plot
from kadr.params import Params
from kadr.progress import progress
from kadr.project import PROJECT, SEEN_TEXT


def baselines(pairs: Pairs, params: Params) -> Iterator[tuple[str, FitPredict]]:
    """What the model has to beat: the mean, the first shared encoder's cosine, LightGBM on the embeddings alone."""
    yield "mean", mean_baseline(pairs.relevance, pairs.weight)
    cosine = pairs.features(FeatureBlocks(["cosine"], None)).values[:, 0].astype(np.float64)
    yield "cosine", given_baseline(cosine)
    concat = pairs.features(FeatureBlocks(["concat"], None))
    yield "concat", pairs.learner(concat, params).fit_predict


def write_predictions(name: str, pairs: Pairs, scores: Scores, fold: Folds) -> None:
    """Write one model's out-of-fold scores to the predictions folder."""
    table = pairs.table[[*PAIR, "relevance"]].assign(score=scores, fold=fold)
    write_table(pa.Table.from_pandas(table, preserve_index=False), PROJECT.predictions / f"{name}.parquet", PREDICTIONS)


def score_seen_text(pairs: Pairs, fit_predict: FitPredict, params: Params) -> None:
    """Write the model's scores of every pair by a model that saw its text, with other photos, but not its photo."""
    grid = list(image_cells(make_image_folds(pairs, params)))
    with progress("folds of seen texts", len(grid)) as advance:
        scores, fold = out_of_fold(fit_predict, grid, len(pairs.table), advance)
    write_predictions(SEEN_TEXT, pairs, scores, fold)


def train(params: Params) -> Metrics:
    """Train the relevance model, and score every rated pair out of fold by it and by its baselines."""
    tables = Tables.read(params)
    pairs = read_pairs(tables)
    grid = make_grid(pairs, params)
    blocks = choose_features(tables, params)
    matrix = pairs.features(blocks)
    learner = pairs.learner(matrix, params)
    figures: dict[str, dict[str, float]] = {}
    for name, fit_predict in [("model", learner.fit_predict), *baselines(pairs, params)]:
        with progress(f"folds of {name}", len(grid)) as advance:
            scores, fold = out_of_fold(fit_predict, grid, len(pairs.table), advance)
        write_predictions(name, pairs, scores, fold)
        if name == "model":
            figures |= {f"fold {cell.fold}": errors(pairs.relevance[cell.test], scores[cell.test]) for cell in grid}
        else:
            figures[f"baseline {name}"] = errors(pairs.relevance, scores)
    score_seen_text(pairs, learner.fit_predict, params)
    model = RelevanceModel(blocks, matrix.names, learner.fit(np.arange(len(pairs.table))))
    model.save(PROJECT.relevance_model)
    inputs = {"relevance": PROJECT.relevance, "queries": PROJECT.queries}
    importance = model.importance()
    plots = {"importance": importance_plot(importance)}
    recording.record_training(params, PROJECT.relevance_model, inputs, figures, plots)
    return {
        "n_pairs": len(pairs.table),
        "n_features": len(matrix.names),
        "n_cells": len(grid),
        "importance": importance,
        "shap": block_contributions(model.booster, matrix),
    }


def errors(relevance: Scores, score: Scores) -> dict[str, float]:
    """The figures of MLflow's child runs that every sample has."""
    return {"n_pairs": float(len(score)), "rmse": float(np.sqrt(np.mean((relevance - score) ** 2)))}


if __name__ == "__main__":
    run("train", train)
