"""Stage aggregate: ratings in; one relevance per pair, what to rate next and the tables of DVC's plots out.

Where clip.ratings asks for it, a part of the pairs goes to stage clip and is withheld from stage train.
"""

import numpy as np
import pandas as pd
import pyarrow as pa

from kadr.aggregate import BETWEEN, CLIP, MODEL, aggregate, agreement, divide, figures, fit, rate_next, voting
from kadr.cli.stage import Metrics, run
from kadr.errors import InputError
from kadr.io.schemas import (
    CLIP_PAIRS,
    IMAGES,
    PAIR,
    QUERIES,
    RATINGS,
    RELEVANCE,
    WITHHELD,
    on_unit,
    read_table,
    write_table,
)
from kadr.io.text_files import write_csv
from kadr.params import Params
from kadr.project import PROJECT

N_NEXT = 1000  # pairs in the list of what to rate next


def main(params: Params) -> Metrics:
    """Aggregate the ratings, and write the relevance and what people look at."""
    ratings = voting(read_table(PROJECT.ratings, RATINGS).to_pandas(), params.aggregate)
    images = read_table(PROJECT.images, IMAGES).to_pandas()
    queries = read_table(PROJECT.queries, QUERIES).to_pandas()
    model = fit(ratings)
    relevance = aggregate(ratings, params.aggregate, model)
    own_image = queries.set_index("query_id")["image_id"].dropna().to_dict()
    part = divide(relevance, own_image, params.clip.ratings, params.seed)
    n_model, n_clip, n_between = (int((part == name).sum()) for name in (MODEL, CLIP, BETWEEN))
    if not n_model or (params.clip.ratings and not n_clip):
        raise InputError(
            f"clip.ratings: {params.clip.ratings} gives {n_clip} rated pairs to the CLIP and {n_model} to the "
            "relevance model, and both want some; set another share, or 0"
        )
    write_table(pa.Table.from_pandas(relevance, preserve_index=False), PROJECT.relevance, RELEVANCE)
    write_table(clip_pairs(relevance[part == CLIP], images, queries), PROJECT.clip_pairs, CLIP_PAIRS)
    withheld = pa.Table.from_pandas(relevance.loc[part != MODEL, PAIR], WITHHELD, preserve_index=False)
    write_table(withheld, PROJECT.withheld, WITHHELD)
    useful = ratings.merge(relevance.loc[part != BETWEEN, PAIR])
    write_csv(PROJECT.rate_next, rate_next(useful, model, images, queries, N_NEXT))
    write_csv(PROJECT.rating_bins, twentieths(ratings, relevance))
    divided = {"n_clip_pairs": n_clip, "n_pairs_between": n_between}
    return figures(relevance) | divided | {"agreement": agreement(ratings, model)}


def clip_pairs(pairs: pd.DataFrame, images: pd.DataFrame, queries: pd.DataFrame) -> pa.Table:
    """Rows of RELEVANCE with their photos and texts, as CLIP_PAIRS."""
    whole = pairs.merge(images[["image_id", "path", "sha256"]]).merge(queries[["query_id", "text"]])
    return pa.Table.from_pandas(whole[CLIP_PAIRS.names], CLIP_PAIRS, preserve_index=False)


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
