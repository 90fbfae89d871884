"""Train and evaluate ablation variants in the cross-validation cells of the relevance model."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from kadr.aggregate import aggregate_ratings
from kadr.errors import InputError, ModelError
from kadr.features import FeatureMatrix
from kadr.io.schemas import PAIR, PREDICTIONS, QUERIES, RATINGS, read_table
from kadr.metrics.benchmark_ratings import crowd_ratings, expert_ratings
from kadr.metrics.evaluation import Estimates, agreement_metrics
from kadr.model.ablation_variants import Variant
from kadr.model.folds import Cell, Mask
from kadr.model.lightgbm import Scores
from kadr.model.training_data import EmbeddingTables, RatedPairs, fit_feature_blocks, make_cells, read_rated_pairs
from kadr.model.training_settings import TrainingSettings
from kadr.params import EvaluateParams
from kadr.progress import progress
from kadr.project import PROJECT

logger = logging.getLogger(__name__)

METRICS = ("tau_c", "tau_b")  # metrics of the agreement with single ratings, which no aggregation method changes


@dataclass(frozen=True)
class AblationStudy:
    """The data and settings that all ablation variants share.

    Attributes:
        settings: training settings of the relevance model.
        evaluate: settings of the bootstrap intervals.
        seed: random seed.
        tables: embeddings tables of all encoders.
        pairs: rated pairs.
        cells: cross-validation cells in which each variant is trained and tested.
        ratings: table with the RATINGS schema.
        expert: expert ratings from which tau_c is computed.
        crowd: crowd ratings from which tau_b is computed.
    """

    settings: TrainingSettings
    evaluate: EvaluateParams
    seed: int
    tables: EmbeddingTables
    pairs: RatedPairs
    cells: list[Cell]
    ratings: pd.DataFrame
    expert: pd.DataFrame
    crowd: pd.DataFrame

    @classmethod
    def read(
        cls, settings: TrainingSettings, evaluate: EvaluateParams, seed: int, *, diagonal: bool
    ) -> "AblationStudy":
        """Read the ratings and the input tables of the `train` stage.

        Args:
            settings: training settings of the relevance model.
            evaluate: settings of the bootstrap intervals.
            seed: random seed.
            diagonal: True to use only the cells on the diagonal of the grid. If the diagonal is empty, all cells are
                used.
        """
        tables = EmbeddingTables.read(settings.image_encoders, settings.text_encoders)
        pairs = read_rated_pairs(tables)
        cells = make_cells(pairs, settings.train, seed)
        if diagonal:
            cells = [cell for cell in cells if cell.on_diagonal] or cells
        ratings = read_table(PROJECT.ratings, RATINGS).to_pandas()
        expert = expert_ratings(ratings, read_table(PROJECT.queries, QUERIES).to_pandas())
        return cls(settings, evaluate, seed, tables, pairs, cells, ratings, expert, crowd_ratings(ratings))

    @cached_property
    def tested(self) -> Mask:
        """Mask of the pairs that are test pairs in at least one cell: (n_pairs,) bool."""
        return np.asarray(np.any([cell.test for cell in self.cells], axis=0))

    def run(self, variants: Sequence[tuple[str, Variant]]) -> dict[str, dict[str, Estimates]]:
        """Train and evaluate the variants.

        If a variant has no ratings or features, a warning is logged and the variant is skipped.

        Args:
            variants: tuples of a group name and a variant, one for each row of the ablation table.

        Returns:
            Metrics of each variant, by group name and variant name.
        """
        rows: dict[str, dict[str, Estimates]] = {}
        for group, variant in variants:
            try:
                scores = self.score(variant)
            except (InputError, ModelError) as error:
                logger.warning("The variant %r is skipped: %s", variant.name, error)
            else:
                rows.setdefault(group, {})[variant.name] = self.estimate(scores)
        return rows

    def estimate(self, scores: Scores) -> Estimates:
        """Compute the metrics in METRICS on the tested pairs.

        Args:
            scores: (n_pairs,) scores. Only the scores of the tested pairs are used.
        """
        tested = self.pairs.table.assign(score=scores)[self.tested]
        return agreement_metrics(tested, self.expert, self.crowd, self.evaluate, self.seed, names=METRICS)

    def read_scores(self, name: str) -> Scores:
        """Read out-of-fold scores that the `train` stage wrote.

        Args:
            name: `model` or the name of a baseline.

        Returns:
            (n_pairs,) scores.
        """
        predictions = read_table(PROJECT.predictions / f"{name}.parquet", PREDICTIONS).to_pandas()
        return self.pairs.table[PAIR].merge(predictions, on=PAIR, how="left")["score"].to_numpy()

    def score(self, variant: Variant) -> Scores:
        """Train a variant and return the out-of-fold scores of the tested pairs.

        Returns:
            (n_pairs,) scores. The score of a pair that is not tested is NaN.

        Raises:
            InputError: the variant has no ratings.
            ModelError: the variant has no features, or a cell has no training pairs.
        """
        if variant.predictions:
            return self.read_scores(variant.predictions)
        settings = variant.settings
        relevance, weight = self._target(settings)
        rated = np.isfinite(relevance)
        matrix = self._features(settings)
        if not matrix.names:
            raise ModelError("The feature blocks of this variant compute no features from its encoders.")
        table = self.pairs.table.assign(relevance=np.where(rated, relevance, 0), weight=np.where(rated, weight, 1))
        learner = replace(self.pairs, table=table).learner(matrix, settings.train, self.seed)
        scores = np.full(len(rated), np.nan)
        with progress(f"folds of {variant.name}", len(self.cells)) as advance:
            for cell in self.cells:
                rows = np.flatnonzero(cell.train & rated)
                scores[cell.test] = learner.fit_predict(rows, np.flatnonzero(cell.test))
                advance(1)
        return scores

    def _target(self, settings: TrainingSettings) -> tuple[Scores, Scores]:
        """Return the relevance and weight of each pair, two (n_pairs,) arrays with NaN for pairs without ratings."""
        if settings.aggregate == self.settings.aggregate and settings.sources == self.settings.sources:
            return self.pairs.relevance, self.pairs.weight
        ratings = self.ratings[self.ratings["source"].isin(settings.sources)]
        relevance = aggregate_ratings(ratings, settings.aggregate).relevance
        aligned = self.pairs.table[PAIR].merge(relevance, on=PAIR, how="left")
        return aligned["relevance"].to_numpy(), aligned["weight"].to_numpy()

    def _features(self, settings: TrainingSettings) -> FeatureMatrix:
        if settings.feature_settings == self.settings.feature_settings:
            return self._model_features
        return self._build_features(settings)

    @cached_property
    def _model_features(self) -> FeatureMatrix:
        return self._build_features(self.settings)

    def _build_features(self, settings: TrainingSettings) -> FeatureMatrix:
        tables = self.tables.select(settings.image_encoders, settings.text_encoders)
        return self.pairs.with_encoders(tables).features(fit_feature_blocks(tables, settings.train))
