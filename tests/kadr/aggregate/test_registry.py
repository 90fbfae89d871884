"""Test the contract that every registered aggregation method fulfils, and methods from other packages."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from kadr import registry
from kadr.aggregate import AGGREGATORS, aggregate_ratings, methods_without_raters
from kadr.aggregate.relevance import add_unit_rating
from kadr.io.schemas import PAIR
from kadr.params import AggregateParams
from tests.test_docs import read_blocks

N_PAIRS = 8
IMAGE_IDS = [f"{number}.jpg" for number in range(N_PAIRS)]
JOINT_METHOD = """

class JointHighest(Highest):
    uses_crowd = True
    needs_raters = True
"""
ENTRY_POINTS = """
[kadr.aggregators]
highest = other_package.highest:Highest
joint_highest = other_package.highest:JointHighest
"""


@pytest.fixture
def other_package(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install a package with two aggregation methods: `highest` from docs/ratings.md, and `joint_highest`."""
    (example,) = read_blocks(project / "docs/ratings.md", "python")
    (tmp_path / "other_package").mkdir()
    (tmp_path / "other_package/__init__.py").touch()
    (tmp_path / "other_package/highest.py").write_text(example + JOINT_METHOD)
    metadata = tmp_path / "other_package-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: other-package\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(tmp_path)
    registry._entry_points.cache_clear()
    yield
    monkeypatch.undo()
    registry._entry_points.cache_clear()


def ratings(rater: str | None = "a") -> pd.DataFrame:
    rows = [("expert", 2.0, 1.0, 4.0, 1), ("expert", 3.0, 1.0, 4.0, 1), ("crowd", 1.0, 0.0, 1.0, 5)]
    table = pd.DataFrame(rows, columns=["source", "rating", "scale_min", "scale_max", "votes"])
    return table.assign(image_id="a.jpg", query_id="t", rater=rater)


def rated_pairs(*, with_raters: bool, with_crowd: bool) -> pd.DataFrame:
    """Return ratings of eight pairs by three experts and, if `with_crowd`, by the crowd. Pair 0 has one rating only."""
    tables = []
    for number, rater in enumerate("abc"):
        levels = [1.0 + (pair * (number + 1) + number) % 4 for pair in range(N_PAIRS)]
        expert = pd.DataFrame({"image_id": IMAGE_IDS, "rating": levels, "rater": rater if with_raters else None})
        tables.append(expert.assign(source="expert", scale_min=1.0, scale_max=4.0, votes=1)[0 if number == 0 else 1 :])
    if with_crowd:
        crowd = pd.DataFrame({"image_id": IMAGE_IDS[4:], "rating": [0.0, 1 / 3, 2 / 3, 1.0], "rater": None})
        tables.append(crowd.assign(source="crowd", scale_min=0.0, scale_max=1.0, votes=3))
    return pd.concat(tables, ignore_index=True).assign(query_id="t")


@pytest.mark.parametrize("name", AGGREGATORS.names)
def test_every_method_returns_one_relevance_per_rated_pair_in_any_row_order(name: str) -> None:
    method = AGGREGATORS.load(name)
    table = add_unit_rating(rated_pairs(with_raters=method.needs_raters, with_crowd=method.uses_crowd))
    aggregated, from_shuffled = (
        method().fit_predict(rows).astype(dict.fromkeys(PAIR, "str")).sort_values(PAIR, ignore_index=True)
        for rows in (table, table.sample(frac=1, random_state=1))
    )
    assert aggregated[PAIR].values.tolist() == [[image_id, "t"] for image_id in IMAGE_IDS]
    assert aggregated["relevance"].between(0, 1).all()
    assert aggregated["relevance"].nunique() > 1
    pd.testing.assert_frame_equal(from_shuffled, aggregated)


@pytest.mark.usefixtures("other_package")
@pytest.mark.parametrize(("method", "relevance"), [("highest", (2 / 3 + 0.5 * 1.0) / 1.5), ("joint_highest", 1.0)])
def test_method_of_another_package_aggregates_ratings(method: str, relevance: float) -> None:
    aggregation = aggregate_ratings(ratings(), AggregateParams(expert=method, crowd_weight=0.5))
    assert aggregation.model is None
    row = aggregation.relevance.iloc[0]
    assert row["relevance"] == pytest.approx(relevance)
    assert (row["n_expert"], row["n_crowd"]) == (2, 5)
    assert row["weight"] == (1.5 if method == "highest" else 1.0)


@pytest.mark.usefixtures("other_package")
def test_methods_are_listed_by_whether_they_need_raters() -> None:
    assert {"highest", "joint_highest"} <= set(AGGREGATORS.names)
    assert methods_without_raters() == ["graded_response", "highest", "majority", "mean", "median"]


def test_unregistered_method_is_an_error_that_names_the_choices() -> None:
    with pytest.raises(ValidationError, match=r"'highest' is not .* Choose one of dawid_skene, glad, graded_response"):
        AggregateParams(expert="highest", crowd_weight=0.5)


@pytest.mark.parametrize("method", ["majority", "dawid_skene", "wawa"])
def test_a_long_scale_is_rounded_to_eleven_levels(method: str) -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(60)
    tables = []
    for rater in ("ann", "bob", "cat"):
        rating = np.clip(100 * truth + rng.normal(0, 3, 60), 0, 100).round(1)
        table = pd.DataFrame({"image_id": "a", "query_id": [f"q{n}" for n in range(60)], "rating": rating})
        tables.append(table.assign(source="expert", rater=rater, scale_min=0.0, scale_max=100.0, votes=1))
    ratings = pd.concat(tables, ignore_index=True)
    result = aggregate_ratings(ratings, AggregateParams(expert=method, crowd_weight=0.3))
    relevance = result.relevance.set_index("query_id")["relevance"].loc[[f"q{n}" for n in range(60)]]
    assert np.abs(relevance.to_numpy() - truth).mean() < 0.05
