"""The report: its figures, tables, plots and examples from literal tables, and the page that holds them."""

from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image

from kadr.index import build_index
from kadr.io.embeddings import Embeddings, Vectors
from kadr.io.schemas import IMAGES, QUARANTINE
from kadr.report import comparison_tables, disputes, examples, metric_rows, plots, rating_plots, ratings_page, tables
from kadr.report.page import Page, render_page
from kadr.report.ratings_page import RatingsPage, render_ratings_page
from kadr.search import Searcher

EVALUATE = {
    "tau_c": {"value": 48.91, "low": 47.1, "high": 50.6},
    "tau_b": None,
    "rmse": {"value": 0.2, "low": 0.1, "high": 0.3},
    "ece": {"value": 0.02, "low": 0.01, "high": 0.03},
    "recall_at_5": {"value": 0.75, "low": 0.7, "high": 0.8},
    "baselines": {"cosine": {"tau_c": {"value": 46.8, "low": 45.0, "high": 48.0}, "rmse": None}, "concat": {}},
    "differences": {"cosine": {"tau_c": {"value": 2.11, "low": 1.0, "high": 3.0}}, "concat": {}},
    "human": {
        "tau_c": {"value": 55.0, "low": 53.0, "high": 57.0},
        "model": {"value": 48.9, "low": 47.0, "high": 50.0},
        "share": {"value": 88.9, "low": 86.0, "high": 91.0},
    },
    "ceiling": {"tau_c": {"value": 70.6, "low": 69.0, "high": 72.0}},
}
PREDICTIONS = pd.DataFrame(
    {
        "image_id": ["a", "a", "b", "c"],
        "query_id": ["1", "2", "1", "1"],
        "relevance": [1.0, 0.9, 0.8, 0.0],
        "score": [0.9, 0.8, 0.1, 0.2],
        "fold": [0, 1, 0, 1],
    }
)
RATINGS = pd.DataFrame(
    [
        ("a", "1", "expert", 4.0, 1.0, 4.0, 1),
        ("a", "1", "expert", 3.0, 1.0, 4.0, 1),
        ("c", "1", "expert", 1.0, 1.0, 4.0, 1),
        ("a", "1", "crowd", 1.0, 0.0, 1.0, 2),
        ("a", "1", "crowd", 0.0, 0.0, 1.0, 2),
        ("c", "1", "crowd", 0.0, 0.0, 1.0, 3),
    ],
    columns=["image_id", "query_id", "source", "rating", "scale_min", "scale_max", "votes"],
)
RELEVANCE = PREDICTIONS[["image_id", "query_id", "relevance"]]
BLOCKS = {"cosine": 0.7, "product": 0.3}


def titles(drawn: Sequence[plots.Plot]) -> list[str]:
    return [plot.title for plot in drawn]


# Figures.


def test_rows_have_what_the_run_has() -> None:
    rows = {row.key: row.cells for row in metric_rows.metric_rows(EVALUATE)}
    assert list(rows) == ["tau_c", "rmse", "ece", "recall_at_5"]
    assert rows["tau_c"]["model"] == metric_rows.Cell("48.9", "47.1 to 50.6")
    assert rows["tau_c"]["ceiling"] == metric_rows.Cell("70.6", "69.0 to 72.0")
    assert rows["rmse"]["cosine"] is None
    assert rows["tau_c"]["concat"] is None
    assert metric_rows.metric_rows({}) == []


def test_the_headline_counts_and_judges() -> None:
    ingest = {
        "photos": {"train": {"ok": 599, "truncated": 1}, "test": {"ok": 60}, "corpus": {}},
        "queries": {"train": 1200, "test": 300},
        "ratings": {"crowd": 10, "expert": 20},
        "set_aside": {"row": {"rating": 2}, "image": {"photo": 1}},
    }
    facts = {fact.name: fact for fact in metric_rows.headline({"ingest": ingest, "evaluate": EVALUATE})}
    assert (facts["photos"].value, facts["photos"].note) == ("659", "599 train, 60 test")
    assert facts["texts"].value == "1,500"
    assert (facts["set aside"].value, facts["set aside"].note) == ("3", "2 row, 1 image")
    assert facts["tau-c"].note == "47.1 to 50.6; cosine 46.8; other experts 55.0; human ceiling 70.6"
    assert (facts["tau-c above cosine"].value, facts["tau-c above cosine"].note) == ("+2.1", "+1.0 to +3.0")
    assert facts["of human agreement"].value == "89 %"
    assert (
        facts["of human agreement"].note == "86 to 91; tau-c with single expert ratings: model 48.9, other experts 55.0"
    )
    assert "RMSE" in facts
    assert [fact.name for fact in metric_rows.headline({"evaluate": {"tau_c": EVALUATE["tau_c"]}})] == ["tau-c"]
    assert metric_rows.headline({}) == []


