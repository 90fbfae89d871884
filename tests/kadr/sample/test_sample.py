"""The embedded sample data: same seed, same bytes; planted defects; ratings that follow the truth."""

import hashlib
import json
from dataclasses import fields
from pathlib import Path

import imagehash
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import kadr.sample
from kadr.sample import PLANTED, Planted, SampleError, SampleSummary, write_sample
from kadr.sample.captions import captions_of
from kadr.sample.composition import draw_scene
from kadr.sample.defects import MIN_TRAIN
from kadr.sample.drawing import draw_photo
from kadr.sample.drawing.backgrounds import PAINTERS
from kadr.sample.drawing.image import DRAWINGS, draw_thing
from kadr.sample.image_files import Picture, draw_pictures
from kadr.sample.phrases import NOUNS, SETTINGS, VERBS
from kadr.sample.scene import Scene, Thing, holds
from kadr.sample.split_images import album, distinct_album
from kadr.sample.train_table import rate
from kadr.sample.truth import Mention, Statement, relevance
from kadr.sample.vocabulary import BACKGROUNDS, KINDS, RELATIONS

Written = tuple[Path, SampleSummary]

N_TRAIN, N_TEST, N_CORPUS = 12, 4, 5
EXPERTS = ["rate_1", "rate_2", "rate_3"]

RED_BALL = Thing("ball", "red", "small", 0.25, 0.5)
BLUE_CAR = Thing("car", "blue", "large", 0.75, 0.5)
SCENE = Scene("beach", (RED_BALL, BLUE_CAR))
SAID = Statement((Mention("ball", "red"), Mention("car", "blue")), "left of", "beach")


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("data") / "sample"
    return folder, _write(folder)


@pytest.fixture(scope="module")
def rows(sample: Written) -> pd.DataFrame:
    return pd.read_csv(sample[0] / "train_dataset.csv", keep_default_na=False)


@pytest.fixture(scope="module")
def many() -> pd.DataFrame:
    """Expert and crowd ratings of 200 photos that nobody draws, with their truth."""
    table = rate(album(0, "train", 200), seed=0)
    return pd.DataFrame(
        {
            "img_id": row.img_id,
            "text": row.text,
            **dict(zip(EXPERTS, row.rates or (np.nan,) * 3, strict=True)),
            "crowd": np.nan if row.crowd is None else row.crowd,
            "relevance": table.truth[row.img_id, row.text],
        }
        for row in table.rows
    )


def _write(folder: Path, seed: int = 0) -> SampleSummary:
    return write_sample(folder, seed, N_TRAIN, N_TEST, N_CORPUS)


def _phash(path: Path) -> imagehash.ImageHash:
    with Image.open(path) as photo:
        return imagehash.phash(photo)


