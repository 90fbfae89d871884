"""Operations on matrices whose rows are vectors: scaling, joining, group means, ridge regression, nearest rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kadr.errors import ModelError
from kadr.io.embeddings import Rows, Vectors


def normalise_rows(vectors: Vectors) -> Vectors:
    """Scale each row to unit norm. Rows of zeros stay zero."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Vectors = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    return scaled


def concatenate_encoders(vectors: Mapping[str, Vectors], names: Sequence[str]) -> Vectors:
    """Concatenate the unit vectors of several encoders to one unit vector in which all encoders weigh equally.

    Args:
        vectors: encoder name -> (n, d) float32, unit norm.
        names: the encoders to concatenate, in this order.

    Returns:
        (n, sum of d) float32, unit norm.

    Raises:
        ModelError: `vectors` lacks an encoder.
    """
    if missing := [name for name in names if name not in vectors]:
        raise ModelError(
            f"The images have no vectors of encoder {', '.join(missing)}, which the relevance model needs. "
            "Index the images again with `kadr index` or `dvc repro index`."
        )
    joined = np.concatenate([vectors[name] for name in names], axis=1, dtype=np.float32)
    return np.asarray(joined / np.float32(np.sqrt(len(names))), dtype=np.float32)


def group_means(values: npt.NDArray[Any], starts: Rows) -> npt.NDArray[Any]:
    """Return the mean row of each group of adjacent rows.

    Args:
        values: (n, d).
        starts: (n_groups + 1,) first row of each group, followed by n.

    Returns:
        (n_groups, d) in the dtype of `values`.
    """
    sizes = np.diff(starts)[:, None].astype(values.dtype)
    means: npt.NDArray[Any] = np.add.reduceat(values, starts[:-1]) / sizes
    return means


def fit_ridge(inputs: Vectors, targets: Vectors, penalty: float) -> Vectors:
    """Fit a linear map W by ridge regression without intercept.

    W minimises |inputs W - targets|^2 + penalty * n |W|^2.

    Args:
        inputs: (n, d_inputs) float32.
        targets: (n, d_targets) float32.
        penalty: regularisation strength per input row.

    Returns:
        (d_inputs, d_targets) float32.
    """
    gram = inputs.T @ inputs / np.float32(len(inputs))
    gram[np.diag_indices_from(gram)] += np.float32(penalty)
    return np.linalg.solve(gram, inputs.T @ targets / np.float32(len(inputs))).astype(np.float32)


def nearest_rows(queries: Vectors, vectors: Vectors, k: int) -> tuple[Rows, Vectors]:
    """Return the k rows of `vectors` with the largest inner product with each query.

    Returns:
        Rows and inner products, each (n_queries, k), largest first. k is at most the number of vectors.
    """
    import faiss

    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(np.ascontiguousarray(vectors))
    similarity, rows = index.search(np.ascontiguousarray(queries), min(k, len(vectors)))
    return rows, similarity
