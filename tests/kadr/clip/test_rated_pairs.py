"""Sampled batches of rated pairs."""

import numpy as np
import torch

from kadr.clip.rated_pairs import MAX_PAIRS_PER_IMAGE, ClipRatedPairs


def rated_pairs(pairs_per_image: list[int]) -> ClipRatedPairs:
    """Return rated pairs for images with the given numbers of pairs. The text of each pair is its row number."""
    starts = np.concatenate([[0], np.cumsum(pairs_per_image)])
    n = int(starts[-1])
    pixels = torch.zeros(len(pairs_per_image), 3, 2, 2, dtype=torch.uint8)
    return ClipRatedPairs(pixels, torch.arange(n)[:, None], starts, np.arange(n), torch.full((n,), 0.5), torch.ones(n))


def test_a_batch_contains_each_pair_once_and_only_pairs_of_its_images() -> None:
    rated = rated_pairs([1, 3, MAX_PAIRS_PER_IMAGE + 5])
    rng = np.random.default_rng(0)
    for _ in range(20):
        images, positions, pairs = rated.sample(3, rng)
        assert sorted(images) == [0, 1, 2]
        assert len(pairs) == len(set(pairs.tolist())) == 1 + 3 + MAX_PAIRS_PER_IMAGE
        assert (rated.starts[images[positions]] <= pairs).all()
        assert (pairs < rated.starts[images[positions] + 1]).all()


def test_batches_cover_all_images() -> None:
    rated = rated_pairs([1] * 20)
    rng = np.random.default_rng(0)
    batches = [rated.sample(15, rng)[0] for _ in range(20)]
    assert all(len(set(images.tolist())) == 15 for images in batches)
    assert set(np.concatenate(batches).tolist()) == set(range(20))
