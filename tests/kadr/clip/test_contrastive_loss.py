"""The contrastive step: batches, variation and loss, on literal numbers."""

import numpy as np
import pytest
import torch

from kadr.clip.caption_pairs import Pairs
from kadr.clip.contrastive_loss import TEXTS_PER_PHOTO, contrastive_loss, draw_batch, vary

PIXELS = torch.arange(3 * 3 * 8 * 8, dtype=torch.uint8).reshape(3, 3, 8, 8)
PAIRS = Pairs(PIXELS, torch.arange(4)[:, None] * 10, np.array([[0, 1], [1, -1], [2, 3]]))
NOTHING = torch.zeros(1, 2, 2, dtype=torch.bool)


def test_a_batch_has_captions_of_its_own_photos() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        rows = np.array([2, 0, 1])
        batch = draw_batch(PAIRS, rows, rng)
        assert batch.tokens.shape == (TEXTS_PER_PHOTO, 3, 1)
        for texts in (batch.tokens[..., 0] // 10).tolist():
            assert all(text in PAIRS.captions[row] for text, row in zip(texts, rows, strict=True))
        torch.testing.assert_close(batch.pixels, PIXELS[rows])


def test_a_photo_with_enough_captions_gets_different_ones() -> None:
    batch = draw_batch(PAIRS, np.array([0]), np.random.default_rng(0))
    assert sorted(batch.tokens[:, 0, 0].tolist()) == [0, 10]


def test_a_caption_that_is_also_true_of_another_photo_is_marked() -> None:
    """Caption 1 is photo 1's only one, and one of photo 0's: so it is also true of photo 0."""
    batch = draw_batch(PAIRS, np.array([0, 1, 2]), np.random.default_rng(0))
    assert batch.also_true[:, 0, 1].all()
    assert not batch.also_true[:, 2].any()
    assert not torch.diagonal(batch.also_true, dim1=1, dim2=2).any()


def test_the_loss_is_small_for_true_pairs_and_large_for_swapped_ones() -> None:
    images, scale = torch.eye(2), torch.tensor(10.0)
    own = contrastive_loss(images, torch.eye(2)[None], NOTHING, scale)
    swapped = contrastive_loss(images, torch.eye(2).flip(0)[None], NOTHING, scale)
    assert own.item() == pytest.approx(np.log(1 + np.exp(-10)), rel=1e-3)
    assert swapped.item() == pytest.approx(10 + np.log(1 + np.exp(-10)), rel=1e-5)


def test_a_caption_also_true_counts_neither_for_nor_against() -> None:
    same = torch.ones(2, 1)
    marked = ~torch.eye(2, dtype=torch.bool)[None]
    assert contrastive_loss(same, same[None], NOTHING, torch.tensor(5.0)).item() == pytest.approx(np.log(2))
    assert contrastive_loss(same, same[None], marked, torch.tensor(5.0)).item() == pytest.approx(0)


def test_varied_photos_stay_in_range_keep_their_sides_and_their_colours() -> None:
    photo = torch.zeros(64, 3, 20, 20, dtype=torch.uint8)
    photo[:, 0, :, :10] = 200
    photo[:, 2, :, 10:] = 200
    varied = vary(photo, np.random.default_rng(0))
    assert varied.shape == photo.shape
    assert 0 <= varied.min() <= varied.max() <= 1
    assert (varied[:, 0, :, :5] > varied[:, 2, :, :5] + 0.3).all()
    assert (varied[:, 2, :, 15:] > varied[:, 0, :, 15:] + 0.3).all()
    assert not torch.equal(varied[0], varied[1])


def test_the_same_seed_varies_alike() -> None:
    torch.testing.assert_close(
        vary(PIXELS, np.random.default_rng(3)), vary(PIXELS, np.random.default_rng(3)), rtol=0, atol=0
    )
