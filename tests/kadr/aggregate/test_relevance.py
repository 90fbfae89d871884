"""Aggregation: each method on literal ratings, and the two sources on one scale."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from kadr.aggregate import AGGREGATORS, aggregate, figures
from kadr.aggregate.crowd_kit import ALGORITHMS
from kadr.aggregate.crowd_scale import MIN_PAIRS, to_expert_scale
from kadr.errors import InputError, ParamsError
from kadr.io.schemas import RELEVANCE, check_schema
from kadr.params import AggregateParams

SCALES = {"expert": (1.0, 4.0), "crowd": (0.0, 1.0)}


def ratings(*rows: tuple[str, str, str, float, int]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["image_id", "query_id", "source", "rating", "votes"])
    lower, upper = (table["source"].map({source: scale[end] for source, scale in SCALES.items()}) for end in (0, 1))
    return table.assign(rater=None, scale_min=lower.astype(float), scale_max=upper.astype(float)).astype(
        {"votes": "int32"}
    )


RATED = ratings(
    ("b.jpg", "t1", "expert", 4.0, 1),
    ("a.jpg", "t2", "expert", 1.0, 1),
    ("a.jpg", "t2", "expert", 1.0, 1),
    ("a.jpg", "t2", "expert", 4.0, 1),
    ("a.jpg", "t2", "crowd", 0.5, 4),
    ("a.jpg", "t2", "crowd", 1.0, 12),
    ("a.jpg", "t1", "crowd", 0.25, 3),
)


def by(expert: str = "mean", crowd_weight: float = 0.5, table: pd.DataFrame = RATED) -> pd.DataFrame:
    return aggregate(table, AggregateParams(expert=expert, crowd_weight=crowd_weight))


@pytest.mark.parametrize(
    ("name", "expected"),
    [("mean", [4.0, 2.0, 2.5]), ("median", [4.0, 1.0, 2.5]), ("majority", [4.0, 1.0, 2.5])],
)
def test_methods(name: str, expected: list[float]) -> None:
    table = ratings(
        ("a.jpg", "t1", "expert", 4.0, 1),
        ("a.jpg", "t2", "expert", 1.0, 1),
        ("b.jpg", "t1", "expert", 3.0, 1),
        ("a.jpg", "t2", "expert", 1.0, 1),
        ("a.jpg", "t2", "expert", 4.0, 1),
        ("b.jpg", "t1", "expert", 2.0, 1),
    )
    aggregated = AGGREGATORS[name]().fit_predict(table)
    assert aggregated[["image_id", "query_id"]].values.tolist() == [["a.jpg", "t1"], ["a.jpg", "t2"], ["b.jpg", "t1"]]
    assert aggregated["rating"].tolist() == expected
    assert AGGREGATORS[name]().fit_predict(table[::-1]).equals(aggregated)
    assert AGGREGATORS[name]().fit_predict(table[:0]).empty


def test_every_method_has_a_row_above() -> None:
    assert set(AGGREGATORS) == {"mean", "median", "majority", *ALGORITHMS}


def test_experts_and_crowd_meet_on_one_scale() -> None:
    relevance = by()
    assert relevance[["image_id", "query_id"]].values.tolist() == [["a.jpg", "t1"], ["a.jpg", "t2"], ["b.jpg", "t1"]]
    crowd = (0.5 * 4 + 1.0 * 12) / 16
    assert relevance["relevance"].tolist() == pytest.approx([0.25, (1 / 3 + 0.5 * crowd) / 1.5, 1.0])
    assert relevance["weight"].tolist() == [0.5, 1.5, 1.0]
    assert relevance["n_expert"].tolist() == [0, 3, 1]
    assert relevance["n_crowd"].tolist() == [3, 16, 0]
    assert relevance["spread"].fillna(-1).tolist() == pytest.approx([-1, np.std([0, 0, 1, 0.5, 1]), -1])


def test_the_median_is_of_experts_alone() -> None:
    assert by("median", 0.0)["relevance"].tolist() == [0.0, 1.0]
    assert by("median", 1.0)["relevance"].tolist() == pytest.approx([0.25, 0.875 / 2, 1.0])


def test_a_crowd_without_weight_has_not_voted() -> None:
    relevance = by(crowd_weight=0.0)
    assert relevance["query_id"].tolist() == ["t2", "t1"]
    assert relevance["n_crowd"].tolist() == [0, 0]
    assert relevance["weight"].tolist() == [1.0, 1.0]
    assert relevance["spread"].fillna(-1).tolist() == pytest.approx([np.std([0, 0, 1]), -1])


@pytest.mark.parametrize("source", ["expert", "crowd"])
def test_one_source_is_enough(source: str) -> None:
    relevance = by(table=RATED[RATED["source"] == source])
    assert len(relevance) == 2
    assert relevance["weight"].tolist() == ([1.0, 1.0] if source == "expert" else [0.5, 0.5])


def test_the_order_of_the_ratings_does_not_matter() -> None:
    pd.testing.assert_frame_equal(by(), by(table=RATED.sample(frac=1, random_state=1)))


def test_the_table_fits_its_schema() -> None:
    table = pa.Table.from_pandas(by(), preserve_index=False).cast(RELEVANCE)
    check_schema(table, RELEVANCE, "here")
    assert table["spread"].null_count == 2
    assert table["sd"].null_count == 3  # a mean knows no uncertainty


def test_an_unknown_method_names_the_choices() -> None:
    with pytest.raises(
        ParamsError,
        match=r"aggregate\.expert: got 'mode', wanted one of graded_response, mean, median, majority, dawid_skene",
    ):
        by("mode")


def test_no_ratings_are_explained() -> None:
    with pytest.raises(InputError, match="got no ratings, wanted some"):
        by(table=RATED[:0])
    with pytest.raises(InputError, match=r"got no ratings by experts, and aggregate\.crowd_weight is 0"):
        by(crowd_weight=0.0, table=RATED[RATED["source"] == "crowd"])


def test_figures_count_pairs_and_tenths() -> None:
    counted = figures(by())
    assert counted["n_pairs"] == 3
    assert (counted["n_expert_pairs"], counted["n_crowd_pairs"]) == (2, 2)
    assert counted["relevance_histogram"] == [0, 0, 1, 0, 0, 1, 0, 0, 0, 1]
    assert counted["relevance_mean"] == pytest.approx((0.25 + (1 / 3 + 0.4375) / 1.5 + 1) / 3)
    assert figures(by(table=RATED[:1]))["spread_mean"] is None


@pytest.mark.slow
def test_a_million_pairs_keep_theirs() -> None:
    rng = np.random.default_rng(0)
    image = np.char.add("photo", np.arange(1_000_000).astype(str))
    query = np.char.add("t", rng.integers(0, 200_000, 1_000_000).astype(str))
    pairs = pd.DataFrame({"image_id": image, "query_id": query}, dtype="str")
    many = [pairs.assign(source="expert", rating=rng.integers(1, 5, len(pairs)) * 1.0) for _ in range(2)]
    table = pd.concat(many).assign(scale_min=1.0, scale_max=4.0, votes=1)
    relevance = by(table=table)
    assert len(relevance) == 1_000_000
    assert relevance["n_expert"].eq(2).all()


def test_a_share_becomes_what_experts_give_to_such_pairs() -> None:
    share = np.array([0.0, 1.0] * MIN_PAIRS + [0.0, 0.5, np.nan])
    expert = np.array([0.3, 0.9] * MIN_PAIRS + [np.nan, np.nan, 0.6])
    calibrated = to_expert_scale(share, np.full(len(share), 3.0), expert)
    np.testing.assert_allclose(calibrated[-3:], [0.3, 0.6, np.nan])
    assert calibrated[:2].tolist() == pytest.approx([0.3, 0.9])


def test_too_few_pairs_of_both_leave_the_share() -> None:
    share = np.array([0.0, 1.0, np.nan])
    np.testing.assert_array_equal(to_expert_scale(share, np.ones(3), np.array([0.3, 0.9, 0.5])), share)


def test_the_crowd_on_the_experts_scale_moves_crowd_only_pairs() -> None:
    pairs = [(f"{i}.jpg", "t", "expert", 2.0, 1) for i in range(MIN_PAIRS)]
    pairs += [(f"{i}.jpg", "t", "crowd", 0.0, 3) for i in range(MIN_PAIRS + 1)]
    relevance = aggregate(ratings(*pairs), AggregateParams(expert="mean", crowd_weight=0.5))
    np.testing.assert_allclose(relevance["relevance"], 1 / 3)
