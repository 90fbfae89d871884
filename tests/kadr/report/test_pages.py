"""Tests for the HTML pages: valid structure, no external files, escaped text, and no sections without data."""

import numpy as np

from kadr.report.comparison_tables import (
    ComparisonRow,
    ComparisonTable,
    compare_ablations,
    compare_reranking,
    compare_with_baselines,
)
from kadr.report.data_uri import thumbnail_data_uri
from kadr.report.disputed_pairs import describe_pairs, find_expert_disagreement
from kadr.report.input_tables import QuarantineRule, SplitImages
from kadr.report.metric_rows import PAIR_METRIC_KEYS, RETRIEVAL_METRIC_KEYS, MetricCell, make_metric_rows
from kadr.report.model_plots import plot_model
from kadr.report.prediction_examples import PredictionExample
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
from kadr.report.run_summary import summarise_run
from kadr.report.search_examples import SearchExample
from tests.kadr.report.literal_tables import (
    AGGREGATE,
    CROWD_RATINGS,
    EVALUATE,
    PREDICTIONS,
    RATINGS,
    RELEVANCE,
    RELEVANCE_WITH_SD,
)
from tests.kadr.report.page_parser import PageParser

LINKS = ("data:image/jpeg", "#", "ratings.html", "data_docs/index.html", "index.html")


def make_run_page(image_path: str, text: str = "a <b>dog</b>") -> RunPage:
    example = PredictionExample(thumbnail_data_uri(image_path), "a", text, 0.9, 1.0)
    return RunPage(
        title="kadr: test",
        summary=summarise_run({"evaluate": EVALUATE}),
        images=[SplitImages("train", 2, {"missing": 1})],
        quarantine=[QuarantineRule("in range", "row", 2, ["r.csv, row 3: rate_1 = 7"])],
        ratings=plot_ratings(RATINGS, RELEVANCE),
        agreement=plot_agreement(RATINGS),
        agreement_values=[],
        model=plot_model(PREDICTIONS, RATINGS, EVALUATE, {"importance": {"cosine": 1.0}}),
        metrics=make_metric_rows(EVALUATE, PAIR_METRIC_KEYS),
        retrieval=make_metric_rows(EVALUATE, RETRIEVAL_METRIC_KEYS),
        baselines=compare_with_baselines(EVALUATE),
        ablations=ComparisonTable([], []),
        pair_kinds=ComparisonTable(["pairs"], [ComparisonRow("with a negation", "", [MetricCell("1", "")])]),
        reranking=compare_reranking({"reordering": {"mrr": {"value": 0.1, "low": 0.05, "high": 0.2}}}, 100),
        best=[example],
        worst=[example],
        searches=[SearchExample(text, [], True)],
    )


def test_the_run_page_is_valid_and_loads_no_other_files(image_path: str) -> None:
    html = render_run_page(make_run_page(image_path))
    parser = PageParser(html)
    assert parser.open_tags == []
    assert parser.section_ids == ["data", "ratings", "agreement", "model", "retrieval", "predictions"]
    assert all(link.startswith(LINKS) for link in parser.links)
    assert html == render_run_page(make_run_page(image_path))


def test_the_run_page_shows_metrics_and_omits_baselines_without_values(image_path: str) -> None:
    html = render_run_page(make_run_page(image_path))
    assert "48.9" in html
    assert "Reranking significantly improves MRR and makes no metric significantly worse." in html
    assert "<th>cosine</th>" in html
    assert "<th>mean</th>" not in html


def test_texts_are_escaped(image_path: str) -> None:
    html = render_run_page(make_run_page(image_path))
    assert "<b>dog</b>" not in html
    assert "a &lt;b&gt;dog&lt;/b&gt;" in html


def test_a_run_without_expert_ratings_and_test_queries_has_fewer_sections() -> None:
    page = RunPage(
        title="crowd",
        summary=[],
        images=[],
        quarantine=[],
        ratings=plot_ratings(CROWD_RATINGS, RELEVANCE),
        agreement=[],
        agreement_values=[],
        model=plot_model(PREDICTIONS, CROWD_RATINGS, {}, {}),
        metrics=[],
        retrieval=[],
        baselines=compare_with_baselines({}),
        ablations=compare_ablations({}),
        pair_kinds=ComparisonTable([], []),
        reranking=compare_reranking({}, 100),
        best=[],
        worst=[],
        searches=[],
    )
    html = render_run_page(page)
    assert PageParser(html).section_ids == ["data", "ratings", "model", "predictions"]
    assert "The quarantine is empty." in html


def test_the_ratings_page_is_valid_and_shows_the_ratings(image_path: str) -> None:
    pairs = find_expert_disagreement(RATINGS, 5)
    described = describe_pairs(pairs, RATINGS, RELEVANCE_WITH_SD, {"1": "a <b>dog</b>"}, {"a": image_path})
    page = RatingsPage(
        title="kadr: ratings",
        summary=summarise_ratings(AGGREGATE),
        distributions=plot_ratings(RATINGS, RELEVANCE),
        agreement=plot_agreement(RATINGS),
        crowd_votes=make_crowd_rows(AGGREGATE),
        uncertainty=plot_uncertainty(RELEVANCE_WITH_SD),
        raters=make_rater_rows(AGGREGATE),
        expert_disagreement=described,
        expert_crowd_disagreement=[],
        rate_next=described,
    )
    html = render_ratings_page(page)
    parser = PageParser(html)
    assert parser.open_tags == []
    assert parser.section_ids == [
        "distributions",
        "agreement",
        "uncertainty",
        "raters",
        "disagreement",
        "rate-next",
    ]
    assert all(link.startswith(LINKS) for link in parser.links)
    assert "a &lt;b&gt;dog&lt;/b&gt;" in html
    assert "2 of 4 yes" in html


def test_the_summary_of_the_ratings_counts_the_pairs_by_use() -> None:
    metrics = {"n_pairs": 1200, "n_clip_pairs": 300, "n_pairs_between": 610}
    values = {value.name: value.value for value in summarise_ratings(metrics)}
    assert values == {"pairs": "1,200", "for CLIP training": "300", "unused": "610"}
    assert [value.name for value in summarise_ratings(metrics | {"n_clip_pairs": 0, "n_pairs_between": 0})] == ["pairs"]


def test_missing_metrics_give_an_empty_summary_and_empty_tables() -> None:
    assert plot_uncertainty(RELEVANCE_WITH_SD.assign(sd=np.nan)) == []
    assert summarise_ratings({}) == []
    assert make_crowd_rows({}) == make_rater_rows({}) == []