def test_facts_are_the_plain_numbers() -> None:
    found = metric_rows.facts(
        {"n_pairs": 1200, "alpha": 0.5, "list": [1], "none": None, "yes": True, "in": {"at": 1.0}}
    )
    assert [(fact.name, fact.value) for fact in found] == [("pairs", "1,200"), ("alpha", "0.500"), ("in at", "1.000")]


# Where the model is good and where not.


def test_differences_from_the_baselines() -> None:
    table = comparison_tables.difference_table(EVALUATE)
    assert table.columns == ["model − cosine", "model − concatenation"]
    assert [(row.name, row.cells) for row in table.rows] == [
        ("tau-c", [metric_rows.Cell("+2.1", "+1.0 to +3.0", True), None])
    ]
    assert comparison_tables.difference_table({}).rows == []


@pytest.mark.parametrize(
    ("recall", "mrr", "verdict"),
    [
        ((0.1, 0.2), (-0.1, 0.1), "It makes recall@1 better by more than noise and nothing worse, so it should be on;"),
        ((0.1, 0.2), (-0.2, -0.1), "It makes MRR worse by more than noise, so it should be off;"),
        ((-0.1, 0.2), (-0.1, 0.1), "It changes no figure by more than noise, so it should be off:"),
    ],
)
def test_whether_reordering_helps(recall: tuple[float, float], mrr: tuple[float, float], verdict: str) -> None:
    both = {"recall_at_1": recall, "mrr": mrr}
    found = {key: {"value": sum(of) / 2, "low": of[0], "high": of[1]} for key, of in both.items()}
    table = comparison_tables.reordering_table({"reordering": found | {"ndcg_at_10": None}}, 0)
    assert [row.name for row in table.rows] == ["recall@1", "MRR"]
    assert table.verdict.startswith(verdict)
    assert table.verdict.endswith("index.rerank is 0: it is off.")
    assert comparison_tables.reordering_table({}, 100).rows == []


def test_ablations_beside_the_model() -> None:
    gap = {"tau_c": {"value": -1.0, "low": -2.5, "high": 0.5}}
    ablate = {
        "model": {"tau_c": EVALUATE["tau_c"], "tau_b": None},
        "rows": {"blocks": {"without cosine": {"tau_c": {"value": 47.9, "low": 46, "high": 49}, "difference": gap}}},
    }
    table = comparison_tables.ablation_table(ablate)
    assert table.columns == ["tau-c", "− the model"]
    assert [row.name for row in table.rows] == ["the model", "without cosine"]
    assert table.rows[1].cells == [
        metric_rows.Cell("47.9", "46.0 to 49.0"),
        metric_rows.Cell("-1.0", "-2.5 to +0.5", False),
    ]
    assert comparison_tables.ablation_table({"model": ablate["model"], "rows": {}}).rows == []


def test_errors_by_kind_of_pair() -> None:
    queries = pd.DataFrame(
        {"query_id": ["1", "2"], "text": ["A dog", "No two cats on 3 mats of the hall"], "image_id": "a"}
    )
    relevance = RELEVANCE.assign(n_expert=[2, 0, 0, 1], spread=[0.3, None, 0.0, 0.15])
    table = comparison_tables.kind_table(PREDICTIONS, relevance, queries)
    pairs = {row.name: [cell and cell.value for cell in row.cells] for row in table.rows}
    assert {name: values[0] for name, values in pairs.items()} == {
        "up to 7 words": "3",
        "8 to 12 words": "1",
        "says a number": "1",
        "negates": "1",
        "own caption": "2",
        "rated by experts": "2",
        "rated by the crowd alone": "2",
        "raters agree": "1",
        "raters differ": "1",
        "raters are far apart": "1",
    }
    assert pairs["up to 7 words"][1:] == ["0.600", "0.400", "0.424", "0.500"]
    assert pairs["negates"][1:] == ["0.900", "0.800", "0.100", None]


