"""Search better settings for the trees: `kadr tune --trials 30`.

Nested cross-validation (Varma and Simon 2006): in each of the outer cells on the grid's diagonal a study of its own
searches by inner folds of the cell's training part. What it finds is then judged on the cell's test part, which that
study never saw; over all cells this is the unbiased figure of a tuned training. Studies are kept in models/tune: a
killed search goes on where it was.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table

from kadr.errors import ModelError
from kadr.features import FeatureMatrix
from kadr.io.query_groups import query_groups
from kadr.io.schemas import PAIR, QUERIES, RATINGS, read_table
from kadr.metrics import Interval, bootstrap, crowd_pairs, expert_pairs
from kadr.model.folds import Cell
from kadr.model.relevance_model import CAPTIONED
from kadr.model.training_data import Pairs, Tables, choose_features, make_grid, read_pairs
from kadr.operations.tracking.lineage import dvc_md5
from kadr.operations.tuning import study as tune_study
from kadr.operations.tuning.study import Scores, Settings
from kadr.params import Params
from kadr.progress import progress
from kadr.project import PROJECT

if TYPE_CHECKING:
    import optuna

STUDIES = Path("models/tune/studies.db")


@dataclass(frozen=True)
class Problem:
    """The rated pairs, their features and folds, and what people said: all that does not change in a search."""

    params: Params
    pairs: Pairs
    matrix: FeatureMatrix
    people: tune_study.People

    @classmethod
    def read(cls, params: Params) -> "Problem":
        """Read what stage train reads."""
        tables = Tables.read(params)
        pairs = read_pairs(tables)
        return cls(params, pairs, pairs.features(choose_features(tables, params)), read_people(pairs))

    @cached_property
    def outer(self) -> list[Cell]:
        """The cells on the diagonal of stage train's grid, or all of it where no pair lies there.

        Of equally many folds of photos and texts, those on it together hold out each photo and each text once.
        """
        grid = make_grid(self.pairs, self.params)
        if not grid:
            raise ModelError("no pair can be held out; lower train.image_folds and train.query_folds, or add ratings")
        return [cell for cell in grid if cell.on_diagonal] or grid

    def inner(self, outer: Cell) -> list[Cell]:
        """The inner cells of an outer one. Raises ModelError where its training part has too few photos or texts."""
        table = self.pairs.table
        groups = query_groups(table["query_id"].tolist(), self.pairs.own_image)
        found = tune_study.inner_cells(outer, table["image_id"].tolist(), groups, self.params.seed + 2)
        if not found:
            raise ModelError(
                "too few photos or texts to search by inner folds; lower train.image_folds and train.query_folds, or "
                "add ratings"
            )
        return found

    def fit_predict(self, settings: Settings) -> tune_study.FitPredict:
        """Training with these settings in place of those of params.yaml."""
        train = self.params.train.model_copy(update=settings)
        return self.pairs.learner(self.matrix, self.params.model_copy(update={"train": train})).fit_predict

    def steps(self, inner: list[Cell], settings: Settings) -> Iterator[float]:
        """The figure after each inner cell."""
        return tune_study.running(self.fit_predict(settings), inner, self.people, len(self.pairs.table))

    @property
    def files(self) -> list[Path]:
        """The tables that a trial depends on."""
        images = [PROJECT.image_embeddings / f"{name}.parquet" for name in self.params.embed_images.encoders]
        texts = [PROJECT.text_embeddings / f"{name}.parquet" for name in self.params.embed_texts.encoders]
        captions = [PROJECT.captions] if CAPTIONED in self.params.train.features else []
        return [PROJECT.relevance, PROJECT.withheld, PROJECT.ratings, PROJECT.queries, *captions, *images, *texts]

    @cached_property
    def key(self) -> str:
        """Of all that a study's trials have in common: studies of other data or features are other studies."""
        settings = self.params.train.model_dump(exclude=set(tune_study.SPACE))
        data = [*map(dvc_md5, self.files), self.matrix.names, self.params.seed, settings, tune_study.SPACE]
        return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:10]


@dataclass(frozen=True)
class Tuned:
    """What a search found.

    Attributes:
        best: the settings with the best mean over the inner folds of all outer cells.
        tuned, now: figure on the outer test parts, of each cell's own find and of the settings as they are.
        gain: tuned - now, with its paired bootstrap interval by photo.
    """

    best: Settings
    tuned: float
    now: float
    gain: Interval | None


def read_people(pairs: Pairs) -> tune_study.People:
    """The expert ratings, by the public protocol, or the crowd's where there are none, joined to the pairs' rows."""
    ratings, queries = (
        read_table(PROJECT.ratings, RATINGS).to_pandas(),
        read_table(PROJECT.queries, QUERIES).to_pandas(),
    )
    rows = pairs.table[PAIR].assign(row=np.arange(len(pairs.table)))
    figure, of_pairs = "tau_c", expert_pairs(ratings, queries).merge(rows, on=PAIR)
    if of_pairs.empty:
        figure, of_pairs = "tau_b", crowd_pairs(ratings).merge(rows, on=PAIR)
    return tune_study.People(figure, of_pairs["row"].to_numpy(), of_pairs["rating"].to_numpy(dtype=float))


