"""Captioned, unrated photos: what their captions say of a photo that looks like them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from kadr.errors import ModelError
from kadr.features.inputs import Images, Texts
from kadr.io.embeddings import Embeddings, Rows, Vectors, spread

Places = npt.NDArray[np.int64]

_TEXTS_AT_ONCE = 256  # texts compared with all captions together: 40 MB for 40,000 captions


@dataclass(frozen=True)
class Corpus:
    """Captioned photos and their captions.

    Attributes:
        images: the n_photos captioned photos.
        captions: all their captions, those of one photo side by side.
        photo: (n_captions,) int64, ascending: the row in `images` that each caption describes.
    """

    images: Images
    captions: Texts
    photo: Rows

    @classmethod
    def select(
        cls, images: Mapping[str, Embeddings], texts: Mapping[str, Embeddings], captions: pd.DataFrame, limit: int
    ) -> "Corpus":
        """The captioned photos of the table CAPTIONS, out of whole embeddings tables.

        Of more than `limit` photos, `limit` are taken evenly over the sorted ids, which bounds memory and time.
        """
        image_ids = np.unique(captions["image_id"].to_numpy(dtype=str))
        taken = image_ids[spread(len(image_ids), limit)]
        kept = captions[captions["image_id"].isin(taken)].sort_values(["image_id", "caption_id"])
        photo = np.searchsorted(taken, kept["image_id"].to_numpy(dtype=str))
        text_of = dict(zip(kept["caption_id"], kept["text"], strict=True))
        images, texts = dict(sorted(images.items())), dict(sorted(texts.items()))  # as a saved corpus is read again
        return cls(Images.select(images, taken.tolist()), Texts.select(texts, text_of), photo)

    @cached_property
    def joined(self) -> Vectors:
        """The photos' vectors by all encoders, as one: (n_photos, sum of d)."""
        return join_spaces(self.images.vectors, list(self.images.vectors))

    @cached_property
    def joined_mean(self) -> Vectors:
        """Mean of `joined`: (sum of d,)."""
        mean: Vectors = self.joined.mean(axis=0)
        return mean

    @cached_property
    def starts(self) -> Rows:
        """Row of each photo's first caption, and the number of captions at the end: (n_photos + 1,) int64."""
        return np.searchsorted(self.photo, np.arange(len(self.images.ids) + 1))


def join_spaces(vectors: Mapping[str, Vectors], names: Sequence[str]) -> Vectors:
    """The vectors of several encoders as one unit vector, in which each encoder has the same say: (n, sum of d).

    Raises:
        ModelError: `vectors` lack an encoder.
    """
    if lacking := [name for name in names if name not in vectors]:
        raise ModelError(
            f"the photos have no vectors by encoder {', '.join(lacking)}, which this model judges by; index them anew "
            "(`kadr index`, or `dvc repro index`)"
        )
    joined = np.concatenate([vectors[name] for name in names], axis=1, dtype=np.float32)
    return np.asarray(joined / np.float32(np.sqrt(len(names))), dtype=np.float32)


def unit(vectors: Vectors) -> Vectors:
    """Rows scaled to unit norm; a row of zeros stays one."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Vectors = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    return scaled


def group_means(values: npt.NDArray[Any], starts: Rows) -> npt.NDArray[Any]:
    """Mean of the rows of each group, which stand side by side: (n_groups, d), in the type of `values`.

    Args:
        values: (n, d).
        starts: (n_groups + 1,) first row of each group, and n.
    """
    sizes = np.diff(starts)[:, None].astype(values.dtype)
    means: npt.NDArray[Any] = np.add.reduceat(values, starts[:-1]) / sizes
    return means


def ridge_map(inputs: Vectors, targets: Vectors, strength: float) -> Vectors:
    """The linear map W that minimises |inputs W - targets|^2 + strength * n |W|^2: (d_inputs, d_targets) float32."""
    gram = inputs.T @ inputs / np.float32(len(inputs))
    gram[np.diag_indices_from(gram)] += np.float32(strength)
    return np.linalg.solve(gram, inputs.T @ targets / np.float32(len(inputs))).astype(np.float32)


def nearest(queries: Vectors, vectors: Vectors, k: int) -> tuple[Rows, Vectors]:
    """The k nearest rows of `vectors` by inner product, best first: rows and similarities, (n_queries, k) each."""
    import faiss

    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(np.ascontiguousarray(vectors))
    similarity, rows = index.search(np.ascontiguousarray(queries), min(k, len(vectors)))
    return rows, similarity


def best_captions(texts: Vectors, captions: Vectors, starts: Rows, k: int) -> tuple[Vectors, Places]:
    """How similar each text is to the best caption of each captioned photo, and the k captions nearest to it.

    Args:
        texts: (n_texts, d) unit vectors.
        captions: (n_captions, d), those of one photo side by side.
        starts: (n_photos + 1,) first caption of each photo, and the number of captions.
        k: at most n_captions are given.

    Returns:
        (n_texts, n_photos) float32, and rows of captions (n_texts, k), in no order.
    """
    k = min(k, len(captions))
    best = np.empty((len(texts), len(starts) - 1), dtype=np.float32)
    rows = np.empty((len(texts), k), dtype=np.int64)
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        some = slice(start, start + _TEXTS_AT_ONCE)
        similarity = texts[some] @ captions.T
        np.maximum.reduceat(similarity, starts[:-1], axis=1, out=best[some])
        rows[some] = np.argpartition(similarity, -k, axis=1)[:, -k:]
    return best, rows