# Tables.


def test_photos_by_split_and_reason() -> None:
    rows = [("test", "ok"), ("train", "ok"), ("train", "truncated"), ("train", "ok"), ("train", "missing")]
    images = pa.Table.from_pylist(
        [{"image_id": str(n), "path": "", "split": split, "status": status} for n, (split, status) in enumerate(rows)],
        IMAGES,
    )
    assert tables.photo_counts(images) == [
        tables.PhotoCount("train", 2, {"missing": 1, "truncated": 1}),
        tables.PhotoCount("test", 1, {}),
    ]


def test_quarantine_by_rule_the_most_frequent_first() -> None:
    rows = [
        ("photos/x.jpg", None, None, None, "decodes", "image"),
        ("r.csv", 3, "rate_1", "7", "in range", "row"),
        ("r.csv", 9, "rate_2", None, "in range", "row"),
    ]
    rules = tables.quarantine_rules(
        pa.Table.from_pylist([dict(zip(QUARANTINE.names, row, strict=True)) for row in rows], QUARANTINE)
    )
    assert rules == [
        tables.Rule("in range", "row", 2, ["r.csv, row 3: rate_1 = 7", "r.csv, row 9: rate_2 = (empty)"]),
        tables.Rule("decodes", "image", 1, ["photos/x.jpg"]),
    ]
    assert tables.quarantine_rules(QUARANTINE.empty_table()) == []


# Plots.


def test_rating_plots_by_what_there_is() -> None:
    assert titles(rating_plots.rating_plots(RATINGS, RELEVANCE)) == ["Expert ratings", "Crowd votes", "Relevance"]
    crowd = RATINGS[RATINGS["source"] == "crowd"]
    drawn = rating_plots.rating_plots(crowd, RELEVANCE)
    assert titles(drawn) == ["Crowd votes", "Relevance"]
    assert drawn[0].caption == "2 pairs judged by the crowd; for 50% of them nobody said yes."


def test_agreement_plots_by_what_there_is() -> None:
    drawn = rating_plots.agreement_plots(RATINGS)
    assert titles(drawn) == ["Disagreement", "Crowd against experts"]
    assert "1 pairs" in drawn[0].caption
    assert "2 pairs that both judged" in drawn[1].caption
    assert rating_plots.agreement_plots(RATINGS[RATINGS["source"] == "crowd"]) == []


def test_model_plots_by_what_there_is() -> None:
    drawn = rating_plots.model_plots(PREDICTIONS, RATINGS, EVALUATE, {"importance": BLOCKS, "shap": BLOCKS})
    assert titles(drawn) == [
        "Agreement with people",
        "Calibration",
        "Score by rating",
        "What the model looks at",
        "What moves a prediction",
    ]
    assert drawn[1].caption.endswith("The expected calibration error is 0.020.")
    crowd = RATINGS[RATINGS["source"] == "crowd"]
    assert titles(rating_plots.model_plots(PREDICTIONS, crowd, {"baselines": None}, {})) == ["Calibration"]


def test_a_plot_is_the_same_every_time_and_has_the_colours_of_the_page() -> None:
    one, two = (plots.draw("T", "c", plots.histogram(np.array([0.1, 0.9]), "x", "y")) for _ in range(2))
    assert one == two
    assert one.svg.startswith("<svg")
    assert "var(--accent)" in one.svg
    assert "#030303" not in one.svg
    assert "date" not in one.svg


# Examples.


def test_best_are_sure_true_matches_one_per_photo() -> None:
    assert examples.best_pairs(PREDICTIONS, 5)["image_id"].tolist() == ["a", "b"]


def test_worst_are_the_farthest_from_people_and_the_order_of_rows_changes_nothing() -> None:
    worst = examples.worst_pairs(PREDICTIONS, 2)
    assert worst[["image_id", "query_id"]].to_numpy().tolist() == [["b", "1"], ["c", "1"]]
    assert examples.worst_pairs(PREDICTIONS[::-1], 2).equals(worst)


@pytest.fixture
def photo_path(tmp_path: Path) -> str:
    path = tmp_path / "photo.png"
    Image.new("RGB", (8, 8), "red").save(path)
    return str(path)


