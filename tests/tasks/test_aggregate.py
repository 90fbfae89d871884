"""Test stage aggregate: relevance scores, pairs for CLIP training, and the tables for the report."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from kadr.errors import InputError, SchemaError
from kadr.io.schemas import CLIP_PAIRS, IMAGES, PAIR, QUERIES, RATINGS, RELEVANCE, WITHHELD, read_table, write_table
from kadr.params import AggregateParams, Params, load_params
from kadr.project import PROJECT
from tasks import aggregate

COLUMNS = ["image_id", "query_id", "source", "rater", "rating", "scale_min", "scale_max", "votes"]
ROWS = [
    ("b.jpg", "t1", "expert", "rate_1", 4.0, 1.0, 4.0, 1),
    ("a.jpg", "t1", "expert", None, 1.0, 1.0, 4.0, 1),
    ("a.jpg", "t1", "crowd", None, 0.5, 0.0, 1.0, 3),
]
IMAGE = {"split": "train", "status": "ok", "sha256": "0"}


@pytest.fixture
def params(project: Path) -> Params:
    return load_params(project / "params.yaml")


@pytest.fixture
def rated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the input tables of the stage."""
    monkeypatch.chdir(tmp_path)
    write_ratings(ROWS)
    write_images([{"image_id": name, "path": name, **IMAGE} for name in ("a.jpg", "b.jpg")])
    write_queries([{"query_id": "t1", "text": "a dog", "split": "train"}])


def write_ratings(rows: list[tuple[object, ...]]) -> None:
    table = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    write_table(pa.Table.from_pylist(table, schema=RATINGS), PROJECT.ratings, RATINGS)


def write_images(rows: list[dict[str, object]]) -> None:
    write_table(pa.Table.from_pylist(rows, schema=IMAGES), PROJECT.images, IMAGES)


def write_queries(rows: list[dict[str, object]]) -> None:
    write_table(pa.Table.from_pylist(rows, schema=QUERIES), PROJECT.queries, QUERIES)


@pytest.mark.usefixtures("rated")
def test_ratings_become_relevance(params: Params) -> None:
    metrics = aggregate.main(params)
    relevance = read_table(PROJECT.relevance, RELEVANCE).to_pylist()
    assert [(row["image_id"], row["n_expert"], row["n_crowd"], row["spread"]) for row in relevance] == [
        ("a.jpg", 1, 3, 0.25),
        ("b.jpg", 1, 0, None),
    ]
    assert relevance[0]["relevance"] < relevance[1]["relevance"]
    assert all(0 < row["sd"] < 0.5 and 0 < row["weight"] <= 1 for row in relevance)
    assert metrics["n_pairs"] == 2
    assert (metrics["n_clip_pairs"], metrics["n_pairs_between"]) == (0, 0)
    assert not len(read_table(PROJECT.clip_pairs, CLIP_PAIRS))
    assert not len(read_table(PROJECT.withheld, WITHHELD))


@pytest.mark.usefixtures("rated")
def test_stage_writes_identical_files_for_ratings_in_any_order(params: Params) -> None:
    files = (PROJECT.relevance, PROJECT.clip_pairs, PROJECT.withheld, PROJECT.rate_next, PROJECT.rating_bins)
    aggregate.main(params)
    content = [path.read_bytes() for path in files]
    write_ratings(ROWS[::-1])
    aggregate.main(params)
    assert [path.read_bytes() for path in files] == content


@pytest.mark.usefixtures("rated")
def test_next_ratings_contain_image_path_and_query_text(params: Params) -> None:
    aggregate.main(params)
    next_ratings = pd.read_csv(PROJECT.rate_next)
    assert sorted(next_ratings["path"]) == ["a.jpg", "b.jpg"]
    assert next_ratings["text"].tolist() == ["a dog", "a dog"]
    assert (next_ratings["sd_after"] < next_ratings["sd"]).all()


