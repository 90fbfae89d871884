"""Stage report: tables, figures, predictions and the index in; one HTML page for people out."""

import json
from typing import Any

import pandas as pd
import pyarrow as pa

from kadr.cli.stage import Metrics, run
from kadr.index import Index
from kadr.io.embeddings import Embeddings
from kadr.io.schemas import IMAGES, LEAKS, PREDICTIONS, QUARANTINE, QUERIES, RATINGS, RELEVANCE, read_table
from kadr.io.text_files import write_text
from kadr.io.texts import normalise_text
from kadr.model import RelevanceModel
from kadr.params import Params
from kadr.project import PROJECT
from kadr.report import comparison_tables, disputes, examples, leaks, metric_rows, rating_plots, ratings_page, tables
from kadr.report.page import Page, render_page
from kadr.report.ratings_page import RatingsPage, render_ratings_page
from kadr.search import Searcher

STAGES = ("ingest", "aggregate", "train", "evaluate", "ablate", "index")  # whose figures the page shows
N_SEARCHES, N_FOUND = 6, 6


def stage(params: Params) -> Metrics:
    """Write the pages."""
    html = render_page(make_page(params))
    write_text(PROJECT.report, html)
    write_text(PROJECT.ratings_report, render_ratings_page(make_ratings_page(params)))
    return {"bytes": len(html.encode("utf-8"))}


def make_page(params: Params) -> Page:
    """Read what the other stages wrote and choose what to show of it."""
    images = pa.concat_tables([read_table(PROJECT.images, IMAGES), read_table(PROJECT.corpus, IMAGES)])
    rated, queries = read_table(PROJECT.ratings, RATINGS).to_pandas(), read_table(PROJECT.queries, QUERIES).to_pandas()
    predictions = read_table(PROJECT.predictions / "model.parquet", PREDICTIONS).to_pandas()
    relevance = read_table(PROJECT.relevance, RELEVANCE).to_pandas()
    stages = {stage: _figures_of(stage) for stage in STAGES}
    text_of = dict(zip(queries["query_id"], queries["text"], strict=True))
    path_of = dict(zip(images["image_id"].to_pylist(), images["path"].to_pylist(), strict=True))
    best, worst = (
        examples.with_photos(choose(predictions, params.report.n_examples), text_of, path_of)
        for choose in (examples.best_pairs, examples.worst_pairs)
    )
    twins = read_table(PROJECT.leaks, LEAKS)
    return Page(
        title=f"kadr: {params.train.experiment}",
        headline=metric_rows.headline(stages, metric_rows.HEADLINE),
        photos=tables.photo_counts(images),
        quarantine=tables.quarantine_rules(read_table(PROJECT.quarantine, QUARANTINE)),
        ratings=rating_plots.rating_plots(rated, relevance),
        agreement=rating_plots.agreement_plots(rated),
        agreement_facts=metric_rows.facts(stages["aggregate"]),
        model=rating_plots.model_plots(predictions, rated, stages["evaluate"], stages["train"]),
        metrics=metric_rows.metric_rows(stages["evaluate"], metric_rows.AGREEMENT),
        retrieval=metric_rows.metric_rows(stages["evaluate"], metric_rows.RETRIEVAL),
        differences=comparison_tables.difference_table(stages["evaluate"]),
        ablations=comparison_tables.ablation_table(stages["ablate"]),
        kinds=comparison_tables.kind_table(predictions, relevance, queries),
        reordering=comparison_tables.reordering_table(stages["evaluate"], params.index.rerank),
        best=best,
        worst=worst,
        searches=examples.run_searches(_searcher(params, queries), queries, N_SEARCHES, N_FOUND),
        leaks=leaks.leak_counts(twins),
        duplicates=leaks.duplicate_pairs(twins, path_of, params.report.n_examples),
    )


def make_ratings_page(params: Params) -> RatingsPage:
    """Read what was said and made of it, and choose the pairs to look at."""
    rated = read_table(PROJECT.ratings, RATINGS).to_pandas()
    relevance = read_table(PROJECT.relevance, RELEVANCE).to_pandas()
    images, queries = read_table(PROJECT.images, IMAGES).to_pandas(), read_table(PROJECT.queries, QUERIES).to_pandas()
    text_of = dict(zip(queries["query_id"], queries["text"], strict=True))
    path_of = dict(zip(images["image_id"], images["path"], strict=True))
    following = pd.read_csv(PROJECT.rate_next, dtype={"image_id": "str", "query_id": "str"})
    aggregated, n = _figures_of("aggregate"), params.report.n_examples
    disputed, contradicted, rated_next = (
        disputes.with_ratings(pairs, rated, relevance, text_of, path_of)
        for pairs in (
            disputes.experts_apart(rated, n),
            disputes.experts_against_crowd(rated, n),
            following.drop_duplicates("image_id").head(n),
        )
    )
    return RatingsPage(
        title=f"kadr: ratings of {params.train.experiment}",
        headline=ratings_page.headline(aggregated),
        distributions=rating_plots.rating_plots(rated, relevance),
        agreement=rating_plots.agreement_plots(rated),
        crowd=ratings_page.crowd_rows(aggregated),
        certainty=ratings_page.certainty_plots(relevance),
        raters=ratings_page.rater_rows(aggregated),
        disputed=disputed,
        contradicted=contradicted,
        next=rated_next,
    )


def _figures_of(stage: str) -> dict[str, Any]:
    figures_of: dict[str, Any] = json.loads((PROJECT.metrics / f"{stage}.json").read_text(encoding="utf-8"))
    return figures_of


def _searcher(params: Params, queries: pd.DataFrame) -> Searcher:
    """Search as `kadr search` does it, with the texts' vectors that are there already."""
    id_of = dict(zip(queries["text"].map(normalise_text), queries["query_id"], strict=True))
    stored = Embeddings.read_all(PROJECT.text_embeddings, params.embed_texts.encoders)
    encoders = {name: examples.StoredTexts(embeddings, id_of) for name, embeddings in stored.items()}
    model = RelevanceModel.load(PROJECT.relevance_model) if params.index.rerank else None
    return Searcher(Index.load(PROJECT.index), encoders, model, params.index.rerank)


if __name__ == "__main__":
    run("report", stage)