def _digests(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_public_names_are_importable() -> None:
    assert all(hasattr(kadr.sample, name) for name in kadr.sample.__all__)


def test_every_kind_and_background_has_words_and_a_drawing() -> None:
    assert set(KINDS) == set(DRAWINGS) == set(NOUNS) == set(VERBS)
    assert set(BACKGROUNDS) == set(PAINTERS) == set(SETTINGS)


def test_same_seed_same_bytes_else_others(sample: Written, tmp_path: Path) -> None:
    before = _digests(sample[0])
    assert _write(sample[0]) == sample[1]
    assert _digests(sample[0]) == before
    assert [path.name for path in sample[0].parent.iterdir()] == ["sample"]
    _write(tmp_path / "other", seed=1)
    other = _digests(tmp_path / "other")
    assert other.keys() == before.keys()
    assert not set(other.values()) & set(before.values()) - {before["test_images.csv"]}


def test_a_photo_does_not_depend_on_how_many_others_there_are() -> None:
    assert album(3, "train", 2) == album(3, "train", 5)[:2]


def test_two_processes_draw_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kadr.sample.image_files._WORTH_A_POOL", 0)
    for n_processes in (1, 2):
        (tmp_path / str(n_processes)).mkdir()
        pictures = [Picture(p, tmp_path / str(n_processes) / p.name) for p in album(0, "corpus", 4)]
        done: list[int] = []
        draw_pictures(pictures, n_processes, done.append)
        assert sum(done) == 4
    assert _digests(tmp_path / "1") == _digests(tmp_path / "2")


def test_files_have_the_promised_forms(sample: Written, rows: pd.DataFrame) -> None:
    folder, summary = sample
    for part, count in {"train": N_TRAIN, "test": N_TEST, "corpus": N_CORPUS}.items():
        assert len(list((folder / f"{part}_images").glob("*.jpg"))) == count
    assert list(rows.columns) == ["img_id", "text", *EXPERTS, "crowd_rates"]
    assert len(rows) == summary.n_expert + summary.n_crowd
    images = pd.read_csv(folder / "test_images.csv")["image"].tolist()
    queries = pd.read_csv(folder / "test_queries.csv", sep="|", index_col=0)
    assert list(queries.columns) == ["query_id", "query_text", "image"]
    assert queries["query_id"].tolist() == [f"{image}#{k}" for image in images for k in range(5)]
    captions = (folder / "corpus_captions.tsv").read_text(encoding="utf-8").splitlines()
    assert [line.split("\t")[0] for line in captions[:6]] == [
        *(f"corpus_00000.jpg#{k}" for k in range(5)),
        "corpus_00001.jpg#0",
    ]
    truth = pd.read_parquet(folder / "truth.parquet")
    assert list(truth.columns) == ["img_id", "text", "relevance"]
    assert truth["relevance"].between(0, 1).all()
    rated = rows[rows["text"] != ""].drop_duplicates(["img_id", "text"])
    assert set(zip(rated["img_id"], rated["text"], strict=True)) == set(
        zip(truth["img_id"], truth["text"], strict=True)
    )
    assert json.loads((folder / "sample.json").read_text())["planted"]["missing_photo"] == "train_00012.jpg"


def test_every_planted_defect_is_there(sample: Written, rows: pd.DataFrame) -> None:
    folder, planted = sample[0], sample[1].planted
    assert {field.name for field in fields(Planted)} == set(PLANTED)
    expert = rows[rows["rate_1"] != ""]
    for photo in (planted.truncated_photo, planted.missing_photo):
        assert (expert["img_id"] == photo).any()
    with (
        Image.open(folder / "train_images" / planted.truncated_photo) as cut,
        pytest.raises(OSError, match="truncated"),
    ):
        cut.load()
    assert not (folder / "train_images" / planted.missing_photo).exists()
    assert tuple(rows[rows.duplicated()][["img_id", "text"]].itertuples(index=False, name=None)) == (
        planted.duplicate_row,
    )
    assert list(rows[rows["rate_2"] == "7"][["img_id", "text"]].itertuples(index=False, name=None)) == [
        planted.bad_rating
    ]
    assert rows.loc[rows["text"] == "", "img_id"].tolist() == [planted.empty_text]


@pytest.mark.parametrize("seed", range(6))
def test_near_duplicate_is_close_but_not_the_same_file(seed: int, tmp_path: Path) -> None:
    planted = write_sample(tmp_path / "s", seed=seed, n_train=MIN_TRAIN, n_test=1, n_corpus=0).planted
    train, test = planted.near_duplicate
    paths = (tmp_path / "s" / "train_images" / train, tmp_path / "s" / "test_images" / test)
    one, other = (_phash(path) for path in paths)
    assert one - other <= 4
    assert paths[0].read_bytes() != paths[1].read_bytes()


def test_photos_of_other_scenes_are_no_near_duplicates(sample: Written) -> None:
    paths = sorted((sample[0] / "corpus_images").glob("*.jpg"))
    hashes = [_phash(path) for path in paths]
    assert min(a - b for i, a in enumerate(hashes) for b in hashes[:i]) > 4


@pytest.mark.parametrize(
    ("told", "at_least", "at_most"),
    [
        (SAID, 1, 1),
        (Statement((Mention("car"),)), 1, 1),
        (Statement((Mention("car", "blue"), Mention("ball", "red")), "left of", "beach"), 0.75, 0.9),
        (Statement((Mention("ball", "green"), Mention("car", "blue")), "left of", "beach"), 0.8, 0.95),
        (Statement((Mention("ball", "red"), Mention("tree", "green")), "left of", "beach"), 0.4, 0.6),
        (Statement((Mention("cat", "white"), Mention("tree", "green")), "left of", "beach"), 0.05, 0.2),
        (Statement((Mention("cat", "white"), Mention("tree", "green")), "left of", "snow"), 0, 0),
    ],
    ids=["all", "part", "swapped", "one colour wrong", "one of two", "background only", "nothing"],
)
def test_relevance_has_all_degrees(told: Statement, at_least: float, at_most: float) -> None:
    assert at_least <= relevance(told, SCENE) <= at_most


def test_relevance_does_not_depend_on_the_order_of_things() -> None:
    assert relevance(SAID, Scene("beach", (BLUE_CAR, RED_BALL))) == 1


def test_two_balls_need_two_balls() -> None:
    balls = Statement((Mention("ball", "red"), Mention("ball", "red")))
    assert relevance(balls, SCENE) == pytest.approx(0.5)


def test_every_caption_is_true_of_its_scene_and_different() -> None:
    for number in range(80):
        scene = draw_scene(np.random.default_rng(number))
        captions = captions_of(scene, np.random.default_rng(number), full=number % 2 == 0)
        assert len({caption.text for caption in captions}) == 5
        assert all(relevance(caption.statement, scene) == pytest.approx(1) for caption in captions)


def test_every_kind_and_relation_comes_about() -> None:
    scenes = [draw_scene(np.random.default_rng(number)) for number in range(300)]
    assert {thing.kind for scene in scenes for thing in scene.things} == set(KINDS)
    pairs = [scene.things[:2] for scene in scenes if len(scene.things) > 1]
    for relation in RELATIONS:
        assert sum(holds(relation, *pair) for pair in pairs) > 20


def test_no_test_caption_is_wholly_true_of_another_test_photo() -> None:
    photos = distinct_album(0, "test", 25)
    for one in photos:
        for caption in one.captions:
            assert len(caption.statement.mentions) >= min(2, len(one.scene.things))
            assert all(mention.colour for mention in caption.statement.mentions)
            assert sum(relevance(caption.statement, other.scene) > 0.999 for other in photos) == 1


def test_experts_are_persons_and_the_third_is_careless(many: pd.DataFrame) -> None:
    expert = many.dropna(subset=EXPERTS)
    assert expert["rate_2"].mean() - expert["rate_1"].mean() > 0.2
    follows = expert[[*EXPERTS, "relevance"]].corr("spearman")["relevance"]
    assert follows["rate_3"] < min(follows["rate_1"], follows["rate_2"]) - 0.1
    assert follows["rate_1"] > 0.8
    assert set(expert[EXPERTS].to_numpy().ravel()) == {1, 2, 3, 4}


def test_crowd_is_unbalanced_and_mostly_right(many: pd.DataFrame) -> None:
    crowd = many[many["rate_1"].isna()]
    assert 0.8 < (crowd["crowd"] == 0).mean() < 0.95
    assert crowd.loc[crowd["relevance"] == 1, "crowd"].mean() > 0.7
    assert 0.3 < many.loc[many["rate_1"].notna(), "crowd"].notna().mean() < 0.5
    assert not many.duplicated(["img_id", "text"]).any()


def test_texts_and_photos_are_rated_several_times(many: pd.DataFrame) -> None:
    assert many.groupby("text").size().min() > 3
    assert many.groupby("img_id").size().min() > 3
    assert many["text"].nunique() == pytest.approx(200 * 7 / 6, abs=3)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_draws_in_every_colour_and_size(kind: str) -> None:
    for colour in KINDS[kind].colours:
        for side in (24, 90):
            drawn = np.asarray(draw_thing(kind, colour, side, np.random.default_rng(0)))
            assert drawn.shape == (side, side, 4)
            assert 0.08 < (drawn[..., 3] > 127).mean() < 0.8


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_every_background_makes_a_photo(background: str) -> None:
    photo = draw_photo(Scene(background, (RED_BALL,)), np.random.default_rng(0))
    assert photo.mode == "RGB"
    assert (photo.height, 160 <= photo.width <= 224) == (160, True)
    assert np.asarray(photo).std() > 10


def test_other_folders_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("dear")
    with pytest.raises(SampleError, match="is no sample"):
        _write(tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "dear"


def test_an_interrupted_run_leaves_the_old_sample(tmp_path: Path) -> None:
    write_sample(tmp_path / "sample", n_train=MIN_TRAIN, n_test=1, n_corpus=0)
    before = _digests(tmp_path / "sample")

    def stop(_n: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_sample(tmp_path / "sample", seed=5, n_train=MIN_TRAIN, n_test=1, n_corpus=0, on_progress=stop)
    assert _digests(tmp_path / "sample") == before
    assert [path.name for path in tmp_path.iterdir()] == ["sample"]


@pytest.mark.parametrize("counts", [(-1, 6, 1, 0), (0, 5, 1, 0), (0, 6, 0, 0), (0, 6, 1, -1)])
def test_too_small_counts_are_refused(counts: tuple[int, int, int, int], tmp_path: Path) -> None:
    seed, n_train, n_test, n_corpus = counts
    with pytest.raises(SampleError, match="wanted at least"):
        write_sample(tmp_path / "s", seed, n_train, n_test, n_corpus)
