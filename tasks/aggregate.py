"""Stage aggregate: ratings in; one relevance per pair, what to rate next and the tables of DVC's plots out."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from kadr.aggregate import aggregate, agreement, figures, fit, rate_next, voting
from kadr.params import Params
from kadr.schemas import IMAGES, QUERIES, RATINGS, RELEVANCE, read_table, write_table
from tasks import paths
from tasks.stage import Metrics, run

N_NEXT = 1000  # pairs in the list of what to rate next


def main(params: Params) -> Metrics:
    """Aggregate the ratings, and write the relevance and what people look at."""
    ratings = voting(read_table(paths.RATINGS, RATINGS).to_pandas(), params.aggregate)
    images = read_table(paths.IMAGES, IMAGES).to_pandas()
    queries = read_table(paths.QUERIES, QUERIES).to_pandas()
    model = fit(ratings)
    relevance = aggregate(ratings, params.aggregate, model)
    write_table(pa.Table.from_pandas(relevance, preserve_index=False), paths.RELEVANCE, RELEVANCE)
    write_csv(rate_next(ratings, model, images, queries, N_NEXT), paths.RATE_NEXT)
    write_csv(levels(ratings), paths.LEVELS)
    write_csv(twentieths(relevance), paths.RELEVANCE_BINS)
    return figures(relevance) | {"agreement": agreement(ratings, model)}


def levels(ratings: pd.DataFrame) -> pd.DataFrame:
    """How many ratings gave each value: source, rating, ratings (the imbalance); shares of the crowd to tenths."""
    rounded = ratings["rating"].round(1).where(ratings["source"] == "crowd", ratings["rating"].round(2))
    return ratings.assign(rating=rounded).groupby(["source", "rating"]).size().rename("ratings").reset_index()


def twentieths(relevance: pd.DataFrame) -> pd.DataFrame:
    """Pairs in each twentieth of 0..1 by relevance and by posterior deviation: at, relevance, sd."""
    edges = np.linspace(0, 1, 21)
    count = {name: np.histogram(relevance[name].dropna(), edges)[0] for name in ("relevance", "sd")}
    return pd.DataFrame({"at": edges[:-1].round(2), **count})


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write `table` as CSV to `path`, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    table.to_csv(partial, index=False, lineterminator="\n")
    partial.replace(path)


if __name__ == "__main__":
    run("aggregate", main)
