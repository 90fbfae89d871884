"""The inputs of feature blocks: photos and texts with their vectors by every encoder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from kadr.io.embeddings import Embeddings, Vectors
from kadr.io.texts import normalise_text


@dataclass(frozen=True)
class Images:
    """Photos and their vectors.

    Attributes:
        ids: n_images image ids.
        vectors: encoder name -> (n_images, d) float32, unit norm, in the order of `ids`.
        prepared: what a block computed of the photos alone, each (n_images, ...); empty where it has yet to.
    """

    ids: Sequence[str]
    vectors: Mapping[str, Vectors]
    prepared: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)

    @classmethod
    def select(cls, embeddings: Mapping[str, Embeddings], ids: Sequence[str]) -> "Images":
        """The photos `ids` out of whole embeddings tables."""
        return cls(ids, {name: table.select(ids) for name, table in embeddings.items()})


@dataclass(frozen=True)
class Texts:
    """Texts and their vectors.

    Attributes:
        ids: n_texts query or caption ids.
        texts: the n_texts texts themselves, by kadr.io.texts.normalise.
        vectors: encoder name -> (n_texts, d) float32, unit norm, in the order of `ids`.
    """

    ids: Sequence[str]
    texts: Sequence[str]
    vectors: Mapping[str, Vectors]

    @classmethod
    def select(cls, embeddings: Mapping[str, Embeddings], text_of: Mapping[str, str]) -> "Texts":
        """The texts of `text_of` (id -> text), normalised as the encoders saw them, out of whole embeddings tables."""
        ids = list(text_of)
        return cls(
            ids,
            [normalise_text(text) for text in text_of.values()],
            {name: table.select(ids) for name, table in embeddings.items()},
        )