@pytest.mark.usefixtures("rated")
def test_histograms_count_ratings_and_pairs(params: Params) -> None:
    aggregate.main(params)
    bins = pd.read_csv(PROJECT.rating_bins)
    assert bins[["expert", "crowd", "relevance", "sd"]].sum().tolist() == [2, 1, 2, 2]


@pytest.mark.usefixtures("rated")
def test_method_without_a_fitted_model_still_gets_agreement_and_next_ratings(params: Params) -> None:
    section = AggregateParams(expert="mean", crowd_weight=0.3)
    metrics = aggregate.main(params.model_copy(update={"aggregate": section}))
    assert metrics["sd_mean"] is None
    assert metrics["agreement"]["sd"]["after_one_expert"] < metrics["agreement"]["sd"]["before"]
    assert len(pd.read_csv(PROJECT.rate_next)) == 2


@pytest.mark.usefixtures("rated")
def test_missing_rater_ids_are_an_error_for_methods_that_need_them(params: Params) -> None:
    section = AggregateParams(expert="dawid_skene", crowd_weight=0.3)
    with pytest.raises(InputError, match="1 of 2 expert ratings have no rater ID"):
        aggregate.main(params.model_copy(update={"aggregate": section}))


def with_clip_share(params: Params, share: float) -> Params:
    return params.model_copy(update={"clip": params.clip.model_copy(update={"ratings": share})})


def write_grid(n: int) -> None:
    """Write n images, n queries, and an expert rating for each combination of image and query."""
    write_queries([{"query_id": f"t{i}", "text": f"a dog of {i} years", "split": "train"} for i in range(n)])
    write_images([{"image_id": f"{i}.jpg", "path": f"photos/{i}.jpg", **IMAGE} for i in range(n)])
    write_ratings(
        [(f"{i}.jpg", f"t{j}", "expert", None, 1.0 + (i + j) % 4, 1.0, 4.0, 1) for i in range(n) for j in range(n)]
    )


@pytest.mark.usefixtures("rated")
def test_pairs_for_clip_training_are_withheld_from_the_model(params: Params) -> None:
    write_grid(40)
    metrics = aggregate.main(with_clip_share(params, 0.4))
    clip = read_table(PROJECT.clip_pairs, CLIP_PAIRS).to_pandas()
    withheld = read_table(PROJECT.withheld, WITHHELD).to_pandas()
    relevance = read_table(PROJECT.relevance, RELEVANCE).to_pandas()
    assert len(relevance) == metrics["n_pairs"] == 1600
    assert len(clip) == metrics["n_clip_pairs"]
    assert len(withheld) == metrics["n_clip_pairs"] + metrics["n_pairs_between"]
    joined = relevance.merge(withheld, how="left", indicator=True)
    model = joined[joined["_merge"] == "left_only"]
    for column in PAIR:
        assert not set(clip[column]) & set(model[column])
        assert 8 <= clip[column].nunique() <= 24
        assert clip[column].nunique() + model[column].nunique() == 40
    assert (clip["text"] == "a dog of " + clip["query_id"].str[1:] + " years").all()
    assert (clip["path"] == "photos/" + clip["image_id"]).all()
    next_ratings = pd.read_csv(PROJECT.rate_next)
    assert len(next_ratings.merge(pd.concat([clip, model])[PAIR])) == len(next_ratings) > 0


@pytest.mark.usefixtures("rated")
@pytest.mark.parametrize(("share", "n_clip", "n_model"), [(0.99, 2, 0), (0.01, 0, 2)])
def test_share_that_leaves_one_side_without_pairs_is_an_error(
    params: Params, share: float, n_clip: int, n_model: int
) -> None:
    message = rf"clip\.ratings: {share} assigns {n_clip} rated pairs to CLIP training and {n_model} to the relevance"
    with pytest.raises(InputError, match=message):
        aggregate.main(with_clip_share(params, share))


def test_missing_ratings_table_is_an_error(tmp_path: Path, params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SchemaError, match="dvc repro"):
        aggregate.main(params)
