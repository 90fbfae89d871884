"""The `train` stage trains the relevance model, and writes the model and its out-of-fold predictions."""

import pyarrow as pa

from kadr.cli.stage import Metrics, run_stage
from kadr.features.blocks import check_block_names
from kadr.io.schemas import PREDICTIONS, write_table
from kadr.model.explain import block_contributions
from kadr.model.relevance_model import BLOCK_NAMES
from kadr.model.training import Training, train_relevance_model
from kadr.model.training_data import EmbeddingTables, fit_feature_blocks, read_rated_pairs
from kadr.operations.tracking import recording
from kadr.operations.tracking.run_plots import importance_plot
from kadr.params import Params
from kadr.project import PROJECT


def train(params: Params) -> Metrics:
    """Train the relevance model, write the model and its predictions, and record the training run in MLflow.

    Returns:
        The content of metrics/train.json.
    """
    check_block_names(params.train.features, BLOCK_NAMES)
    tables = EmbeddingTables.read(params.embed_images.encoders, params.embed_texts.encoders)
    pairs = read_rated_pairs(tables)
    with recording.training_run(params, {"relevance": PROJECT.relevance, "queries": PROJECT.queries}) as run:
        blocks = fit_feature_blocks(tables, params.train)
        training = train_relevance_model(pairs, blocks, params.train, params.seed)
        write_training(training)
        importance = training.model.importance()
        plots = {"importance": importance_plot(importance)}
        run.record(PROJECT.relevance_model, {"folds": training.fold_errors()}, plots)
    return {
        "n_pairs": len(pairs.table),
        "n_features": len(training.matrix.names),
        "n_cells": len(training.cells),
        "importance": importance,
        "shap": block_contributions(training.model.booster, training.matrix),
    }


def write_training(training: Training) -> None:
    """Write the model, and the predictions of the model and its baselines, to the project folder."""
    for name, predictions in training.predictions.items():
        table = pa.Table.from_pandas(predictions, preserve_index=False)
        write_table(table, PROJECT.predictions / f"{name}.parquet", PREDICTIONS)
    training.model.save(PROJECT.relevance_model)


if __name__ == "__main__":
    run_stage("train", train)
