"""Feature blocks that are computed from embeddings alone, and the matrix of all features."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kadr.errors import ParamsError
from kadr.features.inputs import Images, Texts
from kadr.io.embeddings import Rows, Vectors

CHUNK_SIZE = 4096  # number of pairs computed at a time, to limit the memory of temporary arrays
RENAMED_BLOCKS = {"captioned": "caption_neighbours"}
"""Maps the former name of a block to its current name."""


@dataclass(frozen=True)
class Features:
    """The features that one block computes for a set of images and a set of texts.

    Attributes:
        names: feature names, one for each column of the block.
        fill: function `fill(out, image_rows, text_rows)` that writes the features of n pairs to `out`, a float32 array
            of shape (n_pairs, len(names)).
    """

    names: list[str]
    fill: Callable[[Vectors, Rows, Rows], None]


Block = Callable[[Images, Texts], Features]


@dataclass(frozen=True)
class FeatureMatrix:
    """The feature values of n pairs.

    Attributes:
        values: (n_pairs, n_features) float32.
        names: name of each column, in the form `block:feature`.
        blocks: slice of the columns that each block computed, by block name.
    """

    values: Vectors
    names: list[str]
    blocks: dict[str, slice]


def _shared_encoders(images: Images, texts: Texts) -> list[tuple[str, Vectors, Vectors]]:
    """Return the encoders that embed both images and texts, as tuples (name, image vectors, text vectors).

    An image encoder and a text encoder with the same name must embed into the same vector space.
    """
    return [(name, vectors, texts.vectors[name]) for name, vectors in images.vectors.items() if name in texts.vectors]


def cosine(images: Images, texts: Texts) -> Features:
    """Return the cosine similarity of image and text for each shared encoder (CLIPScore, Hessel et al. 2021)."""
    shared = _shared_encoders(images, texts)

    def fill(out: Vectors, image_rows: Rows, text_rows: Rows) -> None:
        for column, (_, image_vectors, text_vectors) in enumerate(shared):
            out[:, column] = np.einsum("nd,nd->n", image_vectors[image_rows], text_vectors[text_rows])

    return Features([name for name, _, _ in shared], fill)


def _elementwise(combine: Callable[[Vectors, Vectors], Vectors]) -> Block:
    """Return a block that combines the image vector and the text vector of each shared encoder element by element.

    Args:
        combine: function that combines image vectors and text vectors, both (n_pairs, d), into (n_pairs, d) features.
    """

    def block(images: Images, texts: Texts) -> Features:
        shared = _shared_encoders(images, texts)

        def fill(out: Vectors, image_rows: Rows, text_rows: Rows) -> None:
            combined = [combine(image[image_rows], text[text_rows]) for _, image, text in shared]
            if combined:
                np.concatenate(combined, axis=1, out=out)

        return Features([f"{name}.{d}" for name, image, _ in shared for d in range(image.shape[1])], fill)

    return block


def concat(images: Images, texts: Texts) -> Features:
    """Return the concatenated image vectors and text vectors of all encoders as features."""
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
"""Maps names in `train.features` to blocks. These blocks do not need to be fitted."""


def build_features(
    blocks: Mapping[str, Block], images: Images, texts: Texts, image_rows: Rows, text_rows: Rows
) -> FeatureMatrix:
    """Compute the feature matrix of n pairs.

    Pairs are processed in chunks of CHUNK_SIZE, to limit the memory that temporary arrays need.

    Args:
        blocks: feature blocks by name. The columns of the matrix follow the order of the blocks.
        images: images of the pairs.
        texts: texts of the pairs.
        image_rows: (n_pairs,) index of each pair's image in `images`.
        text_rows: (n_pairs,) index of each pair's text in `texts`.
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
    """Check that `names` contains only known blocks and contains no block twice.

    Args:
        names: value of `train.features`.
        known: names of all blocks.

    Raises:
        ParamsError: a name is unknown, outdated or listed twice.
    """
    for name in names:
        if name in RENAMED_BLOCKS:
            raise ParamsError(
                f"train.features: the block {name!r} is now called {RENAMED_BLOCKS[name]!r}. Rename it in params.yaml."
            )
        if name not in known:
            raise ParamsError(f"train.features: unknown block {name!r}. Expected one of {', '.join(sorted(known))}.")
    if len(set(names)) != len(names):
        raise ParamsError(f"train.features: {list(names)} lists a block twice. List each block once.")


def select_blocks(names: Sequence[str], known: Mapping[str, Block]) -> dict[str, Block]:
    """Return the blocks with the given names, in the order of the names.

    Args:
        names: value of `train.features`.
        known: all blocks that `names` can contain, by name.

    Raises:
        ParamsError: a name is unknown, outdated or listed twice.
    """
    check_block_names(names, list(known))
    return {name: known[name] for name in names}
