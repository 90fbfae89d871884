"""Stage ablate: what stage train reads and its predictions in; how good the model is without each of its parts out."""

import logging
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from kadr.aggregate import aggregate
from kadr.cli.stage import Metrics, run
from kadr.errors import InputError, ModelError
from kadr.features import FeatureMatrix
from kadr.io.schemas import PAIR, PREDICTIONS, QUERIES, RATINGS, read_table
from kadr.metrics import crowd_pairs, expert_pairs
from kadr.metrics.evaluation import Figures, agreement_figures, as_json, differences
from kadr.model.ablations import SOURCES, Variant, choose_variants
from kadr.model.folds import Cell, Mask
from kadr.model.lightgbm import Scores
from kadr.model.training_data import Pairs, Tables, choose_features, make_grid, read_pairs
from kadr.operations.tracking import recording
from kadr.params import Params
from kadr.progress import progress
from kadr.project import PROJECT

logger = logging.getLogger(__name__)

FIGURES = ("tau_c", "tau_b")  # on the ratings themselves, which no variant changes


def ablate(params: Params) -> Metrics:
    """Train every variant of ablate.rows on the same cells, and compare it with the model on the same pairs."""
    variants = list(choose_variants(params))  # an unknown group is said before any work
    bench = Bench.read(params)
    model = bench.figures(bench.stored("model"))
    found: dict[str, dict[str, Figures]] = {}
    for group, variant in variants:
        try:
            scores = bench.score(variant)
        except (InputError, ModelError) as error:
            logger.warning("%s: left out, as there is nothing to learn from (%s)", variant.name, error)
        else:
            found.setdefault(group, {})[variant.name] = bench.figures(scores)
    rows = {
        group: {name: as_json(own) | {"difference": as_json(differences(own, model))} for name, own in of.items()}
        for group, of in found.items()
    }
    record(params, found)
    return {"n_pairs": int(bench.tested.sum()), "n_cells": len(bench.grid), "model": as_json(model), "rows": rows}


@dataclass(frozen=True)
class Bench:
    """What all variants share: vectors, pairs, the cells that are judged, and the ratings."""

    params: Params
    tables: Tables
    pairs: Pairs
    grid: list[Cell]
    ratings: pd.DataFrame

    @classmethod
    def read(cls, params: Params) -> "Bench":
        """Read what stage train read; the cells are those of ablate.cells."""
        tables = Tables.read(params)
        pairs = read_pairs(tables)
        grid = make_grid(pairs, params)
        if params.ablate.cells == "diagonal":
            grid = [cell for cell in grid if cell.on_diagonal] or grid
        return cls(params, tables, pairs, grid, read_table(PROJECT.ratings, RATINGS).to_pandas())

    @cached_property
    def tested(self) -> Mask:
        """(n_pairs,) whether a cell holds the pair out."""
        return np.asarray(np.any([cell.test for cell in self.grid], axis=0))

    @cached_property
    def judges(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The expert and the crowd ratings of the public protocol."""
        return expert_pairs(self.ratings, read_table(PROJECT.queries, QUERIES).to_pandas()), crowd_pairs(self.ratings)

    def figures(self, scores: Scores) -> Figures:
        """FIGURES of (n_pairs,) scores on the tested pairs."""
        tested = self.pairs.table.assign(score=scores)[self.tested]
        return agreement_figures(tested, *self.judges, self.params.evaluate, self.params.seed, names=FIGURES)

    def stored(self, name: str) -> Scores:
        """The scores of every pair that stage train wrote: (n_pairs,)."""
        predictions = read_table(PROJECT.predictions / f"{name}.parquet", PREDICTIONS).to_pandas()
        return self.pairs.table[PAIR].merge(predictions, on=PAIR, how="left")["score"].to_numpy()

    def score(self, variant: Variant) -> Scores:
        """Out-of-fold scores of the tested pairs, NaN elsewhere: (n_pairs,). Raises where no rating is left."""
        if variant.predictions:
            return self.stored(variant.predictions)
        relevance, weight = self.target(variant)
        known = np.isfinite(relevance)
        matrix = self.matrix(variant.params)
        if not matrix.names:
            raise ModelError("no feature is left")
        learned = self.pairs.table.assign(relevance=np.where(known, relevance, 0), weight=np.where(known, weight, 1))
        learner = replace(self.pairs, table=learned).learner(matrix, variant.params)
        scores = np.full(len(known), np.nan)
        with progress(f"folds of {variant.name}", len(self.grid)) as advance:
            for cell in self.grid:
                rows = np.flatnonzero(cell.train & known)
                scores[cell.test] = learner.fit_predict(rows, np.flatnonzero(cell.test))
                advance(1)
        return scores

    def target(self, variant: Variant) -> tuple[Scores, Scores]:
        """Relevance and weight that the variant learns; NaN for a pair of which it knows no rating."""
        asked = variant.params.aggregate
        if asked == self.params.aggregate and variant.sources == SOURCES:
            return self.pairs.relevance, self.pairs.weight
        relevance = aggregate(self.ratings[self.ratings["source"].isin(variant.sources)], asked)
        aligned = self.pairs.table[PAIR].merge(relevance, on=PAIR, how="left")
        return aligned["relevance"].to_numpy(), aligned["weight"].to_numpy()

    def matrix(self, params: Params) -> FeatureMatrix:
        """The features of every pair."""
        return self.whole if sees(params) == sees(self.params) else self._build(params)

    @cached_property
    def whole(self) -> FeatureMatrix:
        """The model's own features."""
        return self._build(self.params)

    def _build(self, params: Params) -> FeatureMatrix:
        tables = self.tables.only(params)
        return self.pairs.of(tables).features(choose_features(tables, params))


def sees(params: Params) -> tuple[list[str], ...]:
    """What the features depend on: blocks and encoders."""
    return params.train.features, list(params.embed_images.encoders), list(params.embed_texts.encoders)


def record(params: Params, found: dict[str, dict[str, Figures]]) -> None:
    """Add a child run for each row to the MLflow run of the training."""
    figures = {
        f"ablation {group}: {name}": {key: figure.value for key, figure in own.items() if figure}
        for group, rows in found.items()
        for name, own in rows.items()
    }
    recording.record_children(params, PROJECT.relevance_model, figures)


if __name__ == "__main__":
    run("ablate", ablate)
