"""Tests of the block `caption_neighbours` on a synthetic captioned corpus."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kadr.errors import ModelError
from kadr.features import CaptionedCorpus, CaptionFeatures, Images, Texts, build_features
from kadr.features.caption_features import TENSORS
from kadr.features.caption_neighbours import caption_neighbours, prepare_images
from kadr.features.caption_similarity import compare_with_captions
from kadr.features.vector_math import fit_ridge, normalise_rows
from kadr.io.embeddings import Embeddings

N_CAPTIONED, CAPTIONS_PER_IMAGE, N_NEW, DIM = 200, 3, 20, 16
RNG = np.random.default_rng(0)


def noisy(vectors: np.ndarray, noise: float) -> np.ndarray:
    return normalise_rows((vectors + noise * RNG.normal(size=vectors.shape)).astype(np.float32))


CONTENT = RNG.normal(size=(N_CAPTIONED, DIM))  # content of the captioned images
TO_IMAGE_SPACE = RNG.normal(size=(DIM, DIM))  # maps the content to image vectors
CAPTIONS = pd.DataFrame(
    {
        "caption_id": [f"{i:03d}.jpg#{k}" for i in range(N_CAPTIONED) for k in range(CAPTIONS_PER_IMAGE)],
        "image_id": [f"{i:03d}.jpg" for i in range(N_CAPTIONED) for _ in range(CAPTIONS_PER_IMAGE)],
        "text": ["a caption"] * (N_CAPTIONED * CAPTIONS_PER_IMAGE),
    }
)
IMAGE_TABLE = {
    "resnet": Embeddings([f"{i:03d}.jpg" for i in range(N_CAPTIONED)], noisy(CONTENT @ TO_IMAGE_SPACE, 0.1), {})
}
TEXT_TABLE = {
    "sbert": Embeddings(CAPTIONS["caption_id"].tolist(), noisy(np.repeat(CONTENT, CAPTIONS_PER_IMAGE, axis=0), 0.1), {})
}
NEW_CONTENT = RNG.normal(size=(N_NEW, DIM))  # content that image i and text i outside the corpus share
IMAGES = Images([f"new{i}" for i in range(N_NEW)], {"resnet": noisy(NEW_CONTENT @ TO_IMAGE_SPACE, 0.1)})
TEXTS = Texts([f"q{i}" for i in range(N_NEW)], ["two dogs"] * N_NEW, {"sbert": noisy(NEW_CONTENT, 0.1)})
OWN_TEXT = np.arange(N_NEW)
OTHER_TEXT = np.roll(OWN_TEXT, 1)


def fit(captions: pd.DataFrame = CAPTIONS, limit: int = 1000) -> CaptionFeatures:
    return CaptionFeatures.fit(CaptionedCorpus.select(IMAGE_TABLE, TEXT_TABLE, captions, limit))


@pytest.fixture(scope="module")
def fitted() -> CaptionFeatures:
    return fit()


def features(
    fitted: CaptionFeatures,
    text_rows: np.ndarray,
    image_rows: np.ndarray = OWN_TEXT,
    images: Images = IMAGES,
    texts: Texts = TEXTS,
) -> pd.DataFrame:
    block = {"c": partial(caption_neighbours, fitted)}
    matrix = build_features(block, images, texts, image_rows, text_rows)
    return pd.DataFrame(matrix.values, columns=[name.removeprefix("c:") for name in matrix.names])


@pytest.mark.parametrize(
    "name",
    [
        *("linear", "linear.z_text", "linear.z_image", "kernel"),
        *("neighbours.mean5", "neighbours.mean20", "neighbours.best", "neighbours.attention"),
    ],
)
def test_an_image_scores_higher_with_its_own_text(fitted: CaptionFeatures, name: str) -> None:
    own, other = features(fitted, OWN_TEXT)[name], features(fitted, OTHER_TEXT)[name]
    assert (own > other).mean() > 0.8


def test_images_near_the_captions_of_a_text_score_higher(fitted: CaptionFeatures) -> None:
    own, other = features(fitted, OWN_TEXT)["reverse.z"], features(fitted, OTHER_TEXT)["reverse.z"]
    assert own.mean() > other.mean()


def test_a_pair_has_the_same_features_alone_and_among_others(fitted: CaptionFeatures) -> None:
    alone = features(fitted, np.array([7]), np.array([7]))
    np.testing.assert_allclose(alone.iloc[0], features(fitted, OWN_TEXT).iloc[7], atol=1e-5)


def test_the_order_of_the_captions_table_does_not_matter(fitted: CaptionFeatures) -> None:
    shuffled = fit(CAPTIONS.sample(frac=1, random_state=1))
    pd.testing.assert_frame_equal(features(shuffled, OWN_TEXT), features(fitted, OWN_TEXT))


def test_loaded_models_give_the_same_features(fitted: CaptionFeatures, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    pd.testing.assert_frame_equal(features(CaptionFeatures.load(tmp_path), OWN_TEXT), features(fitted, OWN_TEXT))


def test_loading_a_damaged_file_raises_an_error(fitted: CaptionFeatures, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    (tmp_path / TENSORS).write_bytes(b"half")
    with pytest.raises(ModelError, match=r"cannot read the caption features.*dvc repro train"):
        CaptionFeatures.load(tmp_path)


def test_loading_does_not_depend_on_the_order_of_encoders(tmp_path: Path) -> None:
    def with_second_encoder(table: dict[str, Embeddings]) -> dict[str, Embeddings]:
        (first,) = table.values()
        return {"z": first, "a": Embeddings(first.ids, noisy(RNG.normal(size=(len(first.ids), 5)), 0), {})}

    tables = with_second_encoder(IMAGE_TABLE), with_second_encoder(TEXT_TABLE)
    fitted = CaptionFeatures.fit(CaptionedCorpus.select(*tables, CAPTIONS, limit=1000))
    fitted.save(tmp_path)
    images = Images(["x"], {"z": IMAGES.vectors["resnet"][:1], "a": noisy(RNG.normal(size=(1, 5)), 0)})
    expected, loaded = prepare_images(fitted, images), prepare_images(CaptionFeatures.load(tmp_path), images)
    assert list(expected) == list(loaded)
    for name, values in expected.items():
        np.testing.assert_array_equal(loaded[name], values, err_msg=name)


def test_images_without_an_encoder_of_the_corpus_raise_an_error(fitted: CaptionFeatures) -> None:
    images = replace(IMAGES, vectors={"another": IMAGES.vectors["resnet"]})
    with pytest.raises(ModelError, match=r"no vectors from encoder resnet.*kadr index"):
        prepare_images(fitted, images)


def test_image_vectors_of_another_dimension_raise_an_error(fitted: CaptionFeatures) -> None:
    images = Images(IMAGES.ids, {"resnet": IMAGES.vectors["resnet"][:, :10]})
    with pytest.raises(ModelError, match=f"have 10 dimensions, but .* was trained on vectors with {DIM} dimensions"):
        prepare_images(fitted, images)


def test_the_limit_bounds_the_corpus() -> None:
    corpus = CaptionedCorpus.select(IMAGE_TABLE, TEXT_TABLE, CAPTIONS, limit=10)
    assert len(corpus.images.ids) == 10
    assert len(corpus.captions.ids) == 10 * CAPTIONS_PER_IMAGE
    assert corpus.starts.tolist() == list(range(0, 10 * CAPTIONS_PER_IMAGE + 1, CAPTIONS_PER_IMAGE))


def test_a_text_is_compared_with_the_best_caption_of_each_image() -> None:
    texts, captions = RNG.normal(size=(600, 4)).astype(np.float32), RNG.normal(size=(7, 4)).astype(np.float32)
    best, nearest = compare_with_captions(texts, captions, np.array([0, 3, 4, 7]), 2)
    similarity = texts @ captions.T
    groups = (slice(0, 3), slice(3, 4), slice(4, 7))
    np.testing.assert_allclose(
        best, np.stack([similarity[:, group].max(axis=1) for group in groups], axis=1), rtol=1e-5
    )
    assert np.array_equal(np.sort(nearest), np.sort(np.argsort(-similarity)[:, :2]))
    assert compare_with_captions(texts[:0], captions, np.array([0, 7]), 9)[1].shape == (0, 7)


def test_prepared_images_give_the_same_features(fitted: CaptionFeatures) -> None:
    image_rows, text_rows = np.divmod(np.arange(N_NEW**2), N_NEW)
    prepared = replace(IMAGES, prepared=prepare_images(fitted, IMAGES))
    expected = features(fitted, text_rows, image_rows)
    pd.testing.assert_frame_equal(features(fitted, text_rows, image_rows, prepared), expected)


def test_a_corpus_smaller_than_the_neighbourhood_gives_finite_features() -> None:
    assert np.isfinite(features(fit(limit=3), OWN_TEXT).to_numpy()).all()


def test_ridge_regression_recovers_a_linear_map() -> None:
    inputs = RNG.normal(size=(500, 4)).astype(np.float32)
    linear_map = RNG.normal(size=(4, 2)).astype(np.float32)
    np.testing.assert_allclose(fit_ridge(inputs, inputs @ linear_map, 1e-6), linear_map, atol=1e-3)


def test_word_features_are_zero_for_texts_without_vocabulary_words(fitted: CaptionFeatures) -> None:
    words = features(fitted, OWN_TEXT)[["words.share", "words.lift", "words.min_lift", "words.n"]]
    assert (words == 0).all(axis=None)


def test_words_of_similar_images_have_a_higher_lift() -> None:
    shows_dog = CONTENT[:, 0] > 0
    texts_by_image = np.where(shows_dog, "a dog runs", "two cats")
    fitted = fit(CAPTIONS.assign(text=np.repeat(texts_by_image, CAPTIONS_PER_IMAGE)))
    texts = Texts(["dog", "cats"], ["The DOG runs...", "cats"], {"sbert": TEXTS.vectors["sbert"][:2]})
    dog, cats = (features(fitted, np.full(N_NEW, row), texts=texts) for row in (0, 1))
    difference = (dog["words.lift"] - cats["words.lift"]).to_numpy()
    assert difference[NEW_CONTENT[:, 0] > 0].mean() > difference[NEW_CONTENT[:, 0] < 0].mean()
    assert dog["words.n"].unique().tolist() == [2]
    assert (dog["words.min_lift"] <= dog["words.lift"] + 1e-6).all()
