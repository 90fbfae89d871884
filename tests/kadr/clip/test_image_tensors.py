"""Augmentation of training images."""

import numpy as np
import torch

from kadr.clip.image_tensors import augment

PIXELS = torch.arange(3 * 3 * 8 * 8, dtype=torch.uint8).reshape(3, 3, 8, 8)


def test_augmented_images_keep_left_and_right_and_their_colours() -> None:
    image = torch.zeros(64, 3, 20, 20, dtype=torch.uint8)
    image[:, 0, :, :10] = 200
    image[:, 2, :, 10:] = 200
    augmented = augment(image, np.random.default_rng(0))
    assert augmented.shape == image.shape
    assert 0 <= augmented.min() <= augmented.max() <= 1
    assert (augmented[:, 0, :, :5] > augmented[:, 2, :, :5] + 0.3).all()
    assert (augmented[:, 2, :, 15:] > augmented[:, 0, :, 15:] + 0.3).all()
    assert not torch.equal(augmented[0], augmented[1])


def test_the_same_seed_gives_the_same_augmentation() -> None:
    first, second = (augment(PIXELS, np.random.default_rng(3)) for _ in range(2))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    assert not torch.equal(first, augment(PIXELS, np.random.default_rng(4)))
