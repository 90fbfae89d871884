"""Test aggregation on small ratings tables with known results, and the calibration of crowd votes."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from kadr.aggregate import AGGREGATORS, aggregate_ratings, summarise_relevance
from kadr.aggregate.crowd_calibration import MIN_PAIRS, calibrate_crowd
from kadr.aggregate.relevance import add_unit_rating
from kadr.errors import InputError
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


def aggregate(expert: str = "mean", crowd_weight: float = 0.5, table: pd.DataFrame = RATED) -> pd.DataFrame:
    return aggregate_ratings(table, AggregateParams(expert=expert, crowd_weight=crowd_weight)).relevance


@pytest.mark.parametrize(
    ("name", "expected"), [("mean", [1.0, 1 / 3, 0.5]), ("median", [1.0, 0.0, 0.5]), ("majority", [1.0, 0.0, 0.5])]
)
def test_method_aggregates_expert_ratings(name: str, expected: list[float]) -> None:
    table = add_unit_rating(
        ratings(
            ("a.jpg", "t1", "expert", 4.0, 1),
            ("a.jpg", "t2", "expert", 1.0, 1),
            ("b.jpg", "t1", "expert", 3.0, 1),
            ("a.jpg", "t2", "expert", 1.0, 1),
            ("a.jpg", "t2", "expert", 4.0, 1),
            ("b.jpg", "t1", "expert", 2.0, 1),
        )
    )
    method = AGGREGATORS.load(name)()
    aggregated = method.fit_predict(table)
    assert aggregated[["image_id", "query_id"]].values.tolist() == [["a.jpg", "t1"], ["a.jpg", "t2"], ["b.jpg", "t1"]]
    assert aggregated["relevance"].tolist() == pytest.approx(expected)
    assert method.fit_predict(table[::-1]).equals(aggregated)
    assert method.fit_predict(table[:0]).empty


def test_mean_of_experts_and_crowd_is_weighted() -> None:
    relevance = aggregate()
    assert relevance[["image_id", "query_id"]].values.tolist() == [["a.jpg", "t1"], ["a.jpg", "t2"], ["b.jpg", "t1"]]
    crowd = (0.5 * 4 + 1.0 * 12) / 16
    assert relevance["relevance"].tolist() == pytest.approx([0.25, (1 / 3 + 0.5 * crowd) / 1.5, 1.0])
    assert relevance["weight"].tolist() == [0.5, 1.5, 1.0]
    assert relevance["n_expert"].tolist() == [0, 3, 1]
    assert relevance["n_crowd"].tolist() == [3, 16, 0]
    assert relevance["spread"].fillna(-1).tolist() == pytest.approx([-1, np.std([0, 0, 1, 0.5, 1]), -1])


def test_median_is_taken_over_expert_ratings_only() -> None:
    assert aggregate("median", 0.0)["relevance"].tolist() == [0.0, 1.0]
    assert aggregate("median", 1.0)["relevance"].tolist() == pytest.approx([0.25, 0.875 / 2, 1.0])


def test_crowd_of_weight_zero_is_ignored() -> None:
    relevance = aggregate(crowd_weight=0.0)
    assert relevance["query_id"].tolist() == ["t2", "t1"]
    assert relevance["n_crowd"].tolist() == [0, 0]
    assert relevance["weight"].tolist() == [1.0, 1.0]
    assert relevance["spread"].fillna(-1).tolist() == pytest.approx([np.std([0, 0, 1]), -1])


@pytest.mark.parametrize("name", ["mean", "graded_response"])
@pytest.mark.parametrize("source", ["expert", "crowd"])
def test_ratings_of_a_single_source_are_aggregated(source: str, name: str) -> None:
    relevance = aggregate(name, table=RATED[RATED["source"] == source])
    assert len(relevance) == 2
    if name == "mean":
        assert relevance["weight"].tolist() == ([1.0, 1.0] if source == "expert" else [0.5, 0.5])
    assert relevance["weight"].between(0, 1 if source == "expert" else 0.5, inclusive="right").all()


@pytest.mark.parametrize("name", ["mean", "median", "majority", "graded_response"])
def test_relevance_does_not_depend_on_the_order_of_ratings(name: str) -> None:
    pd.testing.assert_frame_equal(aggregate(name), aggregate(name, table=RATED.sample(frac=1, random_state=1)))


def test_relevance_table_fits_its_schema() -> None:
    table = pa.Table.from_pandas(aggregate(), preserve_index=False).cast(RELEVANCE)
    check_schema(table, RELEVANCE, "here")
    assert table["spread"].null_count == 2
    assert table["sd"].null_count == 3


def test_missing_ratings_are_an_error() -> None:
    with pytest.raises(InputError, match="The ratings table is empty"):
        aggregate(table=RATED[:0])
    with pytest.raises(InputError, match=r"has no expert ratings, and aggregate\.crowd_weight is 0"):
        aggregate(crowd_weight=0.0, table=RATED[RATED["source"] == "crowd"])


def test_summary_counts_pairs_and_bins_relevance() -> None:
    summary = summarise_relevance(aggregate())
    assert summary["n_pairs"] == 3
    assert (summary["n_expert_pairs"], summary["n_crowd_pairs"]) == (2, 2)
    assert summary["relevance_histogram"] == [0, 0, 1, 0, 0, 1, 0, 0, 0, 1]
    assert summary["relevance_mean"] == pytest.approx((0.25 + (1 / 3 + 0.4375) / 1.5 + 1) / 3)
    assert summarise_relevance(aggregate(table=RATED[:1]))["spread_mean"] is None


@pytest.mark.slow
def test_a_million_pairs_are_aggregated() -> None:
    rng = np.random.default_rng(0)
    image = np.char.add("image", np.arange(1_000_000).astype(str))
    query = np.char.add("t", rng.integers(0, 200_000, 1_000_000).astype(str))
    pairs = pd.DataFrame({"image_id": image, "query_id": query}, dtype="str")
    repeated = [pairs.assign(source="expert", rating=rng.integers(1, 5, len(pairs)) * 1.0) for _ in range(2)]
    table = pd.concat(repeated).assign(scale_min=1.0, scale_max=4.0, votes=1)
    relevance = aggregate(table=table)
    assert len(relevance) == 1_000_000
    assert relevance["n_expert"].eq(2).all()


def test_crowd_share_becomes_the_mean_expert_relevance() -> None:
    share = np.array([0.0, 1.0] * MIN_PAIRS + [0.0, 0.5, np.nan])
    expert = np.array([0.3, 0.9] * MIN_PAIRS + [np.nan, np.nan, 0.6])
    calibrated = calibrate_crowd(share, np.full(len(share), 3.0), expert)
    np.testing.assert_allclose(calibrated[-3:], [0.3, 0.6, np.nan])
    assert calibrated[:2].tolist() == pytest.approx([0.3, 0.9])


def test_crowd_share_is_kept_without_enough_expert_pairs() -> None:
    share = np.array([0.0, 1.0, np.nan])
    np.testing.assert_array_equal(calibrate_crowd(share, np.ones(3), np.array([0.3, 0.9, 0.5])), share)


def test_pairs_without_expert_ratings_get_the_calibrated_relevance() -> None:
    pairs = [(f"{i}.jpg", "t", "expert", 2.0, 1) for i in range(MIN_PAIRS)]
    pairs += [(f"{i}.jpg", "t", "crowd", 0.0, 3) for i in range(MIN_PAIRS + 1)]
    np.testing.assert_allclose(aggregate(table=ratings(*pairs))["relevance"], 1 / 3)
