"""Training losses computed on small arrays with known results."""

import numpy as np
import pytest
import torch

from kadr.clip.losses import contrastive_loss, rating_loss

NO_FALSE_NEGATIVES = torch.zeros(1, 2, 2, dtype=torch.bool)


def test_the_contrastive_loss_is_small_for_matching_pairs_and_large_for_swapped_pairs() -> None:
    images, scale = torch.eye(2), torch.tensor(10.0)
    matching = contrastive_loss(images, torch.eye(2)[None], NO_FALSE_NEGATIVES, scale)
    swapped = contrastive_loss(images, torch.eye(2).flip(0)[None], NO_FALSE_NEGATIVES, scale)
    assert matching.item() == pytest.approx(np.log(1 + np.exp(-10)), rel=1e-3)
    assert swapped.item() == pytest.approx(10 + np.log(1 + np.exp(-10)), rel=1e-5)


def test_false_negatives_do_not_change_the_contrastive_loss() -> None:
    same = torch.ones(2, 1)
    false_negatives = ~torch.eye(2, dtype=torch.bool)[None]
    scale = torch.tensor(5.0)
    assert contrastive_loss(same, same[None], NO_FALSE_NEGATIVES, scale).item() == pytest.approx(np.log(2))
    assert contrastive_loss(same, same[None], false_negatives, scale).item() == pytest.approx(0)


def test_the_rating_loss_is_the_weighted_cross_entropy() -> None:
    cosine, relevance, weight = torch.tensor([0.0, 0.4]), torch.tensor([0.25, 1.0]), torch.tensor([3.0, 1.0])
    scale, bias = torch.tensor(10.0), torch.tensor(-2.0)
    low, high = 1 / (1 + np.exp(2)), 1 / (1 + np.exp(-2))
    first = -0.25 * np.log(low) - 0.75 * np.log(1 - low)
    second = -np.log(high)
    loss = rating_loss(cosine, relevance, weight, scale, bias).item()
    assert loss == pytest.approx((3 * first + second) / 4, rel=1e-5)
