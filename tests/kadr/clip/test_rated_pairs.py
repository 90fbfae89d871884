"""The step of rated pairs: which are drawn, and their loss, on literal numbers."""

import numpy as np
import pytest
import torch

from kadr.clip.rated_pairs import PAIRS_PER_PHOTO, Rated, rating_loss


def rated(pairs_of: list[int]) -> Rated:
    """Photos with so many pairs each; a pair's text is its row."""
    starts = np.concatenate([[0], np.cumsum(pairs_of)])
    n = int(starts[-1])
    pixels = torch.zeros(len(pairs_of), 3, 2, 2, dtype=torch.uint8)
    return Rated(pixels, torch.arange(n)[:, None], starts, np.arange(n), torch.full((n,), 0.5), torch.ones(n))


def test_a_step_has_pairs_of_its_own_photos_once_each() -> None:
    some = rated([1, 3, PAIRS_PER_PHOTO + 5])
    rng = np.random.default_rng(0)
    for _ in range(20):
        photos, place, rows = some.draw(3, rng)
        assert sorted(photos) == [0, 1, 2]
        assert len(rows) == len(set(rows.tolist())) == 1 + 3 + PAIRS_PER_PHOTO
        assert (some.starts[photos[place]] <= rows).all()
        assert (rows < some.starts[photos[place] + 1]).all()


def test_each_step_draws_other_photos() -> None:
    many = rated([1] * 20)
    rng = np.random.default_rng(0)
    steps = [many.draw(15, rng)[0] for _ in range(20)]
    assert all(len(set(photos.tolist())) == 15 for photos in steps)
    assert set(np.concatenate(steps).tolist()) == set(range(20))


def test_the_loss_is_the_weighted_cross_entropy_of_the_relevance() -> None:
    cosine, relevance, weight = torch.tensor([0.0, 0.4]), torch.tensor([0.25, 1.0]), torch.tensor([3.0, 1.0])
    scale, bias = torch.tensor(10.0), torch.tensor(-2.0)
    no, yes = 1 / (1 + np.exp(2)), 1 / (1 + np.exp(-2))
    first = -0.25 * np.log(no) - 0.75 * np.log(1 - no)
    assert rating_loss(cosine, relevance, weight, scale, bias).item() == pytest.approx(
        (3 * first - np.log(yes)) / 4, rel=1e-5
    )
