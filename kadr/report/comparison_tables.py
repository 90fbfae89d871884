"""Where the model is good and where not: against its baselines, without each of its parts, by kind of pair."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kadr.io.schemas import PAIR
from kadr.metrics import agreement
from kadr.report.metric_rows import COLUMNS, METRICS, Cell, figure_cell

GROUPS = {
    "modality": "vectors alone, learned from texts, from photos, from both",
    "encoders": "each encoder left out",
    "blocks": "each block of features left out",
    "aggregates": "the relevance to learn by another aggregate",
    "objectives": "trees that minimise another loss",
    "sources": "learned from the ratings of one source",
}
NUMBER = r"\b(?:two|three|four|five|six|seven|eight|nine|ten|три|два|две|четыре|пять|шесть|семь|восемь|\d+)\b"
NEGATION = r"\b(?:no|not|none|nobody|nothing|never|without|не|нет|без|никто|ничего)\b|n't\b"
LENGTHS = ((0, 7, "up to 7 words"), (8, 12, "8 to 12 words"), (13, np.inf, "13 words and more"))  # of a text
SPREADS = ((0.0, 0.1, "agree"), (0.1, 0.25, "differ"), (0.25, np.inf, "are far apart"))  # deviation of ratings on 0..1


@dataclass(frozen=True)
class Row:
    """A row of a table of figures: its name, what it means, and a cell or None for each column."""

    name: str
    meaning: str
    cells: Sequence[Cell | None]


@dataclass(frozen=True)
class Judged:
    """A table of figures, and what it comes to; a difference whose interval leaves out 0 is `sure`."""

    columns: Sequence[str]
    rows: Sequence[Row]
    verdict: str = ""


def difference_table(evaluate: Mapping[str, Any]) -> Judged:
    """The model less each baseline, by the paired bootstrap, for each metric of metrics/evaluate.json."""
    sources = evaluate.get("differences") or {}
    rows = [
        Row(metric.label, metric.meaning, [figure_cell(own.get(key), metric.digits, "+") for own in sources.values()])
        for key, metric in METRICS.items()
    ]
    return Judged([f"model − {COLUMNS.get(name, name)}" for name in sources], [row for row in rows if any(row.cells)])


def reordering_table(evaluate: Mapping[str, Any], rerank: int) -> Judged:
    """The order of a search's both steps less that by cosine alone, and whether `index.rerank` should be on."""
    found = {key: figure for key, figure in (evaluate.get("reordering") or {}).items() if figure}
    cells = {key: figure_cell(figure, METRICS[key].digits, "+") for key, figure in found.items()}
    rows = [Row(METRICS[key].label, METRICS[key].meaning, [cell]) for key, cell in cells.items()]
    better, worse = (
        [METRICS[key].label for key, cell in cells.items() if cell and cell.sure and sign * found[key]["value"] > 0]
        for sign in (1, -1)
    )
    if worse:
        verdict = f"It makes {', '.join(worse)} worse by more than noise, so it should be off"
    elif better:
        verdict = f"It makes {', '.join(better)} better by more than noise and nothing worse, so it should be on"
    else:
        verdict = "It changes no figure by more than noise, so it should be off: a search is quicker without it"
    now = f"index.rerank is {rerank}: it is {'on' if rerank else 'off'}."
    return Judged(["both steps − cosine"], rows, f"{verdict}; {now}" if rows else "")


def ablation_table(ablate: Mapping[str, Any]) -> Judged:
    """Each variant of metrics/ablate.json, and by how much it differs from the model on the same pairs."""
    model = ablate.get("model") or {}
    keys = [key for key, figure in model.items() if figure]

    def row(name: str, meaning: str, own: Mapping[str, Any]) -> Row:
        gaps = own.get("difference") or {}
        cells = ((own.get(key), gaps.get(key), METRICS[key].digits) for key in keys)
        return Row(name, meaning, [c for at, gap, n in cells for c in (figure_cell(at, n), figure_cell(gap, n, "+"))])

    rows = [row("the model", "all of it", model)]
    for group, variants in (ablate.get("rows") or {}).items():
        rows += [row(name, GROUPS.get(group, group), own) for name, own in variants.items()]
    columns = [column for key in keys for column in (METRICS[key].label, "− the model")]
    return Judged(columns, rows if keys and len(rows) > 1 else [])


def kind_table(predictions: pd.DataFrame, relevance: pd.DataFrame, queries: pd.DataFrame) -> Judged:
    """Held-out pairs by kind: how many, what people and the model say on the mean, RMSE and AUC.

    Args:
        predictions: columns of PREDICTIONS.
        relevance: columns of RELEVANCE.
        queries: columns of QUERIES.
    """
    described = relevance[[*PAIR, "n_expert", "spread"]].merge(
        queries[["query_id", "text", "image_id"]].rename(columns={"image_id": "own"}), on="query_id"
    )
    pairs = predictions.merge(described, on=PAIR)
    rows = [_kind(name, meaning, pairs[chosen]) for name, meaning, chosen in _kinds(pairs) if chosen.any()]
    return Judged(["pairs", "people", "model", METRICS["rmse"].label, METRICS["auc"].label], rows)


def _kinds(pairs: pd.DataFrame) -> Iterator[tuple[str, str, "pd.Series[bool]"]]:
    n_words, text, spread = pairs["text"].str.count(r"\S+"), pairs["text"].str.lower(), pairs["spread"]
    for least, most, name in LENGTHS:
        yield name, "length of the text", n_words.between(least, most)
    yield "says a number", "two, three, 4 …", text.str.contains(NUMBER)
    yield "negates", "no, not, without …", text.str.contains(NEGATION)
    yield "own caption", "the text was written for the photo", pairs["own"] == pairs["image_id"]
    yield "rated by experts", "with or without the crowd", pairs["n_expert"] > 0
    yield "rated by the crowd alone", "", pairs["n_expert"] == 0
    for low, high, word in SPREADS:
        meaning = f"ratings deviate by {low:g} to {high:g}" if high < np.inf else f"ratings deviate by {low:g} and more"
        yield f"raters {word}", meaning, (spread >= low) & (spread < high)


def _kind(name: str, meaning: str, pairs: pd.DataFrame) -> Row:
    people, score = pairs["relevance"].to_numpy(dtype=float), pairs["score"].to_numpy(dtype=float)
    figures = [people.mean(), score.mean(), *(agreement[key](people, score) for key in ("rmse", "auc"))]
    cells = [None if figure is None else Cell(f"{figure:.3f}", "") for figure in figures]
    return Row(name, meaning, [Cell(f"{len(pairs):,}", ""), *cells])
