"""Sampled batches of captioned images."""

import numpy as np
import torch

from kadr.clip.caption_pairs import CAPTIONS_PER_IMAGE, CaptionPairs, sample_batch

PIXELS = torch.arange(3 * 3 * 8 * 8, dtype=torch.uint8).reshape(3, 3, 8, 8)
PAIRS = CaptionPairs(PIXELS, torch.arange(4)[:, None] * 10, np.array([[0, 1], [1, -1], [2, 3]]))


def test_a_batch_contains_only_captions_of_its_images() -> None:
    rng = np.random.default_rng(0)
    rows = np.array([2, 0, 1])
    for _ in range(20):
        batch = sample_batch(PAIRS, rows, rng)
        assert batch.tokens.shape == (CAPTIONS_PER_IMAGE, 3, 1)
        for captions in (batch.tokens[..., 0] // 10).tolist():
            assert all(caption in PAIRS.captions[row] for caption, row in zip(captions, rows, strict=True))
        torch.testing.assert_close(batch.pixels, PIXELS[rows])


def test_an_image_with_enough_captions_gets_different_captions() -> None:
    batch = sample_batch(PAIRS, np.array([0]), np.random.default_rng(0))
    assert sorted(batch.tokens[:, 0, 0].tolist()) == [0, 10]


def test_a_caption_shared_by_two_images_is_a_false_negative() -> None:
    """Caption 1 is the only caption of image 1 and also a caption of image 0."""
    batch = sample_batch(PAIRS, np.array([0, 1, 2]), np.random.default_rng(0))
    assert batch.false_negatives[:, 0, 1].all()
    assert not batch.false_negatives[:, 2].any()
    assert not torch.diagonal(batch.false_negatives, dim1=1, dim2=2).any()
