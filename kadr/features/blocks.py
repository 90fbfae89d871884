"""Feature blocks on the embeddings alone, and the feature matrix that several blocks fill."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kadr.errors import ParamsError
from kadr.features.inputs import Images, Texts
from kadr.io.embeddings import Rows, Vectors

CHUNK_SIZE = 4096  # pairs per chunk: bounds the memory of temporary arrays
RENAMED_BLOCKS = {"captioned": "caption_neighbours"}
"""Former block name -> current block name."""


@dataclass(frozen=True)
class Features:
    """The features of one block for given images and texts.

    Attributes:
        names: feature names. Their number is the width of the block.
        fill: writes the features of n pairs (image row, text row) into an (n_pairs, width) float32 array.
    """

    names: list[str]
    fill: Callable[[Vectors, Rows, Rows], None]


Block = Callable[[Images, Texts], Features]


@dataclass(frozen=True)
class FeatureMatrix:
    """The features of n pairs.

    Attributes:
        values: (n_pairs, n_features) float32.
        names: n_features names of the form `block:feature`.
        blocks: block name -> slice of its columns.
    """

    values: Vectors
    names: list[str]
    blocks: dict[str, slice]


def _shared_encoders(images: Images, texts: Texts) -> list[tuple[str, Vectors, Vectors]]:
    """Return name, image vectors and text vectors of each encoder that embeds both images and texts.

    kadr.params ensures that two encoders with one name use the same weights.
    """
    return [(name, vectors, texts.vectors[name]) for name, vectors in images.vectors.items() if name in texts.vectors]


def cosine(images: Images, texts: Texts) -> Features:
    """Cosine similarity of image and text, one feature per shared encoder (CLIPScore, Hessel et al. 2021)."""
    shared = _shared_encoders(images, texts)

    def fill(out: Vectors, image_rows: Rows, text_rows: Rows) -> None:
        for column, (_, image_vectors, text_vectors) in enumerate(shared):
            out[:, column] = np.einsum("nd,nd->n", image_vectors[image_rows], text_vectors[text_rows])

    return Features([name for name, _, _ in shared], fill)


def _elementwise(combine: Callable[[Vectors, Vectors], Vectors]) -> Block:
    """Return a block that combines image and text vectors of each shared encoder, dimension by dimension."""

    def block(images: Images, texts: Texts) -> Features:
        shared = _shared_encoders(images, texts)

        def fill(out: Vectors, image_rows: Rows, text_rows: Rows) -> None:
            combined = [combine(image[image_rows], text[text_rows]) for _, image, text in shared]
            if combined:
                np.concatenate(combined, axis=1, out=out)

        return Features([f"{name}.{d}" for name, image, _ in shared for d in range(image.shape[1])], fill)

    return block


def concat(images: Images, texts: Texts) -> Features:
    """All image vectors, followed by all text vectors."""
    modalities = (("image", images.vectors), ("text", texts.vectors))

    def fill(out: Vectors, image_rows: Rows, text_rows: Rows) -> None:
        image = [vectors[image_rows] for vectors in images.vectors.values()]
        text = [vectors[text_rows] for vectors in texts.vectors.values()]
        np.concatenate(image + text, axis=1, out=out)

    names = [
        f"{modality}.{name}.{d}"
        for modality, embeddings in modalities
        for name, vectors in embeddings.items()
        for d in range(vectors.shape[1])
    ]
    return Features(names, fill)


BLOCKS: dict[str, Block] = {
    "cosine": cosine,
    "product": _elementwise(np.multiply),
    "difference": _elementwise(lambda image, text: np.abs(image - text)),
    "concat": concat,
}
"""Name in `train.features` -> block that needs no fitting."""


def build_features(
    blocks: Mapping[str, Block], images: Images, texts: Texts, image_rows: Rows, text_rows: Rows
) -> FeatureMatrix:
    """Compute the feature matrix of n pairs.

    The matrix is filled in chunks of CHUNK_SIZE pairs, so that temporary arrays stay small.

    Args:
        blocks: block name -> block, in the order of the columns.
        images: the images of all pairs.
        texts: the texts of all pairs.
        image_rows: (n_pairs,) row of each pair's image in `images`.
        text_rows: (n_pairs,) row of each pair's text in `texts`.
    """
    names: list[str] = []
    columns: dict[str, slice] = {}
    features_by_block = {name: block(images, texts) for name, block in blocks.items()}
    for name, features in features_by_block.items():
        columns[name] = slice(len(names), len(names) + len(features.names))
        names += [f"{name}:{feature}" for feature in features.names]
    values = np.empty((len(image_rows), len(names)), dtype=np.float32)
    for start in range(0, len(image_rows), CHUNK_SIZE):
        rows = slice(start, start + CHUNK_SIZE)
        for name, features in features_by_block.items():
            features.fill(values[rows, columns[name]], image_rows[rows], text_rows[rows])
    return FeatureMatrix(values, names, columns)


def check_block_names(names: Sequence[str], known: Sequence[str]) -> None:
    """Check the names in `train.features`.

    Raises:
        ParamsError: a name is unknown, outdated or listed twice.
    """
    for name in names:
        if name in RENAMED_BLOCKS:
            raise ParamsError(
                f"train.features: the block {name!r} is now called {RENAMED_BLOCKS[name]!r}. Rename it in params.yaml."
            )
        if name not in known:
            raise ParamsError(f"train.features: unknown block {name!r}, expected one of {', '.join(sorted(known))}.")
    if len(set(names)) != len(names):
        raise ParamsError(f"train.features: {list(names)} lists a block twice. List each block once.")


def select_blocks(names: Sequence[str], known: Mapping[str, Block]) -> dict[str, Block]:
    """Return the blocks `names` in that order.

    Raises:
        ParamsError: a name is unknown, outdated or listed twice.
    """
    check_block_names(names, list(known))
    return {name: known[name] for name in names}
