"""Optimizer and learning rate schedule for CLIP training."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from kadr.params import ClipParams

if TYPE_CHECKING:
    import torch

_WARM_UP = 0.1  # fraction of the steps in which the learning rate rises
_LOGIT_LEARNING_RATE = 0.05  # peak learning rate of the logit scale and the logit bias of the rating loss


def build_optimizer(
    model: Any, params: ClipParams, logit_parameters: "Sequence[torch.nn.Parameter]"
) -> "torch.optim.Optimizer":
    """Return an AdamW optimizer that applies weight decay only to matrices.

    Args:
        model: CLIP model to train. Parameters that do not require a gradient are not optimized.
        params: section `clip` of params.yaml.
        logit_parameters: logit scale and logit bias of the rating loss.
    """
    import torch

    matrices = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    vectors = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": params.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
        {"params": list(logit_parameters), "weight_decay": 0.0, "lr": _LOGIT_LEARNING_RATE},
    ]
    return torch.optim.AdamW(groups, lr=params.learning_rate, betas=(0.9, 0.98), eps=1e-6, fused=True)


def warm_up_and_cosine(n_steps: int) -> Callable[[int], float]:
    """Return a learning rate schedule: a linear warm-up, followed by a cosine decay to 0.

    Args:
        n_steps: total number of training steps.

    Returns:
        Function that returns the factor by which the learning rate is multiplied in a given step.
    """
    warm_up = max(1, round(n_steps * _WARM_UP))

    def factor(step: int) -> float:
        if step < warm_up:
            return (step + 1) / warm_up
        return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, n_steps - warm_up)))

    return factor
