"""Stage aggregate: ratings in; one relevance per pair, what to rate next and the tables of DVC's plots out."""

import numpy as np
import pandas as pd
import pyarrow as pa

from kadr.aggregate import aggregate, agreement, figures, fit, rate_next, voting
from kadr.params import Params
from kadr.schemas import IMAGES, QUERIES, RATINGS, RELEVANCE, on_unit, read_table, write_table
from tasks import paths
from tasks.stage import Metrics, run, write_csv

N_NEXT = 1000  # pairs in the list of what to rate next


def main(params: Params) -> Metrics:
    """Aggregate the ratings, and write the relevance and what people look at."""
    ratings = voting(read_table(paths.RATINGS, RATINGS).to_pandas(), params.aggregate)
    images = read_table(paths.IMAGES, IMAGES).to_pandas()
    queries = read_table(paths.QUERIES, QUERIES).to_pandas()
    model = fit(ratings)
    relevance = aggregate(ratings, params.aggregate, model)
    write_table(pa.Table.from_pandas(relevance, preserve_index=False), paths.RELEVANCE, RELEVANCE)
    write_csv(paths.RATE_NEXT, rate_next(ratings, model, images, queries, N_NEXT))
    write_csv(paths.RATING_BINS, twentieths(ratings, relevance))
    return figures(relevance) | {"agreement": agreement(ratings, model)}


def twentieths(ratings: pd.DataFrame, relevance: pd.DataFrame) -> pd.DataFrame:
    """What DVC plots: ratings of each source, pairs by relevance and by its posterior deviation, in twentieths of 0..1.

    Columns at (where a twentieth begins), expert, crowd, relevance, sd.
    """
    unit = on_unit(ratings)
    columns = {source: unit[ratings["source"] == source] for source in ("expert", "crowd")}
    columns |= {name: relevance[name].dropna() for name in ("relevance", "sd")}
    edges = np.linspace(0, 1, 21)
    counts = {name: np.histogram(values, edges)[0] for name, values in columns.items()}
    return pd.DataFrame({"at": edges[:-1].round(2), **counts})


if __name__ == "__main__":
    run("aggregate", main)
