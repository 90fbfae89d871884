"""Learning rate schedule and parameter groups of the optimizer."""

from pathlib import Path

import pytest
import torch

from kadr.clip.optimizer import build_optimizer, warm_up_and_cosine
from kadr.params import load_params


def test_the_learning_rate_warms_up_linearly_and_decays_to_zero() -> None:
    factor = warm_up_and_cosine(20)
    assert [factor(step) for step in (0, 1, 2, 11, 20)] == pytest.approx([0.5, 1.0, 1.0, 0.5, 0.0])


def test_a_single_step_has_the_full_learning_rate() -> None:
    assert warm_up_and_cosine(1)(0) == 1


def test_only_unlocked_matrices_have_weight_decay(project: Path) -> None:
    params = load_params(project / "params.yaml").clip
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))
    model[1].weight.requires_grad = False
    logit_scale = torch.nn.Parameter(torch.tensor(1.0))
    matrices, vectors, logit = build_optimizer(model, params, [logit_scale]).param_groups
    assert [parameter.shape for parameter in matrices["params"]] == [(3, 2)]
    assert [parameter.shape for parameter in vectors["params"]] == [(3,), (1,)]
    assert (matrices["weight_decay"], vectors["weight_decay"]) == (params.weight_decay, 0)
    assert logit["params"] == [logit_scale]
