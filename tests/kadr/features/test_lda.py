"""Tests of the linear discriminant analysis of captions."""

import logging

import numpy as np
import pytest

from kadr.errors import ModelError
from kadr.features import lda as lda_module
from kadr.features.lda import CaptionLda
from kadr.features.vector_math import normalise_rows

N_IMAGES, CAPTIONS_PER_IMAGE = 300, 4
STARTS = np.arange(0, N_IMAGES * CAPTIONS_PER_IMAGE + 1, CAPTIONS_PER_IMAGE)


def make_captions(seed: int) -> np.ndarray:
    """Return (n_captions, 16) caption vectors: 4 dimensions of image content and 12 dimensions of stronger noise."""
    rng = np.random.default_rng(seed)
    content = np.repeat(rng.normal(size=(N_IMAGES, 4)), CAPTIONS_PER_IMAGE, axis=0)
    return normalise_rows(np.concatenate([content, 2 * rng.normal(size=(len(content), 12))], axis=1).astype(np.float32))


def share_closer_to_own_image(vectors: np.ndarray) -> float:
    """Return the share of first captions that are closer to the second caption of their own image than of another."""
    first, second = vectors[0::CAPTIONS_PER_IMAGE], vectors[1::CAPTIONS_PER_IMAGE]
    own, other = (first * second).sum(axis=1), (first * np.roll(second, 1, axis=0)).sum(axis=1)
    return float(np.mean(own > other))


def test_unseen_captions_of_an_image_come_closer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lda_module, "N_COMPONENTS", 4)
    lda = CaptionLda.fit({"sbert": make_captions(0)}, STARTS)
    unseen = make_captions(1)
    projected = lda.transform({"sbert": unseen})
    np.testing.assert_allclose(np.linalg.norm(projected, axis=1), 1, atol=1e-5)
    assert share_closer_to_own_image(projected) > share_closer_to_own_image(unseen) + 0.1


def test_the_projection_covers_all_encoders_and_keeps_n_components(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lda_module, "N_COMPONENTS", 5)
    captions = {"clip": make_captions(0), "sbert": make_captions(1)}
    lda = CaptionLda.fit(captions, STARTS)
    assert lda.projection.shape == (32, 5)
    assert lda.transform({name: vectors[:3] for name, vectors in captions.items()}).shape == (3, 5)
    assert lda.transform({name: vectors[:0] for name, vectors in captions.items()}).shape == (0, 5)


@pytest.mark.parametrize("starts", [np.arange(7), np.array([0, 6])], ids=["one caption per image", "one image"])
def test_degenerate_classes_give_a_finite_projection(starts: np.ndarray) -> None:
    captions = make_captions(0)[:6]
    assert np.isfinite(CaptionLda.fit({"sbert": captions}, starts).transform({"sbert": captions})).all()


def test_encoders_with_too_many_dimensions_are_ignored_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lda_module, "MAX_ENCODER_DIM", 10)
    narrow = make_captions(0)[:, :8]
    with caplog.at_level(logging.WARNING):
        lda = CaptionLda.fit({"sbert": narrow, "tfidf": make_captions(0)}, STARTS)
    assert list(lda.means) == ["sbert"]
    assert "ignores encoder tfidf" in caplog.text
    with pytest.raises(ModelError, match="at most 10 dimensions"):
        CaptionLda.fit({"tfidf": make_captions(0)}, STARTS)
