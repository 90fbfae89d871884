"""The `report` stage writes the run report and the ratings report as HTML files."""

import json
from typing import Any

import pandas as pd
import pyarrow as pa

from kadr.cli.stage import Metrics, run_stage
from kadr.index import Index
from kadr.io.embeddings import Embeddings
from kadr.io.schemas import IMAGES, LEAKS, PREDICTIONS, QUARANTINE, QUERIES, RATINGS, RELEVANCE, read_table
from kadr.io.text_files import write_text
from kadr.io.texts import normalise_text
from kadr.model import RelevanceModel
from kadr.params import Params
from kadr.project import PROJECT
from kadr.report.comparison_tables import (
    compare_ablations,
    compare_pair_kinds,
    compare_reranking,
    compare_with_baselines,
)
from kadr.report.disputed_pairs import describe_pairs, find_expert_crowd_disagreement, find_expert_disagreement
from kadr.report.input_tables import count_images, summarise_quarantine
from kadr.report.leak_tables import count_leaks, list_duplicate_images
from kadr.report.metric_rows import PAIR_METRIC_KEYS, RETRIEVAL_METRIC_KEYS, make_metric_rows
from kadr.report.model_plots import plot_model
from kadr.report.prediction_examples import make_examples, select_best, select_worst
from kadr.report.rating_plots import plot_agreement, plot_ratings
from kadr.report.ratings_page import (
    RatingsPage,
    make_crowd_rows,
    make_rater_rows,
    plot_uncertainty,
    render_ratings_page,
    summarise_ratings,
)
from kadr.report.run_page import RunPage, render_run_page
from kadr.report.run_summary import SUMMARY_KEYS, list_numbers, summarise_run
from kadr.report.search_examples import StoredTextEncoder, run_searches
from kadr.search import Searcher

STAGES = ("ingest", "aggregate", "train", "evaluate", "ablate", "index")
N_QUERIES, N_RESULTS = 6, 6


def report(params: Params) -> Metrics:
    """Write the run report and the ratings report. Return the size of the run report in bytes."""
    html = render_run_page(make_run_page(params))
    write_text(PROJECT.report, html)
    write_text(PROJECT.ratings_report, render_ratings_page(make_ratings_page(params)))
    return {"bytes": len(html.encode("utf-8"))}


def make_run_page(params: Params) -> RunPage:
    """Read the outputs of the other stages and return the contents of the run report."""
    images = pa.concat_tables([read_table(PROJECT.images, IMAGES), read_table(PROJECT.corpus, IMAGES)])
    ratings, queries = (
        read_table(PROJECT.ratings, RATINGS).to_pandas(),
        read_table(PROJECT.queries, QUERIES).to_pandas(),
    )
    predictions = read_table(PROJECT.predictions / "model.parquet", PREDICTIONS).to_pandas()
    relevance = read_table(PROJECT.relevance, RELEVANCE).to_pandas()
    metrics = {stage: _read_metrics(stage) for stage in STAGES}
    texts = dict(zip(queries["query_id"], queries["text"], strict=True))
    paths = dict(zip(images["image_id"].to_pylist(), images["path"].to_pylist(), strict=True))
    best, worst = (
        make_examples(select(predictions, params.report.n_examples), texts, paths)
        for select in (select_best, select_worst)
    )
    leaks = read_table(PROJECT.leaks, LEAKS)
    return RunPage(
        title=f"kadr: {params.train.experiment}",
        summary=summarise_run(metrics, SUMMARY_KEYS),
        images=count_images(images),
        quarantine=summarise_quarantine(read_table(PROJECT.quarantine, QUARANTINE)),
        ratings=plot_ratings(ratings, relevance),
        agreement=plot_agreement(ratings),
        agreement_values=list_numbers(metrics["aggregate"]),
        model=plot_model(predictions, ratings, metrics["evaluate"], metrics["train"]),
        metrics=make_metric_rows(metrics["evaluate"], PAIR_METRIC_KEYS),
        retrieval=make_metric_rows(metrics["evaluate"], RETRIEVAL_METRIC_KEYS),
        baselines=compare_with_baselines(metrics["evaluate"]),
        ablations=compare_ablations(metrics["ablate"]),
        pair_kinds=compare_pair_kinds(predictions, relevance, queries),
        reranking=compare_reranking(metrics["evaluate"], params.index.rerank),
        best=best,
        worst=worst,
        searches=run_searches(_load_searcher(params, queries), queries, N_QUERIES, N_RESULTS),
        leaks=count_leaks(leaks),
        duplicates=list_duplicate_images(leaks, paths, params.report.n_examples),
    )


def make_ratings_page(params: Params) -> RatingsPage:
    """Read the ratings and the relevance, and return the contents of the ratings report."""
    ratings = read_table(PROJECT.ratings, RATINGS).to_pandas()
    relevance = read_table(PROJECT.relevance, RELEVANCE).to_pandas()
    images, queries = read_table(PROJECT.images, IMAGES).to_pandas(), read_table(PROJECT.queries, QUERIES).to_pandas()
    texts = dict(zip(queries["query_id"], queries["text"], strict=True))
    paths = dict(zip(images["image_id"], images["path"], strict=True))
    rate_next = pd.read_csv(PROJECT.rate_next, dtype={"image_id": "str", "query_id": "str"})
    metrics, n_pairs = _read_metrics("aggregate"), params.report.n_examples
    expert_disagreement, expert_crowd_disagreement, next_pairs = (
        describe_pairs(pairs, ratings, relevance, texts, paths)
        for pairs in (
            find_expert_disagreement(ratings, n_pairs),
            find_expert_crowd_disagreement(ratings, n_pairs),
            rate_next.drop_duplicates("image_id").head(n_pairs),
        )
    )
    return RatingsPage(
        title=f"kadr: ratings of {params.train.experiment}",
        summary=summarise_ratings(metrics),
        distributions=plot_ratings(ratings, relevance),
        agreement=plot_agreement(ratings),
        crowd_votes=make_crowd_rows(metrics),
        uncertainty=plot_uncertainty(relevance),
        raters=make_rater_rows(metrics),
        expert_disagreement=expert_disagreement,
        expert_crowd_disagreement=expert_crowd_disagreement,
        rate_next=next_pairs,
    )


def _read_metrics(stage: str) -> dict[str, Any]:
    metrics: dict[str, Any] = json.loads((PROJECT.metrics / f"{stage}.json").read_text(encoding="utf-8"))
    return metrics


def _load_searcher(params: Params, queries: pd.DataFrame) -> Searcher:
    """Load the searcher that `kadr search` uses, with stored text embeddings instead of text encoders."""
    ids = dict(zip(queries["text"].map(normalise_text), queries["query_id"], strict=True))
    stored = Embeddings.read_all(PROJECT.text_embeddings, params.embed_texts.encoders)
    encoders = {name: StoredTextEncoder(embeddings, ids) for name, embeddings in stored.items()}
    model = RelevanceModel.load(PROJECT.relevance_model) if params.index.rerank else None
    return Searcher(Index.load(PROJECT.index), encoders, model, params.index.rerank)


if __name__ == "__main__":
    run_stage("report", report)
