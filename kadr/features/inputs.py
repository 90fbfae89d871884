"""Images and texts with their embeddings, which are the input of the feature blocks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from kadr.io.embeddings import Embeddings, Vectors
from kadr.io.texts import normalise_text


@dataclass(frozen=True)
class Images:
    """Images and their embeddings.

    Attributes:
        ids: n_images image IDs.
        vectors: (n_images, d) float32 image vectors of each encoder, by encoder name, with unit norm, in the order of
            `ids`.
        prepared: arrays of shape (n_images, ...) that `FeatureBlocks.prepare` computed in advance, by array name. The
            dictionary is empty if no arrays were computed in advance.
    """

    ids: Sequence[str]
    vectors: Mapping[str, Vectors]
    prepared: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)

    @classmethod
    def select(cls, embeddings: Mapping[str, Embeddings], ids: Sequence[str]) -> "Images":
        """Return images with their vectors from embeddings tables.

        Args:
            embeddings: embeddings table of each encoder, by encoder name.
            ids: image IDs.
        """
        return cls(ids, {name: table.select(ids) for name, table in embeddings.items()})


@dataclass(frozen=True)
class Texts:
    """Queries or captions and their embeddings.

    Attributes:
        ids: n_texts query IDs or caption IDs.
        texts: n_texts texts, normalised by `kadr.io.texts.normalise_text`.
        vectors: (n_texts, d) float32 text vectors of each encoder, by encoder name, with unit norm, in the order of
            `ids`.
    """

    ids: Sequence[str]
    texts: Sequence[str]
    vectors: Mapping[str, Vectors]

    @classmethod
    def select(cls, embeddings: Mapping[str, Embeddings], texts: Mapping[str, str]) -> "Texts":
        """Return normalised texts with their vectors from embeddings tables.

        Args:
            embeddings: embeddings table of each encoder, by encoder name.
            texts: texts by query ID or caption ID.
        """
        ids = list(texts)
        return cls(
            ids,
            [normalise_text(text) for text in texts.values()],
            {name: table.select(ids) for name, table in embeddings.items()},
        )
