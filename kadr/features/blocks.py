"""The feature blocks that look at a photo's and a text's own vectors, and how blocks become one matrix."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kadr.errors import ParamsError
from kadr.features.inputs import Images, Texts
from kadr.io.embeddings import Rows, Vectors

ROWS_AT_ONCE = 4096  # pairs computed together, so that the memory beside the matrix stays small


@dataclass(frozen=True)
class Features:
    """A block's features for given photos and texts.

    Attributes:
        names: their names; their number is the block's width.
        fill: writes the features of pairs (photo row, text row) into a (n_pairs, width) float32 view.
    """

    names: list[str]
    fill: Callable[[Vectors, Rows, Rows], None]


Block = Callable[[Images, Texts], Features]


@dataclass(frozen=True)
class FeatureMatrix:
    """The features of pairs.

    Attributes:
        values: (n_pairs, n_features) float32.
        names: n_features names, `block:feature`.
        blocks: block name -> the slice of its columns.
    """

    values: Vectors
    names: list[str]
    blocks: dict[str, slice]


def _shared(images: Images, texts: Texts) -> list[tuple[str, Vectors, Vectors]]:
    """Encoders whose photos and texts lie in one space: they have one name, hence one weights file (kadr.params)."""
    return [(name, vectors, texts.vectors[name]) for name, vectors in images.vectors.items() if name in texts.vectors]


def cosine(images: Images, texts: Texts) -> Features:
    """Cosine of photo and text, one for each shared space (CLIPScore, Hessel et al. 2021)."""
    shared = _shared(images, texts)

    def fill(out: Vectors, image_rows: Rows, text_rows: Rows) -> None:
        for column, (_, photo, text) in enumerate(shared):
            out[:, column] = np.einsum("nd,nd->n", photo[image_rows], text[text_rows])

    return Features([name for name, _, _ in shared], fill)


def _elementwise(combine: Callable[[Vectors, Vectors], Vectors]) -> Block:
    def block(images: Images, texts: Texts) -> Features:
        shared = _shared(images, texts)

        def fill(out: Vectors, image_rows: Rows, text_rows: Rows) -> None:
            parts = [combine(photo[image_rows], text[text_rows]) for _, photo, text in shared]
            if parts:
                np.concatenate(parts, axis=1, out=out)

        return Features([f"{name}.{d}" for name, photo, _ in shared for d in range(photo.shape[1])], fill)

    return block


def concat(images: Images, texts: Texts) -> Features:
    """The vectors themselves: every photo encoder's, then every text encoder's."""
    sides = (("image", images.vectors), ("text", texts.vectors))

    def fill(out: Vectors, image_rows: Rows, text_rows: Rows) -> None:
        photo = [vectors[image_rows] for vectors in images.vectors.values()]
        text = [vectors[text_rows] for vectors in texts.vectors.values()]
        np.concatenate(photo + text, axis=1, out=out)

    names = [
        f"{side}.{name}.{d}" for side, of in sides for name, vectors in of.items() for d in range(vectors.shape[1])
    ]
    return Features(names, fill)


BLOCKS: dict[str, Block] = {
    "cosine": cosine,
    "product": _elementwise(np.multiply),
    "difference": _elementwise(lambda image, text: np.abs(image - text)),
    "concat": concat,
}


def build_features(
    blocks: Mapping[str, Block], images: Images, texts: Texts, image_rows: Rows, text_rows: Rows
) -> FeatureMatrix:
    """The feature matrix of n pairs (photo `image_rows[i]`, text `text_rows[i]`).

    Filled in place, ROWS_AT_ONCE pairs at a time: the memory is the matrix and one block's temporaries of so many rows.
    """
    names: list[str] = []
    columns: dict[str, slice] = {}
    prepared = {name: block(images, texts) for name, block in blocks.items()}
    for name, features in prepared.items():
        columns[name] = slice(len(names), len(names) + len(features.names))
        names += [f"{name}:{feature}" for feature in features.names]
    values = np.empty((len(image_rows), len(names)), dtype=np.float32)
    for start in range(0, len(image_rows), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        for name, features in prepared.items():
            features.fill(values[rows, columns[name]], image_rows[rows], text_rows[rows])
    return FeatureMatrix(values, names, columns)


def choose_blocks(names: Sequence[str], known: Mapping[str, Block]) -> dict[str, Block]:
    """The blocks `names` of `known`, in that order. Raises ParamsError for one that is unknown or named twice."""
    for name in names:
        if name not in known:
            raise ParamsError(f"train.features: unknown block {name!r}; the blocks are {', '.join(sorted(known))}")
    if len(set(names)) != len(names):
        raise ParamsError(f"train.features: a block is named twice in {list(names)}; name each once")
    return {name: known[name] for name in names}