def test_searches_use_the_stored_vectors(photo_path: str) -> None:
    names, vectors = ["a", "b"], np.eye(2, dtype=np.float32)
    photos = pa.Table.from_pylist(
        [{"image_id": name, "path": photo_path, "split": "test", "status": "ok"} for name in names], IMAGES
    )
    index = build_index(photos, {"clip": Embeddings(names, vectors, {"encoder": "clip"})}, "clip", 100)
    texts = Embeddings(["q1", "q2", "q3"], np.array([[0, 1], [1, 0], [1, 0]], dtype=np.float32), {"encoder": "clip"})
    stored = examples.StoredTexts(texts, {"bee": "q1", "ant": "q2", "all": "q3"})
    queries = pd.DataFrame(
        [
            ("q1", "bee", "b", "test"),
            ("q2", "ant", "b", "test"),
            ("q3", "all", None, "test"),
            ("q4", "x", "a", "train"),
        ],
        columns=["query_id", "text", "image_id", "split"],
    )
    bee, everything = examples.run_searches(Searcher(index, {"clip": stored}, None, 0), queries, 3, 2)
    assert (bee.text, bee.has_answer) == ("bee", True)
    assert [found.right for found in bee.found] == [True, False]
    assert bee.found[0].photo.startswith("data:image/jpeg;base64,")
    assert (everything.text, everything.has_answer) == ("all", False)


# The page.


class Outline(HTMLParser):
    """Collects ids and addresses, and checks that tags are closed in order."""

    VOID = ("meta", "img", "br", "use", "path")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.addresses += [found[key] or "" for key in ("src", "href") if key in found]
        if tag == "section":
            self.ids.append(found["id"] or "")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def page(photo: str, text: str = "a <b>dog</b>") -> Page:
    example = examples.Example(photo, "a", text, 0.9, 1.0)
    return Page(
        title="kadr: test",
        headline=metric_rows.headline({"evaluate": EVALUATE}),
        photos=[tables.PhotoCount("train", 2, {"missing": 1})],
        quarantine=[tables.Rule("in range", "row", 2, ["r.csv, row 3: rate_1 = 7"])],
        ratings=rating_plots.rating_plots(RATINGS, RELEVANCE),
        agreement=rating_plots.agreement_plots(RATINGS),
        agreement_facts=[],
        model=rating_plots.model_plots(PREDICTIONS, RATINGS, EVALUATE, {"importance": {"cosine": 1.0}}),
        metrics=metric_rows.metric_rows(EVALUATE, metric_rows.AGREEMENT),
        retrieval=metric_rows.metric_rows(EVALUATE, metric_rows.RETRIEVAL),
        differences=comparison_tables.difference_table(EVALUATE),
        ablations=comparison_tables.Judged([], []),
        kinds=comparison_tables.Judged(["pairs"], [comparison_tables.Row("negates", "", [metric_rows.Cell("1", "")])]),
        reordering=comparison_tables.reordering_table(
            {"reordering": {"mrr": {"value": 0.1, "low": 0.05, "high": 0.2}}}, 100
        ),
        best=[example],
        worst=[example],
        searches=[examples.Query(text, [], True)],
    )


def test_the_page_is_whole_and_loads_nothing(photo_path: str) -> None:
    html = render_page(page(examples.photo_address(photo_path)))
    outline = Outline(html)
    assert outline.open == []
    assert outline.ids == ["data", "ratings", "agreement", "model", "retrieval", "predictions"]
    assert all(
        address.startswith(("data:image/jpeg", "#", "ratings.html", "data_docs/ratings.html"))
        for address in outline.addresses
    )
    assert "48.9" in html
    assert "It makes MRR better by more than noise and nothing worse, so it should be on" in html
    assert "mean</th>" not in html  # no run has that baseline here
    assert html == render_page(page(examples.photo_address(photo_path)))


def test_texts_are_escaped(photo_path: str) -> None:
    html = render_page(page(examples.photo_address(photo_path)))
    assert "<b>dog</b>" not in html
    assert "a &lt;b&gt;dog&lt;/b&gt;" in html


