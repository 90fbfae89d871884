"""Tests of the kernel ridge regression."""

import numpy as np
import pytest

from kadr.features import kernel_ridge as kernel_module
from kadr.features.kernel_ridge import NystromKernelRidge
from kadr.features.vector_math import normalise_rows

RNG = np.random.default_rng(0)
INPUTS = normalise_rows(RNG.normal(size=(200, 16)).astype(np.float32))
TARGETS = (INPUTS @ RNG.normal(size=(16, 2))).astype(np.float32)
UNSEEN = normalise_rows(RNG.normal(size=(20, 16)).astype(np.float32))


def test_the_exact_regression_equals_scikit_learn() -> None:
    from sklearn.kernel_ridge import KernelRidge

    gamma = kernel_module.STEEPNESS / 2  # |x - y|^2 = 2 - 2 cosine
    expected = KernelRidge(alpha=kernel_module.PENALTY, kernel="rbf", gamma=gamma)
    expected.fit(INPUTS.astype(float), TARGETS.astype(float))
    predicted = NystromKernelRidge.fit(INPUTS, TARGETS).predict(UNSEEN)
    np.testing.assert_allclose(predicted, expected.predict(UNSEEN.astype(float)), atol=1e-5)


def test_fewer_landmarks_than_inputs_approximate_the_exact_regression(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = NystromKernelRidge.fit(INPUTS, TARGETS).predict(UNSEEN)
    monkeypatch.setattr(kernel_module, "N_LANDMARKS", 150)
    monkeypatch.setattr(kernel_module, "CHUNK_SIZE", 7)
    approximate = NystromKernelRidge.fit(INPUTS, TARGETS)
    assert approximate.weights.shape == (150, 2)
    assert np.corrcoef(approximate.predict(UNSEEN).ravel(), exact.ravel())[0, 1] > 0.95
