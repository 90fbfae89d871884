"""The block `captioned`: near captions count, the photo's look decides, and a saved corpus is the same corpus."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kadr.embeddings import Embeddings
from kadr.errors import ModelError
from kadr.features import Captioned, Corpus, Images, Texts, build_features
from kadr.features.corpus import best_captions, ridge_map, unit

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


@pytest.mark.parametrize("view", ["map.sbert", "map.z_text.sbert", "map.z_photo.sbert", "near5.sbert", "near20.sbert"])
def test_a_photo_and_its_own_text_score_above_another_text(fitted: Captioned, view: str) -> None:
    own, other = features(fitted, np.arange(20))[view], features(fitted, np.roll(np.arange(20), 1))[view]
    assert (own > other).mean() > 0.8


def test_the_text_nearest_to_captions_of_near_photos_is_found_back(fitted: Captioned) -> None:
    own, other = features(fitted, np.arange(20)), features(fitted, np.roll(np.arange(20), 1))
    assert own["back.z.sbert"].mean() > other["back.z.sbert"].mean()


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
