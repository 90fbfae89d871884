"""Train the relevance model, and compute out-of-fold predictions of the model and its baselines."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kadr.features import FeatureMatrix
from kadr.io.schemas import PAIR
from kadr.model.cross_validation import FitPredict, fixed_score_baseline, mean_baseline, out_of_fold
from kadr.model.folds import Cell, image_cells
from kadr.model.relevance_model import FeatureBlocks, RelevanceModel
from kadr.model.training_data import RatedPairs, assign_image_folds, make_cells
from kadr.params import TrainParams
from kadr.progress import progress
from kadr.project import SEEN_TEXT

MODEL_NAME = "model"  # key of the relevance model in Training.predictions


@dataclass(frozen=True)
class Training:
    """A trained relevance model and its out-of-fold predictions.

    Attributes:
        model: relevance model trained on all pairs.
        matrix: feature matrix of all pairs.
        cells: cross-validation cells of the model and its baselines. The SEEN_TEXT predictions use one cell for each
            image fold.
        predictions: tables with the PREDICTIONS schema, by name: `model`, SEEN_TEXT or the name of a baseline. The
            SEEN_TEXT scores come from models that were trained without the image of the pair, but possibly with its
            query.
    """

    model: RelevanceModel
    matrix: FeatureMatrix
    cells: list[Cell]
    predictions: dict[str, pd.DataFrame]

    def fold_errors(self) -> pd.DataFrame:
        """Return the columns fold, n_pairs and rmse of the model, with one row per cell."""
        model = self.predictions[MODEL_NAME]
        squared = (model["relevance"] - model["score"]) ** 2
        rows = [(cell.fold, int(cell.test.sum()), float(np.sqrt(squared[cell.test].mean()))) for cell in self.cells]
        return pd.DataFrame(rows, columns=["fold", "n_pairs", "rmse"])


def train_relevance_model(pairs: RatedPairs, blocks: FeatureBlocks, params: TrainParams, seed: int) -> Training:
    """Train the relevance model on all pairs, and cross-validate the model and its baselines.

    Args:
        pairs: rated pairs.
        blocks: fitted feature blocks of the model.
        params: the `train` section of params.yaml.
        seed: random seed of the folds and the trees.

    Raises:
        ModelError: a pair cannot be held out, because the pairs have too few images or queries.
    """
    cells = make_cells(pairs, params, seed)
    matrix = pairs.features(blocks)
    learner = pairs.learner(matrix, params, seed)
    predictions = {
        name: _predict_out_of_fold(name, pairs, fit_predict, cells)
        for name, fit_predict in _competitors(pairs, learner.fit_predict, params, seed)
    }
    cells_of_images = list(image_cells(assign_image_folds(pairs, params.image_folds, seed)))
    predictions[SEEN_TEXT] = _predict_out_of_fold("seen texts", pairs, learner.fit_predict, cells_of_images)
    booster = learner.fit(np.arange(len(pairs.table)))
    return Training(RelevanceModel(blocks, matrix.names, booster), matrix, cells, predictions)


def _competitors(
    pairs: RatedPairs, model: FitPredict, params: TrainParams, seed: int
) -> Iterator[tuple[str, FitPredict]]:
    """Yield the name and the `fit_predict` function of the model and each baseline in `train.baselines`.

    The baselines are the mean relevance, the cosine similarity of the first shared encoder, and LightGBM on
    concatenated embeddings.
    """
    yield MODEL_NAME, model
    if "mean" in params.baselines:
        yield "mean", mean_baseline(pairs.relevance, pairs.weight)
    if "cosine" in params.baselines:
        cosine = pairs.features(FeatureBlocks(["cosine"], None)).values[:, 0].astype(np.float64)
        yield "cosine", fixed_score_baseline(cosine)
    if "concat" in params.baselines:
        concat = pairs.features(FeatureBlocks(["concat"], None))
        yield "concat", pairs.learner(concat, params, seed).fit_predict


def _predict_out_of_fold(name: str, pairs: RatedPairs, fit_predict: FitPredict, cells: list[Cell]) -> pd.DataFrame:
    """Compute out-of-fold scores and return them in a table with the PREDICTIONS schema."""
    with progress(f"folds of {name}", len(cells)) as advance:
        scores, fold = out_of_fold(fit_predict, cells, len(pairs.table), advance)
    return pairs.table[[*PAIR, "relevance"]].assign(score=scores, fold=fold)
