"""Functions for matrices of row vectors: normalisation, concatenation, group means, ridge regression and search."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kadr.errors import ModelError
from kadr.io.embeddings import Rows, Vectors


def normalise_rows(vectors: Vectors) -> Vectors:
    """Scale each row to unit norm. Rows of zeros are not changed."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Vectors = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    return scaled


def concatenate_encoders(vectors: Mapping[str, Vectors], names: Sequence[str]) -> Vectors:
    """Concatenate the unit vectors of several encoders into one unit vector per row. All encoders have equal weight.

    Args:
        vectors: (n, d) float32 vectors of each encoder, by encoder name, with unit norm.
        names: names of the encoders, in the order of concatenation.

    Returns:
        (n, d_total) float32, unit norm, where d_total is the sum of the encoder dimensions.

    Raises:
        ModelError: `vectors` does not contain all encoders in `names`.
    """
    if missing := [name for name in names if name not in vectors]:
        raise ModelError(
            f"The images have no vectors from encoder {', '.join(missing)}, which the relevance model needs. "
            "Index the images again with `kadr index` or `dvc repro index`."
        )
    joined = np.concatenate([vectors[name] for name in names], axis=1, dtype=np.float32)
    return np.asarray(joined / np.float32(np.sqrt(len(names))), dtype=np.float32)


def group_means(values: npt.NDArray[Any], starts: Rows) -> npt.NDArray[Any]:
    """Return the mean of the rows in each group.

    Args:
        values: (n, d) rows. Rows of the same group are adjacent.
        starts: (n_groups + 1,) index of the first row of each group, followed by n.

    Returns:
        (n_groups, d), with the dtype of `values`.
    """
    sizes = np.diff(starts)[:, None].astype(values.dtype)
    means: npt.NDArray[Any] = np.add.reduceat(values, starts[:-1]) / sizes
    return means


def fit_ridge(inputs: Vectors, targets: Vectors, penalty: float) -> Vectors:
    """Fit a linear map W by ridge regression without an intercept.

    The map minimises `|inputs W - targets|^2 + penalty * n * |W|^2`.

    Args:
        inputs: (n, d_inputs) float32.
        targets: (n, d_targets) float32.
        penalty: regularisation strength per input row.

    Returns:
        The map W, (d_inputs, d_targets) float32.
    """
    gram = inputs.T @ inputs / np.float32(len(inputs))
    gram[np.diag_indices_from(gram)] += np.float32(penalty)
    return np.linalg.solve(gram, inputs.T @ targets / np.float32(len(inputs))).astype(np.float32)


def nearest_rows(queries: Vectors, vectors: Vectors, k: int) -> tuple[Rows, Vectors]:
    """Find the k vectors with the largest inner product for each query.

    Args:
        queries: (n_queries, d) float32.
        vectors: (n, d) float32.
        k: number of vectors to find. If k exceeds n, all vectors are returned.

    Returns:
        Row numbers in `vectors` and inner products, both (n_queries, k), in descending order of inner product.
    """
    import faiss

    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(np.ascontiguousarray(vectors))
    similarity, rows = index.search(np.ascontiguousarray(queries), min(k, len(vectors)))
    return rows, similarity
