"""The clip part's training: by captions and ratings, from scratch or from given weights, the same bytes for a seed."""

import logging
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from kadr.clip.caption_pairs import NO_CAPTION, Pairs
from kadr.clip.loss import Lesson, normalised
from kadr.clip.rated_pairs import Rated
from kadr.errors import InputError
from kadr.params import ClipParams
from kadr.progress import progress

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

HELD_OUT = 0.05
"""Share of the photos that are not trained on but judge the result."""

_WARM_UP = 0.1
_MAX_LOG_SCALE = math.log(100)
_THREADS = 2  # fixed, or the sums' order and so the weights would differ from machine to machine
_EVAL_BATCH = 256
_SAY_EVERY = 25
_LINE_RATE = 0.05  # peak learning rate of the two numbers that turn a cosine into a relevance


@dataclass(frozen=True)
class Trained:
    """What came of a training: the last epoch's losses, and how often a held-out caption finds its photo."""

    loss: float
    rating_loss: float | None
    n_photos: int
    n_held_out: int
    recall_at_1: float
    recall_at_5: float


def lock_towers(model: Any, params: ClipParams) -> None:
    """Let only the last `image_layers` and `text_layers` groups of the towers' layers learn (LiT, Zhai et al. 2022).

    open_clip's `freeze_bn_stats` is not used: it drops the activations that are part of timm's batch norms.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of open_clip's, for timm's older names
        if params.image_layers is not None:
            model.lock_image_tower(unlocked_groups=params.image_layers)
        if params.text_layers is not None:
            model.lock_text_tower(unlocked_layers=params.text_layers, freeze_layer_norm=True)


def train(model: Any, pairs: Pairs, rated: Rated | None, params: ClipParams, seed: int, *, fresh: bool) -> Trained:
    """Train `model` (an open_clip CLIP) in place.

    Every step adds the loss of a batch of captioned photos and, where there are rated pairs, that of a batch of rated
    photos by lot: as many that each is seen once in an epoch on average, at most a batch.

    Args:
        model: the CLIP; what must not learn of it is locked.
        pairs: photos and captions.
        rated: photos, texts and how well they fit; None for none.
        params: the section `clip`.
        seed: of every lot.
        fresh: whether its weights are random. Else the statistics of its batch norms stay: those of small batches are
            worse than those of the photos that it was trained on.

    Raises:
        InputError: where there are fewer photos than a batch and the held-out ones need.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(pairs))
    n_held_out = max(1, round(len(pairs) * HELD_OUT))
    held_out, kept = pairs.select(np.sort(order[:n_held_out])), pairs.select(np.sort(order[n_held_out:]))
    if len(kept) < 2:
        raise InputError(f"clip.source: train wants 3 captioned photos or more, got {len(pairs)}; see ingest.corpus")
    with _repeatable():
        loss, of_ratings = _learn(model, kept, rated, params, rng, fresh=fresh)
        recall_at_1, recall_at_5 = held_out_recall(model, held_out)
    return Trained(loss, of_ratings, len(kept), n_held_out, recall_at_1, recall_at_5)


@contextmanager
def _repeatable() -> Iterator[None]:
    import torch

    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(_THREADS)
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict)


def _learn(
    model: Any, pairs: Pairs, rated: Rated | None, params: ClipParams, rng: np.random.Generator, *, fresh: bool
) -> tuple[float, float | None]:
    """All epochs; returns the mean losses of the last, by captions and by ratings."""
    import torch

    size = min(params.batch_size, len(pairs))
    per_epoch = len(pairs) // size
    lesson = Lesson.of(model, pairs, rated, size)
    optimizer = _optimizer(model, params, lesson.line)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _warm_up_then_cosine(params.epochs * per_epoch))
    model.train().to(memory_format=torch.channels_last)
    if not fresh:
        for module in model.modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                module.eval()
    losses: list[list[float]] = []
    with progress("train clip", params.epochs * per_epoch * size) as advance:
        for rows in _batches(len(pairs), size, params.epochs, rng):
            parts = lesson.losses(model, rows, rng)
            _step(model, sum(parts), optimizer)
            schedule.step()
            advance(size)
            losses.append([part.item() for part in parts])
            if len(losses) % _SAY_EVERY == 0:
                said = " and ".join(f"{loss:.3f}" for loss in np.mean(losses[-_SAY_EVERY:], axis=0))
                logger.info("step %d: loss %s", len(losses), said)
    last = np.mean(losses[-per_epoch:], axis=0).tolist()
    return last[0], last[1] if rated else None


def _batches(n: int, size: int, epochs: int, rng: np.random.Generator) -> Iterator[npt.NDArray[np.int64]]:
    for _ in range(epochs):
        order = rng.permutation(n)
        for start in range(0, n - size + 1, size):
            yield order[start : start + size]


def _step(model: Any, loss: Any, optimizer: "torch.optim.Optimizer") -> None:
    import torch

    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    with torch.no_grad():
        model.logit_scale.clamp_(0, _MAX_LOG_SCALE)


def _optimizer(model: Any, params: ClipParams, line: "list[torch.nn.Parameter]") -> "torch.optim.Optimizer":
    """AdamW that decays matrices, not biases, gains, the temperature and the `line` from cosine to relevance."""
    import torch

    matrices = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    rest = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": params.weight_decay},
        {"params": rest, "weight_decay": 0.0},
        {"params": line, "weight_decay": 0.0, "lr": _LINE_RATE},
    ]
    return torch.optim.AdamW(groups, lr=params.learning_rate, betas=(0.9, 0.98), eps=1e-6, fused=True)


def _warm_up_then_cosine(n_steps: int) -> Callable[[int], float]:
    warm_up = max(1, round(n_steps * _WARM_UP))

    def rate(step: int) -> float:
        if step < warm_up:
            return (step + 1) / warm_up
        return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, n_steps - warm_up)))

    return rate


def held_out_recall(model: Any, pairs: Pairs) -> tuple[float, float]:
    """Share of captions whose photo is the nearest, and among the 5 nearest, of all photos in `pairs`."""
    import torch

    photo, column = np.nonzero(pairs.captions != NO_CAPTION)
    tokens = pairs.tokens[pairs.captions[photo, column]]
    device = model.logit_scale.device
    model.eval()
    with torch.inference_mode():
        parts = torch.split(pairs.pixels, _EVAL_BATCH)
        images = torch.cat(
            [model.encode_image(normalised(model, part / 255).to(device), normalize=True) for part in parts]
        )
        texts = torch.cat(
            [model.encode_text(part.to(device), normalize=True) for part in torch.split(tokens, _EVAL_BATCH)]
        )
        scores = (texts @ images.T).cpu().numpy()
    better = (scores > scores[np.arange(len(photo)), photo][:, None]).sum(axis=1)
    return float((better < 1).mean()), float((better < 5).mean())
