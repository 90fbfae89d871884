"""Kernel ridge regression, exact up to a number of landmarks and by Nyström's approximation beyond."""

from dataclasses import dataclass

import numpy as np

from kadr.io.embeddings import Rows, Vectors, spread

N_LANDMARKS = 6000  # inputs that stand for all; time grows with their cube, memory with their square
STEEPNESS = 5.0  # of the kernel: how soon likeness fades with distance
RIDGE = 0.1  # strength of the regression, on the kernel's diagonal of 1
ROWS_AT_ONCE = 4096  # inputs computed together, so that memory stays bounded


def kernel(left: Vectors, right: Vectors) -> Vectors:
    """exp(STEEPNESS (cosine - 1)) of unit vectors, a Gaussian kernel on the sphere: (n_left, n_right) float32."""
    cosine: Vectors = left @ right.T
    likeness: Vectors = np.exp(np.float32(STEEPNESS) * (cosine - np.float32(1.0)))
    return likeness


def landmarks(n: int) -> Rows:
    """The rows of at most N_LANDMARKS landmarks, evenly spread over n inputs."""
    return spread(n, N_LANDMARKS)


@dataclass(frozen=True)
class KernelRidge:
    """A regression from unit vectors to any number of targets.

    Where every input is a landmark this is kernel ridge regression (Saunders et al. 1998); else the subset of
    regressors, whose loss runs over all inputs (Nyström; Williams and Seeger 2001, Rudi et al. 2015).

    Attributes:
        landmarks: (m, d) unit vectors.
        weights: (m, n_targets) float32.
    """

    landmarks: Vectors
    weights: Vectors

    @classmethod
    def fit(cls, inputs: Vectors, targets: Vectors) -> "KernelRidge":
        """Learn targets (n, n_targets) from unit vectors (n, d)."""
        from scipy.linalg import solve

        chosen = inputs[landmarks(len(inputs))]
        gram = kernel(chosen, chosen).astype(np.float64)
        if len(chosen) == len(inputs):
            system, right = gram, targets.astype(np.float64)
        else:
            system, right = RIDGE * gram, np.zeros((len(chosen), targets.shape[1]))
            for start in range(0, len(inputs), ROWS_AT_ONCE):
                part = kernel(chosen, inputs[start : start + ROWS_AT_ONCE]).astype(np.float64)
                system += part @ part.T
                right += part @ targets[start : start + ROWS_AT_ONCE]
        system[np.diag_indices_from(system)] += RIDGE
        weights = solve(system, right, assume_a="pos", overwrite_a=True, overwrite_b=True)
        return cls(chosen, weights.astype(np.float32))

    def predict(self, inputs: Vectors) -> Vectors:
        """Targets of unit vectors (n, d): (n, n_targets) float32."""
        predicted = np.empty((len(inputs), self.weights.shape[1]), dtype=np.float32)
        for start in range(0, len(inputs), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            np.matmul(kernel(inputs[rows], self.landmarks), self.weights, out=predicted[rows])
        return predicted
