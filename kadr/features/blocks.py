"""The feature blocks that look at a photo's and a text's own vectors, and how blocks become one matrix."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kadr.embeddings import Rows, Vectors
from kadr.errors import ParamsError
from kadr.features.inputs import Images, Texts

ROWS_AT_ONCE = 4096  # pairs computed together, so that the memory beside the matrix stays small


@dataclass(frozen=True)
class Block:
    """A named group of features.

    Attributes:
        names: features' names for these photos and texts; their number is the block's width.
        fill: writes the features of pairs (photo row, text row) into a (n_pairs, width) float32 view.
    """

    names: Callable[[Images, Texts], list[str]]
    fill: Callable[[Vectors, Images, Texts, Rows, Rows], None]


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


def _shared(images: Images, texts: Texts) -> list[str]:
    """Encoders whose photos and texts lie in one space: they have one name, hence one weights file (kadr.params)."""
    return [name for name in images.vectors if name in texts.vectors]


def _shared_names(images: Images, texts: Texts) -> list[str]:
    return [f"{name}.{d}" for name in _shared(images, texts) for d in range(images.vectors[name].shape[1])]


def _elementwise(combine: Callable[[Vectors, Vectors], Vectors]) -> Block:
    def fill(out: Vectors, images: Images, texts: Texts, image_rows: Rows, text_rows: Rows) -> None:
        start = 0
        for name in _shared(images, texts):
            stop = start + images.vectors[name].shape[1]
            out[:, start:stop] = combine(images.vectors[name][image_rows], texts.vectors[name][text_rows])
            start = stop

    return Block(_shared_names, fill)


def _fill_cosine(out: Vectors, images: Images, texts: Texts, image_rows: Rows, text_rows: Rows) -> None:
    for column, name in enumerate(_shared(images, texts)):
        out[:, column] = np.einsum("nd,nd->n", images.vectors[name][image_rows], texts.vectors[name][text_rows])


def _concat_names(images: Images, texts: Texts) -> list[str]:
    sides = (("image", images.vectors), ("text", texts.vectors))
    return [f"{side}.{name}.{d}" for side, vectors in sides for name, v in vectors.items() for d in range(v.shape[1])]


def _fill_concat(out: Vectors, images: Images, texts: Texts, image_rows: Rows, text_rows: Rows) -> None:
    start = 0
    for vectors, rows in ((images.vectors, image_rows), (texts.vectors, text_rows)):
        for values in vectors.values():
            stop = start + values.shape[1]
            np.take(values, rows, axis=0, out=out[:, start:stop], mode="clip")
            start = stop


BLOCKS: dict[str, Block] = {
    "cosine": Block(_shared, _fill_cosine),
    "product": _elementwise(np.multiply),
    "difference": _elementwise(lambda image, text: np.abs(image - text)),
    "concat": Block(_concat_names, _fill_concat),
}


def build_features(
    blocks: Mapping[str, Block], images: Images, texts: Texts, image_rows: Rows, text_rows: Rows
) -> FeatureMatrix:
    """The feature matrix of n pairs (photo `image_rows[i]`, text `text_rows[i]`).

    Filled in place, ROWS_AT_ONCE pairs at a time: the memory is the matrix and one block's temporaries of so many rows.
    """
    names: list[str] = []
    columns: dict[str, slice] = {}
    for name, block in blocks.items():
        features = block.names(images, texts)
        columns[name] = slice(len(names), len(names) + len(features))
        names += [f"{name}:{feature}" for feature in features]
    values = np.empty((len(image_rows), len(names)), dtype=np.float32)
    for start in range(0, len(image_rows), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        for name, block in blocks.items():
            block.fill(values[rows, columns[name]], images, texts, image_rows[rows], text_rows[rows])
    return FeatureMatrix(values, names, columns)


def choose_blocks(names: Sequence[str], known: Mapping[str, Block]) -> dict[str, Block]:
    """The blocks `names` of `known`, in that order. Raises ParamsError for one that is unknown or named twice."""
    for name in names:
        if name not in known:
            raise ParamsError(f"train.features: unknown block {name!r}; the blocks are {', '.join(sorted(known))}")
    if len(set(names)) != len(names):
        raise ParamsError(f"train.features: a block is named twice in {list(names)}; name each once")
    return {name: known[name] for name in names}