def test_a_run_without_expert_ratings_or_test_texts() -> None:
    crowd = RATINGS[RATINGS["source"] == "crowd"]
    bare = Page(
        title="bare",
        headline=[],
        photos=[],
        quarantine=[],
        ratings=rating_plots.rating_plots(crowd, RELEVANCE),
        agreement=[],
        agreement_facts=[],
        model=rating_plots.model_plots(PREDICTIONS, crowd, {}, {}),
        metrics=[],
        retrieval=[],
        differences=comparison_tables.difference_table({}),
        ablations=comparison_tables.ablation_table({}),
        kinds=comparison_tables.Judged([], []),
        reordering=comparison_tables.reordering_table({}, 100),
        best=[],
        worst=[],
        searches=[],
    )
    html = render_page(bare)
    assert Outline(html).ids == ["data", "ratings", "model", "predictions"]
    assert "Nothing was quarantined." in html


def test_stored_texts_know_only_their_texts() -> None:
    texts: Vectors = np.eye(2, dtype=np.float32)
    stored = examples.StoredTexts(Embeddings(["1", "2"], texts, {}), {"a": "1", "b": "2"})
    assert stored.transform(["b", "a"]).tolist() == [[0, 1], [1, 0]]


# The page of the ratings.

AGGREGATED = {
    "n_pairs": 1200,
    "agreement": {
        "krippendorff_alpha": 0.7046,
        "icc": None,
        "sd": {"before": 0.3, "after_one_expert": 0.13},
        "crowd_by_expert": {"0.00": {"no": 3, "split": 0, "yes": 1}},
        "raters": {"ann": {"n_ratings": 10, "leniency": -0.1, "lapses": 0.02, "noise": 0.2}},
    },
}
JUDGED = pd.DataFrame(
    [("a", "1", 0.9, 1.0, 2, 4, 0.4, 0.1), ("c", "1", 0.1, 0.3, 1, 3, 0.0, 0.2)],
    columns=["image_id", "query_id", "relevance", "weight", "n_expert", "n_crowd", "spread", "sd"],
)


def test_disputed_pairs_are_the_farthest_apart() -> None:
    assert disputes.experts_apart(RATINGS, 5).to_numpy().tolist() == [["a", "1"]]
    assert disputes.experts_against_crowd(RATINGS, 5)["image_id"].tolist() == ["a", "c"]
    crowd = RATINGS[RATINGS["source"] == "crowd"]
    assert disputes.experts_apart(crowd, 5).empty
    assert disputes.experts_against_crowd(crowd, 5).empty


def test_the_ratings_page_is_whole(photo_path: str) -> None:
    apart = disputes.experts_apart(RATINGS, 5)
    shown = disputes.with_ratings(apart, RATINGS, JUDGED, {"1": "a <b>dog</b>"}, {"a": photo_path})
    assert (shown[0].expert, shown[0].crowd, shown[0].high) == (["3", "4"], "2 of 4 yes", 1.0)
    whole = RatingsPage(
        title="kadr: ratings",
        headline=ratings_page.headline(AGGREGATED),
        distributions=rating_plots.rating_plots(RATINGS, RELEVANCE),
        agreement=rating_plots.agreement_plots(RATINGS),
        crowd=ratings_page.crowd_rows(AGGREGATED),
        certainty=ratings_page.certainty_plots(JUDGED),
        raters=ratings_page.rater_rows(AGGREGATED),
        disputed=shown,
        contradicted=[],
        next=shown,
    )
    html = render_ratings_page(whole)
    outline = Outline(html)
    assert outline.open == []
    assert outline.ids == ["distributions", "agreement", "certainty", "raters", "disputed", "next"]
    assert "a &lt;b&gt;dog&lt;/b&gt;" in html
    assert "0.70" in html


def test_the_ratings_page_says_how_many_pairs_the_model_does_not_have() -> None:
    divided = {"n_pairs": 1200, "n_clip_pairs": 300, "n_pairs_between": 610}
    facts = {fact.name: fact.value for fact in ratings_page.headline(divided)}
    assert facts == {"pairs": "1,200", "for the CLIP": "300", "in neither part": "610"}
    assert len(ratings_page.headline({**divided, "n_clip_pairs": 0, "n_pairs_between": 0})) == 1


def test_a_mean_has_no_certainty_to_show() -> None:
    assert ratings_page.certainty_plots(JUDGED.assign(sd=np.nan)) == []
    assert ratings_page.headline({}) == []
    assert ratings_page.crowd_rows({}) == ratings_page.rater_rows({}) == []
