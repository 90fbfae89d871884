"""Stage aggregate: the table of ratings in, the table of relevance out."""

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


@pytest.fixture
def rated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tables that the stage reads."""
    monkeypatch.chdir(tmp_path)
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]
    write_table(pa.Table.from_pylist(rows, schema=RATINGS), PROJECT.ratings, RATINGS)
    photo = {"split": "train", "status": "ok", "sha256": "0"}
    photos = [{"image_id": name, "path": name, **photo} for name in ("a.jpg", "b.jpg")]
    write_table(pa.Table.from_pylist(photos, schema=IMAGES), PROJECT.images, IMAGES)
    text = {"query_id": "t1", "text": "a dog", "split": "train"}
    write_table(pa.Table.from_pylist([text], schema=QUERIES), PROJECT.queries, QUERIES)


@pytest.mark.usefixtures("rated")
def test_ratings_become_relevance(project: Path) -> None:
    params = load_params(project / "params.yaml")
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
    written = (PROJECT.relevance, PROJECT.clip_pairs, PROJECT.withheld, PROJECT.rate_next, PROJECT.rating_bins)
    first = [path.read_bytes() for path in written]
    aggregate.main(params)
    assert [path.read_bytes() for path in written] == first


@pytest.mark.usefixtures("rated")
def test_what_to_rate_next_names_photo_and_text(project: Path) -> None:
    aggregate.main(load_params(project / "params.yaml"))
    following = pd.read_csv(PROJECT.rate_next)
    assert sorted(following["path"]) == ["a.jpg", "b.jpg"]
    assert following["text"].tolist() == ["a dog", "a dog"]
    assert (following["sd_after"] < following["sd"]).all()
    bins = pd.read_csv(PROJECT.rating_bins)
    assert bins[["expert", "crowd", "relevance", "sd"]].sum().tolist() == [2, 1, 2, 2]


@pytest.mark.usefixtures("rated")
def test_methods_that_model_raters_refuse_unknown_ones(project: Path) -> None:
    params = load_params(project / "params.yaml")
    asked = params.model_copy(update={"aggregate": AggregateParams(expert="dawid_skene", crowd_weight=0.3)})
    with pytest.raises(InputError, match="dawid_skene learns how far each rater is right"):
        aggregate.main(asked)


def with_ratings_for_the_clip(project: Path, share: float) -> Params:
    params = load_params(project / "params.yaml")
    return params.model_copy(update={"clip": params.clip.model_copy(update={"ratings": share})})


def write_grid(n: int) -> None:
    """Every one of n photos rated with every one of n texts."""
    texts = [{"query_id": f"t{i}", "text": f"a dog of {i} years", "split": "train"} for i in range(n)]
    write_table(pa.Table.from_pylist(texts, QUERIES), PROJECT.queries, QUERIES)
    photo = {"split": "train", "status": "ok", "sha256": "0"}
    photos = [{"image_id": f"{i}.jpg", "path": f"photos/{i}.jpg", **photo} for i in range(n)]
    write_table(pa.Table.from_pylist(photos, IMAGES), PROJECT.images, IMAGES)
    pairs = [(f"{i}.jpg", f"t{j}", "expert", None, 1.0 + (i + j) % 4, 1.0, 4.0, 1) for i in range(n) for j in range(n)]
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in pairs]
    write_table(pa.Table.from_pylist(rows, RATINGS), PROJECT.ratings, RATINGS)


@pytest.mark.usefixtures("rated")
def test_a_part_of_the_pairs_goes_to_the_clip_and_is_withheld(project: Path) -> None:
    write_grid(40)
    metrics = aggregate.main(with_ratings_for_the_clip(project, 0.4))
    clip = read_table(PROJECT.clip_pairs, CLIP_PAIRS).to_pandas()
    withheld = read_table(PROJECT.withheld, WITHHELD).to_pandas()
    relevance = read_table(PROJECT.relevance, RELEVANCE).to_pandas()
    assert len(relevance) == metrics["n_pairs"] == 1600
    assert len(clip) == metrics["n_clip_pairs"]
    assert len(withheld) == metrics["n_clip_pairs"] + metrics["n_pairs_between"]
    both = relevance.merge(withheld, how="left", indicator=True)
    model = both[both["_merge"] == "left_only"]
    for column in PAIR:
        assert not set(clip[column]) & set(model[column])
        assert 8 <= clip[column].nunique() <= 24
        assert clip[column].nunique() + model[column].nunique() == 40
    assert (clip["text"] == "a dog of " + clip["query_id"].str[1:] + " years").all()
    assert (clip["path"] == "photos/" + clip["image_id"]).all()
    useful = pd.concat([clip, model])[PAIR]
    following = pd.read_csv(PROJECT.rate_next)
    assert len(following.merge(useful)) == len(following) > 0


@pytest.mark.usefixtures("rated")
def test_photos_that_come_later_leave_the_others_where_they_are(project: Path) -> None:
    parts = []
    for n in (20, 40):
        write_grid(n)
        aggregate.main(with_ratings_for_the_clip(project, 0.4))
        parts.append(read_table(PROJECT.clip_pairs, CLIP_PAIRS).to_pandas())
    before, after = (set(zip(part["image_id"], part["query_id"], strict=True)) for part in parts)
    assert before < after


@pytest.mark.usefixtures("rated")
def test_a_share_that_leaves_one_side_nothing_is_refused(project: Path) -> None:
    with pytest.raises(
        InputError, match=r"clip\.ratings: 0\.99 gives 2 rated pairs to the CLIP and 0 to the relevance"
    ):
        aggregate.main(with_ratings_for_the_clip(project, 0.99))
    with pytest.raises(
        InputError, match=r"clip\.ratings: 0\.01 gives 0 rated pairs to the CLIP and 2 to the relevance"
    ):
        aggregate.main(with_ratings_for_the_clip(project, 0.01))


def test_without_ratings_the_stage_says_what_to_run(
    tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SchemaError, match="Run `dvc repro`"):
        aggregate.main(load_params(project / "params.yaml"))