def tune(problem: Problem, n_trials: int, studies: Path = STUDIES) -> "tuple[Tuned, list[optuna.Study]]":
    """Search in every outer cell, choose, and judge on what each search did not see."""
    now = tune_study.as_now(problem.params)
    found, inner = [], [problem.inner(cell) for cell in problem.outer]
    with progress("trials", n_trials * len(problem.outer)) as advance:
        for cell, parts in zip(problem.outer, inner, strict=True):
            name = f"{problem.params.train.experiment}-{problem.key}-cell{cell.fold}"
            study = tune_study.open_study(studies, name, problem.params.seed + cell.fold)
            advance(min(n_trials, len(tune_study.finished(study))))
            tune_study.search(study, n_trials, now, partial(problem.steps, parts), advance)
            found.append(study)
    return judge(problem, [study.best_trial.params for study in found]), found


def judge(problem: Problem, finds: list[Settings]) -> Tuned:
    """Judge each outer cell's find on the cell's test part, and choose one of them for all."""
    now, n_pairs = tune_study.as_now(problem.params), len(problem.pairs.table)
    scores = {"tuned": np.full(n_pairs, np.nan), "now": np.full(n_pairs, np.nan)}
    with progress("judge", 2 * len(finds)) as advance:
        for cell, find in zip(problem.outer, finds, strict=True):
            for name, settings in (("tuned", find), ("now", now)):
                rows = np.flatnonzero(cell.train), np.flatnonzero(cell.test)
                scores[name][cell.test] = problem.fit_predict(settings)(*rows)
                advance(1)
    best, people = choose(problem, finds), problem.people
    return Tuned(best, people.judge(scores["tuned"]), people.judge(scores["now"]), _gain(problem, **scores))


def choose(problem: Problem, finds: list[Settings]) -> Settings:
    """The find with the best mean over the inner folds of all outer cells."""
    inner = [problem.inner(cell) for cell in problem.outer]
    distinct = [find for at, find in enumerate(finds) if find not in finds[:at]]
    with progress("choose", len(distinct) * sum(map(len, inner))) as advance:

        def inner_figure(cells: list[Cell], find: Settings) -> float:
            figures = []
            for figure in problem.steps(cells, find):
                figures.append(figure)
                advance(1)
            return figures[-1]

        return max(distinct, key=lambda find: float(np.mean([inner_figure(cells, find) for cells in inner])))


def _gain(problem: Problem, tuned: Scores, now: Scores) -> Interval | None:
    people, settings = problem.people, problem.params.evaluate
    held_out = np.flatnonzero(~np.isnan(now[people.rows]))

    def gain(rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> float:
        part = tune_study.People(people.figure, people.rows[held_out[rows]], people.rating[held_out[rows]])
        return part.judge(tuned) - part.judge(now)

    photos = problem.pairs.table["image_id"].to_numpy()[people.rows[held_out]].tolist()
    return bootstrap(gain, photos, settings.n_bootstrap, settings.confidence, problem.params.seed)


def cell_table(problem: Problem, studies: "list[optuna.Study]") -> Table:
    """What each outer cell's study tried and found."""
    figure, now = problem.people.figure, tune_study.as_now(problem.params)
    table = Table("outer cell", "trials", "pruned", f"inner {figure}", "as now", *tune_study.SPACE)
    for cell, study in zip(problem.outer, studies, strict=True):
        done = tune_study.finished(study)
        value = next((trial.value for trial in done if trial.params == now), None)
        pruned = sum(trial.state.name == "PRUNED" for trial in done)
        found = [f"{study.best_trial.params[key]:.3g}" for key in tune_study.SPACE]
        values = [f"{study.best_value:.2f}", "" if value is None else f"{value:.2f}"]
        table.add_row(str(cell.fold), str(len(done)), str(pruned), *values, *found)
    return table


def verdict(problem: Problem, tuned: Tuned) -> str:
    """What was gained on unseen parts, and the command that takes the settings."""
    figure, gain = problem.people.figure, tuned.gain
    said = f"{figure} on outer parts that no search saw: {tuned.tuned:.2f} tuned, {tuned.now:.2f} as now"
    if gain is not None:
        said += f"; gain {tuned.tuned - tuned.now:+.2f} ({gain.low:+.2f} to {gain.high:+.2f})"
    if tuned.best == tune_study.as_now(problem.params):
        return f"{said}.\nThe settings of params.yaml are the best found."
    beyond = gain is not None and gain.low > 0
    lead = "Take the best found" if beyond else "That is within the noise. To try the best found all the same"
    overrides = " ".join(f"-S train.{key}={value:.4g}" for key, value in tuned.best.items())
    return (
        f"{said}.\nQuote this gain: once the settings are taken, the folds of `evaluate` hold pairs that chose them.\n"
        f"{lead}: dvc exp run {overrides}"
    )
