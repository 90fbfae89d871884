"""The space of meaning: captions of one photo come closer there, and poor input is borne or refused."""

import logging

import numpy as np
import pytest

from kadr.errors import ModelError
from kadr.features import lda as space_module
from kadr.features.caption_neighbours import unit
from kadr.features.lda import MeaningSpace

N_PHOTOS, PER_PHOTO = 300, 4
STARTS = np.arange(0, N_PHOTOS * PER_PHOTO + 1, PER_PHOTO)


def captions(seed: int) -> np.ndarray:
    """What is on the photo in 4 numbers, and in 12 others, twice as loud, how it is worded: (n_captions, 16)."""
    rng = np.random.default_rng(seed)
    meaning = np.repeat(rng.normal(size=(N_PHOTOS, 4)), PER_PHOTO, axis=0)
    return unit(np.concatenate([meaning, 2 * rng.normal(size=(len(meaning), 12))], axis=1).astype(np.float32))


def agreement(vectors: np.ndarray) -> float:
    """How often a photo's first caption is nearer to its second than to the next photo's second."""
    first, second = vectors[0::PER_PHOTO], vectors[1::PER_PHOTO]
    return float(np.mean((first * second).sum(axis=1) > (first * np.roll(second, 1, axis=0)).sum(axis=1)))


def test_unseen_captions_of_one_photo_come_closer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space_module, "DIM", 4)
    space = MeaningSpace.fit({"sbert": captions(0)}, STARTS)
    unseen = captions(1)
    meant = space.of({"sbert": unseen})
    np.testing.assert_allclose(np.linalg.norm(meant, axis=1), 1, atol=1e-5)
    assert agreement(meant) > agreement(unseen) + 0.1


def test_every_encoder_has_a_say_and_only_dim_directions_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space_module, "DIM", 5)
    both = {"clip": captions(0), "sbert": captions(1)}
    space = MeaningSpace.fit(both, STARTS)
    assert space.map.shape == (32, 5)
    assert space.of({name: of[:3] for name, of in both.items()}).shape == (3, 5)
    assert space.of({name: of[:0] for name, of in both.items()}).shape == (0, 5)


@pytest.mark.parametrize("starts", [np.arange(7), np.array([0, 6])], ids=["one caption a photo", "one photo"])
def test_captions_that_say_little_of_agreement_give_a_space_all_the_same(starts: np.ndarray) -> None:
    some = captions(0)[:6]
    assert np.isfinite(MeaningSpace.fit({"sbert": some}, starts).of({"sbert": some})).all()


def test_an_encoder_that_is_too_wide_is_left_out_and_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(space_module, "WIDEST", 10)
    narrow = captions(0)[:, :8]
    with caplog.at_level(logging.WARNING):
        space = MeaningSpace.fit({"sbert": narrow, "tfidf": captions(0)}, STARTS)
    assert list(space.means) == ["sbert"]
    assert "tfidf is left out" in caplog.text
    with pytest.raises(ModelError, match="at most 10 numbers"):
        MeaningSpace.fit({"tfidf": captions(0)}, STARTS)
