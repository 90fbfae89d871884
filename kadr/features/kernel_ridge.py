"""Kernel ridge regression on unit vectors, with the Nyström approximation for large numbers of inputs."""

from dataclasses import dataclass

import numpy as np

from kadr.io.embeddings import Rows, Vectors, evenly_spaced_rows

N_LANDMARKS = 6000  # the time for fitting grows with the cube of this number, the memory with its square
STEEPNESS = 5.0  # kernel = exp(STEEPNESS * (cosine - 1))
PENALTY = 0.1  # regularisation strength, added to the diagonal of the kernel matrix
CHUNK_SIZE = 4096  # number of inputs processed at a time, to limit the memory of kernel matrices


def kernel(left: Vectors, right: Vectors) -> Vectors:
    """Return the Gaussian kernel exp(STEEPNESS * (cosine - 1)) of all pairs of unit vectors.

    Args:
        left: (n_left, d) float32, unit norm.
        right: (n_right, d) float32, unit norm.

    Returns:
        (n_left, n_right) float32.
    """
    cosine: Vectors = left @ right.T
    similarity: Vectors = np.exp(np.float32(STEEPNESS) * (cosine - np.float32(1.0)))
    return similarity


def landmark_rows(n: int) -> Rows:
    """Return the indices of at most N_LANDMARKS landmarks, evenly spaced over n inputs."""
    return evenly_spaced_rows(n, N_LANDMARKS)


@dataclass(frozen=True)
class NystromKernelRidge:
    """Kernel ridge regression from unit vectors to several targets.

    With at most N_LANDMARKS inputs, every input is a landmark and the regression is exact (Saunders et al. 1998). With
    more inputs, the model is a weighted sum of the kernels of the landmarks. All inputs are used to fit the weights
    (Williams and Seeger 2001; Rudi et al. 2015).

    scikit-learn's KernelRidge is not used because its predictions take twice as long and it does not support landmarks.

    Attributes:
        landmarks: (n_landmarks, d) float32, unit norm. Predictions evaluate the kernel between each landmark and the
            new input.
        weights: (n_landmarks, n_targets) float32. Each weight is the factor of a landmark's kernel in the prediction of
            a target.
    """

    landmarks: Vectors
    weights: Vectors

    @classmethod
    def fit(cls, inputs: Vectors, targets: Vectors) -> "NystromKernelRidge":
        """Fit the regression.

        Args:
            inputs: (n, d) float32 training inputs, unit norm.
            targets: (n, n_targets) values to predict from the inputs.
        """
        from scipy.linalg import solve

        landmarks = inputs[landmark_rows(len(inputs))]
        gram = kernel(landmarks, landmarks).astype(np.float64)
        if len(landmarks) == len(inputs):
            system, right = gram, targets.astype(np.float64)
        else:
            system, right = PENALTY * gram, np.zeros((len(landmarks), targets.shape[1]))
            for start in range(0, len(inputs), CHUNK_SIZE):
                chunk = kernel(landmarks, inputs[start : start + CHUNK_SIZE]).astype(np.float64)
                system += chunk @ chunk.T
                right += chunk @ targets[start : start + CHUNK_SIZE]
        system[np.diag_indices_from(system)] += PENALTY
        weights = solve(system, right, assume_a="pos", overwrite_a=True, overwrite_b=True)
        return cls(landmarks, weights.astype(np.float32))

    def predict(self, inputs: Vectors) -> Vectors:
        """Predict the targets of unit vectors.

        Args:
            inputs: (n, d) float32, unit norm.

        Returns:
            (n, n_targets) float32 predictions.
        """
        predicted = np.empty((len(inputs), self.weights.shape[1]), dtype=np.float32)
        for start in range(0, len(inputs), CHUNK_SIZE):
            rows = slice(start, start + CHUNK_SIZE)
            np.matmul(kernel(inputs[rows], self.landmarks), self.weights, out=predicted[rows])
        return predicted
