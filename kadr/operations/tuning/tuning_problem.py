"""The data of a hyperparameter search: pairs, features, cross-validation cells and reference ratings."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from kadr.errors import ModelError
from kadr.features import FeatureMatrix
from kadr.features.caption_neighbours import CAPTION_NEIGHBOURS
from kadr.io.query_groups import query_groups
from kadr.io.schemas import PAIR, QUERIES, RATINGS, read_table
from kadr.metrics import crowd_ratings, expert_ratings
from kadr.model.cross_validation import FitPredict
from kadr.model.folds import Cell
from kadr.model.training_data import (
    EmbeddingTables,
    RatedPairs,
    fit_feature_blocks,
    make_cells,
    read_rated_pairs,
)
from kadr.model.training_settings import TrainingSettings
from kadr.operations.tracking.lineage import dvc_md5
from kadr.operations.tuning import study as tuning_study
from kadr.operations.tuning.study import ReferenceRatings, Settings
from kadr.params import EvaluateParams
from kadr.project import PROJECT

_INNER_FOLD_SEED = 2  # added to the seed of the outer folds


@dataclass(frozen=True)
class TuningProblem:
    """Data and settings that all trials of a hyperparameter search share.

    Attributes:
        settings: training settings in params.yaml.
        evaluate: settings of the bootstrap that estimates the interval of the gain.
        seed: random seed.
        pairs: rated pairs.
        matrix: feature matrix of the pairs.
        reference: ratings to compare with the scores.
    """

    settings: TrainingSettings
    evaluate: EvaluateParams
    seed: int
    pairs: RatedPairs
    matrix: FeatureMatrix
    reference: ReferenceRatings

    @classmethod
    def read(cls, settings: TrainingSettings, evaluate: EvaluateParams, seed: int) -> "TuningProblem":
        """Read the input tables of stage `train` and the ratings.

        Args:
            settings: training settings in params.yaml.
            evaluate: settings of the bootstrap that estimates the interval of the gain.
            seed: random seed.
        """
        tables = EmbeddingTables.read(settings.image_encoders, settings.text_encoders)
        pairs = read_rated_pairs(tables)
        matrix = pairs.features(fit_feature_blocks(tables, settings.train))
        return cls(settings, evaluate, seed, pairs, matrix, read_reference_ratings(pairs))

    @cached_property
    def outer_cells(self) -> list[Cell]:
        """Cells on the diagonal of the cross-validation grid, or all cells if the diagonal is empty.

        If the number of image folds equals the number of query folds, the diagonal cells hold out each image and each
        query exactly once.

        Raises:
            ModelError: no pairs can be held out.
        """
        cells = make_cells(self.pairs, self.settings.train, self.seed)
        if not cells:
            raise ModelError(
                "No pairs can be held out. Increase train.image_folds and train.query_folds, or add ratings."
            )
        return [cell for cell in cells if cell.on_diagonal] or cells

    def inner_cells(self, outer: Cell) -> list[Cell]:
        """Return the inner cells that divide the training pairs of an outer cell.

        Raises:
            ModelError: the training pairs of the outer cell have too few images or queries.
        """
        table = self.pairs.table
        groups = query_groups(table["query_id"].tolist(), self.pairs.own_image)
        seed = self.seed + _INNER_FOLD_SEED
        cells = tuning_study.make_inner_cells(outer, table["image_id"].tolist(), groups, seed)
        if not cells:
            raise ModelError(
                f"The training pairs of outer cell {outer.fold} have too few images or queries for inner folds. "
                "Increase train.image_folds and train.query_folds, or add ratings."
            )
        return cells

    def fit_predict(self, settings: Settings) -> FitPredict:
        """Return a function that trains a booster with the given settings and returns the scores of test pairs."""
        train = self.settings.train.model_copy(update=settings)
        return self.pairs.learner(self.matrix, train, self.seed).fit_predict

    def cumulative_agreement(self, cells: list[Cell], settings: Settings) -> Iterator[float]:
        """Train and test in one cell after another. After each cell, yield the agreement on all pairs tested so far."""
        fit_predict = self.fit_predict(settings)
        return tuning_study.cumulative_agreement(fit_predict, cells, self.reference, len(self.pairs.table))

    @property
    def input_files(self) -> list[Path]:
        """Paths of the tables that the trials depend on."""
        images = [PROJECT.image_embeddings / f"{name}.parquet" for name in self.settings.image_encoders]
        texts = [PROJECT.text_embeddings / f"{name}.parquet" for name in self.settings.text_encoders]
        captions = [PROJECT.captions] if CAPTION_NEIGHBOURS in self.settings.train.features else []
        return [PROJECT.relevance, PROJECT.withheld, PROJECT.ratings, PROJECT.queries, *captions, *images, *texts]

    @cached_property
    def key(self) -> str:
        """Digest of the data, features and settings that all trials share.

        If the key changes, the search starts new studies.
        """
        fixed = self.settings.train.model_dump(exclude=set(tuning_study.SEARCH_SPACE))
        files = [dvc_md5(path) for path in self.input_files]
        content = [*files, self.matrix.names, self.seed, fixed, tuning_study.SEARCH_SPACE]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:10]


def read_reference_ratings(pairs: RatedPairs) -> ReferenceRatings:
    """Read the expert ratings of the pairs, or the crowd ratings if the pairs have no expert ratings."""
    ratings = read_table(PROJECT.ratings, RATINGS).to_pandas()
    queries = read_table(PROJECT.queries, QUERIES).to_pandas()
    rows = pairs.table[PAIR].assign(row=np.arange(len(pairs.table)))
    metric, rated = "tau_c", expert_ratings(ratings, queries).merge(rows, on=PAIR)
    if rated.empty:
        metric, rated = "tau_b", crowd_ratings(ratings).merge(rows, on=PAIR)
    return ReferenceRatings(metric, rated["row"].to_numpy(), rated["rating"].to_numpy(dtype=float))
