"""The block `captioned`: near captions count, the photo's look decides, and a saved corpus is the same corpus."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kadr.errors import ModelError
from kadr.features import Captioned, Corpus, Images, Texts, build_features
from kadr.features import kernel_ridge as kernel_module
from kadr.features.caption_neighbours import best_captions, join_spaces, ridge_map, unit
from kadr.features.caption_words import Vocabulary, lift
from kadr.features.kernel_ridge import KernelRidge, kernel
from kadr.io.embeddings import Embeddings

N_PHOTOS, PER_PHOTO, DIM = 200, 3, 16
RNG = np.random.default_rng(0)


def vectors(base: np.ndarray, noise: float) -> np.ndarray:
    return unit((base + noise * RNG.normal(size=base.shape)).astype(np.float32))


MEANING = RNG.normal(size=(N_PHOTOS, DIM))  # what is on each captioned photo
LOOK = RNG.normal(size=(DIM, DIM))  # how photos show it, in a space of their own
CAPTIONS = pd.DataFrame(
    {
        "caption_id": [f"{i:03d}.jpg#{k}" for i in range(N_PHOTOS) for k in range(PER_PHOTO)],
        "image_id": [f"{i:03d}.jpg" for i in range(N_PHOTOS) for _ in range(PER_PHOTO)],
        "text": ["a caption"] * (N_PHOTOS * PER_PHOTO),
    }
)
IMAGE_TABLE = {"resnet": Embeddings([f"{i:03d}.jpg" for i in range(N_PHOTOS)], vectors(MEANING @ LOOK, 0.1), {})}
TEXT_TABLE = {
    "sbert": Embeddings(CAPTIONS["caption_id"].tolist(), vectors(np.repeat(MEANING, PER_PHOTO, axis=0), 0.1), {})
}
ASKED = RNG.normal(size=(20, DIM))  # what new photos show and new texts say
PHOTOS = Images([f"new{i}" for i in range(20)], {"resnet": vectors(ASKED @ LOOK, 0.1)})
TEXTS = Texts([f"q{i}" for i in range(20)], ["two dogs"] * 20, {"sbert": vectors(ASKED, 0.1)})


@pytest.fixture(scope="module")
def fitted() -> Captioned:
    return Captioned.fit(Corpus.select(IMAGE_TABLE, TEXT_TABLE, CAPTIONS, limit=1000))


def features(fitted: Captioned, text_rows: np.ndarray) -> pd.DataFrame:
    matrix = build_features({"captioned": fitted.features}, PHOTOS, TEXTS, np.arange(20), text_rows)
    return pd.DataFrame(matrix.values, columns=[name.removeprefix("captioned:") for name in matrix.names])


@pytest.mark.parametrize(
    "view", ["map", "map.z_text", "map.z_photo", "kernel", "near5", "near20", "near.best", "near.soft"]
)
def test_a_photo_and_its_own_text_score_above_another_text(fitted: Captioned, view: str) -> None:
    own, other = (features(fitted, np.roll(np.arange(20), by))[view] for by in (0, 1))
    assert (own > other).mean() > 0.8


def test_the_text_nearest_to_captions_of_near_photos_is_found_back(fitted: Captioned) -> None:
    own, other = features(fitted, np.arange(20)), features(fitted, np.roll(np.arange(20), 1))
    assert own["back.z"].mean() > other["back.z"].mean()


def test_a_pair_does_not_depend_on_the_pairs_beside_it(fitted: Captioned) -> None:
    together = features(fitted, np.arange(20))
    alone = build_features({"c": fitted.features}, PHOTOS, TEXTS, np.array([7]), np.array([7])).values[0]
    np.testing.assert_allclose(alone, together.iloc[7], atol=1e-5)


def test_the_order_of_captions_does_not_matter(fitted: Captioned) -> None:
    shuffled = CAPTIONS.sample(frac=1, random_state=1)
    again = Captioned.fit(Corpus.select(IMAGE_TABLE, TEXT_TABLE, shuffled, limit=1000))
    pd.testing.assert_frame_equal(features(again, np.arange(20)), features(fitted, np.arange(20)))


def test_saved_and_loaded_is_the_same(fitted: Captioned, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    loaded = Captioned.load(tmp_path)
    pd.testing.assert_frame_equal(features(loaded, np.arange(20)), features(fitted, np.arange(20)))
    (tmp_path / "vectors.safetensors").write_bytes(b"half")
    with pytest.raises(ModelError, match="not readable"):
        Captioned.load(tmp_path)


def test_encoders_in_any_order_are_loaded_as_they_were_learned(tmp_path: Path) -> None:
    def both(table: dict[str, Embeddings]) -> dict[str, Embeddings]:
        (own,) = table.values()
        other = Embeddings(own.ids, vectors(RNG.normal(size=(len(own.ids), 5)), 0), {})
        return {"z": own, "a": other}

    fitted = Captioned.fit(Corpus.select(both(IMAGE_TABLE), both(TEXT_TABLE), CAPTIONS, limit=1000))
    fitted.save(tmp_path)
    loaded = Captioned.load(tmp_path)
    photos = Images(["x"], {"z": PHOTOS.vectors["resnet"][:1], "a": vectors(RNG.normal(size=(1, 5)), 0)})
    wanted, got = fitted.prepare(photos), loaded.prepare(photos)
    assert list(wanted) == list(got)
    for name in wanted:
        np.testing.assert_array_equal(got[name], wanted[name], err_msg=name)


def test_photos_without_an_encoder_of_the_corpus_are_refused(fitted: Captioned) -> None:
    lacking = replace(PHOTOS, vectors={"another": PHOTOS.vectors["resnet"]})
    with pytest.raises(ModelError, match=r"no vectors by encoder resnet.*kadr index"):
        fitted.prepare(lacking)
    assert join_spaces(PHOTOS.vectors, ["resnet"]).shape == (20, DIM)


def test_photos_by_a_model_of_another_size_are_refused(fitted: Captioned) -> None:
    others = Images(PHOTOS.ids, {"resnet": PHOTOS.vectors["resnet"][:, :10]})
    with pytest.raises(ModelError, match=f"have 10 numbers, those that this model learned from {DIM}"):
        fitted.prepare(others)


def test_the_limit_bounds_the_corpus() -> None:
    corpus = Corpus.select(IMAGE_TABLE, TEXT_TABLE, CAPTIONS, limit=10)
    assert len(corpus.images.ids) == 10
    assert len(corpus.captions.ids) == 10 * PER_PHOTO
    assert corpus.starts.tolist() == list(range(0, 10 * PER_PHOTO + 1, PER_PHOTO))


def test_the_best_caption_of_each_photo_and_the_nearest_captions() -> None:
    texts, captions = RNG.normal(size=(600, 4)).astype(np.float32), RNG.normal(size=(7, 4)).astype(np.float32)
    best, rows = best_captions(texts, captions, np.array([0, 3, 4, 7]), 2)
    similarity = texts @ captions.T
    expected = np.stack([similarity[:, part].max(axis=1) for part in (slice(0, 3), slice(3, 4), slice(4, 7))], axis=1)
    np.testing.assert_allclose(best, expected, rtol=1e-5)
    assert np.array_equal(np.sort(rows), np.sort(np.argsort(-similarity)[:, :2]))
    assert best_captions(texts[:0], captions, np.array([0, 7]), 9)[1].shape == (0, 7)


def test_what_is_prepared_of_photos_changes_no_feature(fitted: Captioned) -> None:
    rows = np.divmod(np.arange(400), 20)
    prepared = replace(PHOTOS, prepared=fitted.prepare(PHOTOS))
    both = [build_features({"c": fitted.features}, photos, TEXTS, *rows) for photos in (PHOTOS, prepared)]
    assert np.array_equal(both[0].values, both[1].values)


def test_fewer_captioned_photos_than_neighbours() -> None:
    small = Captioned.fit(Corpus.select(IMAGE_TABLE, TEXT_TABLE, CAPTIONS, limit=3))
    assert np.isfinite(features(small, np.arange(20)).to_numpy()).all()


def test_ridge_map_finds_a_linear_map() -> None:
    inputs = RNG.normal(size=(500, 4)).astype(np.float32)
    true = RNG.normal(size=(4, 2)).astype(np.float32)
    np.testing.assert_allclose(ridge_map(inputs, inputs @ true, 1e-6), true, atol=1e-3)


def test_unknown_words_say_nothing(fitted: Captioned) -> None:
    assert (features(fitted, np.arange(20))[["words.share", "words.lift", "words.least", "words.n"]] == 0).all(
        axis=None
    )


def test_the_words_of_captions_of_such_photos_are_expected() -> None:
    animal = np.where(MEANING[:, 0] > 0, "a dog runs", "two cats")
    captions = CAPTIONS.assign(text=np.repeat(animal, PER_PHOTO))
    fitted = Captioned.fit(Corpus.select(IMAGE_TABLE, TEXT_TABLE, captions, limit=1000))
    texts = Texts(["q", "r"], ["The DOG runs...", "cats"], {"sbert": TEXTS.vectors["sbert"][:2]})
    rows = np.arange(20)
    columns = {}
    for name, row in (("dog", 0), ("cats", 1)):
        matrix = build_features({"c": fitted.features}, PHOTOS, texts, rows, np.full(20, row))
        columns[name] = pd.DataFrame(matrix.values, columns=[name.removeprefix("c:") for name in matrix.names])
    expected = (columns["dog"]["words.lift"] - columns["cats"]["words.lift"]).to_numpy()
    assert expected[ASKED[:, 0] > 0].mean() > expected[ASKED[:, 0] < 0].mean()
    assert columns["dog"]["words.n"].unique().tolist() == [2]
    assert (columns["dog"]["words.least"] <= columns["dog"]["words.lift"] + 1e-6).all()


def test_vocabulary_counts_captions() -> None:
    texts = ["a dog, a Dog", "dog on grass", "the grass"] * 8
    words = Vocabulary.of(texts)
    assert words.words == ["dog", "grass"]
    assert words.rows(["Grass and dog.", "cat", ""]).tolist() == [[0, 1], [-1, -1], [-1, -1]]
    np.testing.assert_allclose(words.shares(texts[:3], np.array([0, 2, 3])), [[1.0, 0.5], [0.0, 1.0]])
    assert Vocabulary([]).rows(texts).shape == (24, 0)


def test_lift_is_none_where_a_word_is_as_likely_as_usual() -> None:
    usual = np.array([0.1, 0.1, 0.5], dtype=np.float32)
    share = np.array([0.1, -0.2, 1.0], dtype=np.float32)  # a regression may leave 0..1
    np.testing.assert_allclose(lift(share, usual), [0.0, np.log(0.01), np.log(2.0)], atol=1e-6)


def test_kernel_ridge_solves_its_equations() -> None:
    inputs, targets = vectors(MEANING, 0.0), RNG.normal(size=(N_PHOTOS, 2)).astype(np.float32)
    gram = kernel(inputs, inputs).astype(np.float64)
    wanted = gram @ np.linalg.solve(gram + kernel_module.RIDGE * np.eye(N_PHOTOS), targets)
    np.testing.assert_allclose(KernelRidge.fit(inputs, targets).predict(inputs), wanted, atol=1e-4)


def test_landmarks_bound_the_regression_and_lose_little(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, targets = vectors(MEANING, 0.0), MEANING[:, :2].astype(np.float32)
    exact = KernelRidge.fit(inputs, targets).predict(PHOTOS.vectors["resnet"])
    monkeypatch.setattr(kernel_module, "N_LANDMARKS", 150)
    monkeypatch.setattr(kernel_module, "ROWS_AT_ONCE", 7)
    few = KernelRidge.fit(inputs, targets)
    assert few.weights.shape == (150, 2)
    assert np.corrcoef(few.predict(PHOTOS.vectors["resnet"]).ravel(), exact.ravel())[0, 1] > 0.95
