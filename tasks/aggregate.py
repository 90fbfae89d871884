"""The `aggregate` stage computes the relevance of each pair from its ratings, and selects pairs for CLIP training."""

import numpy as np
import pandas as pd
import pyarrow as pa

from kadr.aggregate import (
    CLIP,
    MODEL,
    UNUSED,
    aggregate_ratings,
    fit_graded_response,
    measure_agreement,
    select_next_ratings,
    select_ratings,
    split_pairs,
    summarise_relevance,
)
from kadr.cli.stage import Metrics, run_stage
from kadr.errors import InputError
from kadr.io.schemas import (
    CLIP_PAIRS,
    IMAGES,
    PAIR,
    QUERIES,
    RATINGS,
    RELEVANCE,
    WITHHELD,
    read_table,
    scale_to_unit,
    write_table,
)
from kadr.io.text_files import write_csv
from kadr.params import Params
from kadr.project import PROJECT

N_NEXT_RATINGS = 1000


def main(params: Params) -> Metrics:
    """Aggregate the ratings and write all output tables of the stage.

    The tables contain the relevance of each pair, the pairs for CLIP training, the pairs withheld from the relevance
    model, the pairs to rate next, and histograms of ratings and relevance.

    Returns:
        Metrics for metrics/aggregate.json.
    """
    images = read_table(PROJECT.images, IMAGES).to_pandas()
    queries = read_table(PROJECT.queries, QUERIES).to_pandas()
    ratings = read_table(PROJECT.ratings, RATINGS).to_pandas()
    ratings = select_ratings(ratings, params.aggregate.crowd_weight)
    aggregation = aggregate_ratings(ratings, params.aggregate)
    relevance, model = aggregation.relevance, aggregation.model or fit_graded_response(ratings)
    side = split_for_clip(relevance, queries, params.clip.ratings, params.seed)
    write_table(pa.Table.from_pandas(relevance, preserve_index=False), PROJECT.relevance, RELEVANCE)
    write_table(build_clip_pairs(relevance[side == CLIP], images, queries), PROJECT.clip_pairs, CLIP_PAIRS)
    withheld = pa.Table.from_pandas(relevance.loc[side != MODEL, PAIR], WITHHELD, preserve_index=False)
    write_table(withheld, PROJECT.withheld, WITHHELD)
    used_ratings = ratings.merge(relevance.loc[side != UNUSED, PAIR])
    write_csv(PROJECT.rate_next, select_next_ratings(used_ratings, model, images, queries, N_NEXT_RATINGS))
    write_csv(PROJECT.rating_bins, build_histograms(ratings, relevance))
    n_pairs = {"n_clip_pairs": int((side == CLIP).sum()), "n_pairs_between": int((side == UNUSED).sum())}
    return summarise_relevance(relevance) | n_pairs | {"agreement": measure_agreement(ratings, model)}


def split_for_clip(relevance: pd.DataFrame, queries: pd.DataFrame, clip_share: float, seed: int) -> "pd.Series[str]":
    """Split the rated pairs between CLIP training and the relevance model.

    Args:
        relevance: table RELEVANCE.
        queries: table QUERIES.
        clip_share: fraction of images and fraction of queries to use for CLIP training, in 0..1.
        seed: seed of the split.

    Returns:
        (n_pairs,) use of each pair: CLIP, MODEL or UNUSED.

    Raises:
        InputError: the relevance model gets no pairs, or CLIP training gets no pairs although `clip_share` is above 0.
    """
    captions = queries.dropna(subset="image_id")
    caption_images = dict(zip(captions["query_id"], captions["image_id"], strict=True))
    side = split_pairs(relevance, caption_images, clip_share, seed)
    n_model, n_clip = int((side == MODEL).sum()), int((side == CLIP).sum())
    if not n_model or (clip_share and not n_clip):
        raise InputError(
            f"clip.ratings: {clip_share} assigns {n_clip} rated pairs to CLIP training and {n_model} to the relevance "
            "model. Each needs at least one pair. Set clip.ratings to another value, or to 0 to train CLIP without "
            "ratings."
        )
    return side


def build_clip_pairs(pairs: pd.DataFrame, images: pd.DataFrame, queries: pd.DataFrame) -> pa.Table:
    """Convert RELEVANCE rows to a CLIP_PAIRS table by adding image paths, image hashes and query texts."""
    joined = pairs.merge(images[["image_id", "path", "sha256"]]).merge(queries[["query_id", "text"]])
    return pa.Table.from_pandas(joined[CLIP_PAIRS.names], CLIP_PAIRS, preserve_index=False)


def build_histograms(ratings: pd.DataFrame, relevance: pd.DataFrame) -> pd.DataFrame:
    """Compute histograms with 20 bins between 0 and 1.

    Returns:
        One row per bin. The column `at` is the lower edge of the bin. The columns expert and crowd are the numbers of
        ratings in the bin, after scaling to 0..1. The columns relevance and sd are the numbers of pairs whose
        relevance, or its standard deviation, is in the bin.
    """
    unit_rating = scale_to_unit(ratings)
    columns = {source: unit_rating[ratings["source"] == source] for source in ("expert", "crowd")}
    columns |= {name: relevance[name].dropna() for name in ("relevance", "sd")}
    edges = np.linspace(0, 1, 21)
    counts = {name: np.histogram(values, edges)[0] for name, values in columns.items()}
    return pd.DataFrame({"at": edges[:-1].round(2), **counts})


if __name__ == "__main__":
    run_stage("aggregate", main)
