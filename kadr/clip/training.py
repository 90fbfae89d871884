"""Train a CLIP model on captions and ratings, starting from random or pretrained weights.

The same seed produces identical weights.
"""

import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kadr.clip.caption_pairs import CaptionPairs
from kadr.clip.held_out_recall import held_out_recall
from kadr.clip.optimizer import build_optimizer, warm_up_and_cosine
from kadr.clip.rated_pairs import ClipRatedPairs
from kadr.clip.training_loss import TrainingLoss
from kadr.errors import InputError
from kadr.io.embeddings import Rows
from kadr.params import ClipParams
from kadr.progress import progress

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

HELD_OUT = 0.05
"""Fraction of the captioned images that is held out to measure recall."""

_MAX_LOG_SCALE = math.log(100)
_THREADS = 2  # a fixed number, because a different number of threads would change the weights slightly
_LOG_EVERY = 25  # number of steps between two log messages


@dataclass(frozen=True)
class TrainingResult:
    """Metrics of a training run.

    Attributes:
        loss: mean contrastive loss in the last epoch.
        rating_loss: mean rating loss in the last epoch, or None if there are no ratings.
        n_photos: number of training images.
        n_held_out: number of held-out images.
        recall_at_1: share of held-out captions whose image is ranked first.
        recall_at_5: share of held-out captions whose image is among the first five.
    """

    loss: float
    rating_loss: float | None
    n_photos: int
    n_held_out: int
    recall_at_1: float
    recall_at_5: float


def lock_towers(model: Any, params: ClipParams) -> None:
    """Lock the early layers of the image tower and of the text tower (LiT, Zhai et al. 2022).

    The last `image_layers` and `text_layers` layer groups remain trainable. If the setting of a tower is None, the
    whole tower is trainable. The option `freeze_bn_stats` of open_clip is not used, because it removes the activation
    functions inside the batch normalisation layers of timm.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # open_clip uses deprecated timm names
        if params.image_layers is not None:
            model.lock_image_tower(unlocked_groups=params.image_layers)
        if params.text_layers is not None:
            model.lock_text_tower(unlocked_layers=params.text_layers, freeze_layer_norm=True)


def train(
    model: Any,
    pairs: CaptionPairs,
    rated: ClipRatedPairs | None,
    params: ClipParams,
    seed: int,
    *,
    from_scratch: bool,
) -> TrainingResult:
    """Train a CLIP model in place.

    The loss of a training step is the contrastive loss of a batch of captioned images. If there are ratings, the rating
    loss of a batch of rated images is added. Each rated image is sampled about once per epoch.

    Args:
        model: CLIP model of open_clip. The towers of the model may be locked.
        pairs: captioned images.
        rated: rated pairs, or None to train only on captions.
        params: section `clip` of params.yaml.
        seed: random seed.
        from_scratch: whether the initial weights are random. The batch normalisation statistics of pretrained models
            are not updated, because small batches would yield less accurate statistics.

    Raises:
        InputError: the dataset has fewer than 3 captioned images.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(pairs))
    n_held_out = max(1, round(len(pairs) * HELD_OUT))
    held_out, trained = pairs.select(np.sort(order[:n_held_out])), pairs.select(np.sort(order[n_held_out:]))
    if len(trained) < 2:
        raise InputError(
            f"The dataset has {len(pairs)} captioned images, but clip.source: train requires at least 3. "
            "Add captioned images to the folder ingest.corpus."
        )
    with _deterministic():
        loss, rated_loss = _run_epochs(model, trained, rated, params, rng, from_scratch=from_scratch)
        recall_at_1, recall_at_5 = held_out_recall(model, held_out)
    return TrainingResult(loss, rated_loss, len(trained), n_held_out, recall_at_1, recall_at_5)


@contextmanager
def _deterministic() -> Iterator[None]:
    import torch

    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(_THREADS)
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)


def _run_epochs(
    model: Any,
    pairs: CaptionPairs,
    rated: ClipRatedPairs | None,
    params: ClipParams,
    rng: np.random.Generator,
    *,
    from_scratch: bool,
) -> tuple[float, float | None]:
    """Run all epochs. Return the mean contrastive loss and the mean rating loss of the last epoch."""
    import torch

    batch_size = min(params.batch_size, len(pairs))
    steps_per_epoch = len(pairs) // batch_size
    training_loss = TrainingLoss.create(model, pairs, rated, batch_size)
    optimizer = build_optimizer(model, params, [training_loss.logit_scale, training_loss.logit_bias])
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, warm_up_and_cosine(params.epochs * steps_per_epoch))
    _set_training_mode(model, from_scratch=from_scratch)
    history: list[list[float]] = []
    with progress("train clip", params.epochs * steps_per_epoch * batch_size) as advance:
        for rows in _batches(len(pairs), batch_size, params.epochs, rng):
            losses = training_loss.compute(model, rows, rng)
            _step(model, sum(losses), optimizer)
            schedule.step()
            advance(batch_size)
            history.append([loss.item() for loss in losses])
            if len(history) % _LOG_EVERY == 0:
                recent = " and ".join(f"{loss:.3f}" for loss in np.mean(history[-_LOG_EVERY:], axis=0))
                logger.info("step %d: loss %s", len(history), recent)
    means = np.mean(history[-steps_per_epoch:], axis=0).tolist()
    return means[0], means[1] if rated else None


def _set_training_mode(model: Any, *, from_scratch: bool) -> None:
    import torch

    model.train().to(memory_format=torch.channels_last)
    if not from_scratch:
        for module in model.modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                module.eval()


def _batches(n: int, batch_size: int, epochs: int, rng: np.random.Generator) -> Iterator[Rows]:
    for _ in range(epochs):
        order = rng.permutation(n)
        for start in range(0, n - batch_size + 1, batch_size):
            yield order[start : start + batch_size]


def _step(model: Any, loss: Any, optimizer: "torch.optim.Optimizer") -> None:
    import torch

    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    with torch.no_grad():
        model.logit_scale.clamp_(0, _MAX_LOG_SCALE)
