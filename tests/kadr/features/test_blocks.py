"""Tests of the feature blocks on embeddings, and of feature matrices."""

import numpy as np
import pytest

from kadr.errors import ParamsError
from kadr.features import BLOCKS, Images, Texts, build_features
from kadr.features import blocks as blocks_module
from kadr.features.blocks import select_blocks

IMAGES = Images(
    ["a.jpg", "b.jpg"],
    {
        "clip": np.array([[0.6, 0.8], [1.0, 0.0]], dtype=np.float32),
        "resnet": np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], dtype=np.float32),
    },
)
TEXTS = Texts(
    ["q"], ["a dog"], {"clip": np.array([[0.0, 1.0]], dtype=np.float32), "sbert": np.ones((1, 1), np.float32)}
)
IMAGE_ROWS = np.array([0, 1])
TEXT_ROWS = np.array([0, 0])


@pytest.mark.parametrize(
    ("block", "names", "values"),
    [
        ("cosine", ["clip"], [[0.8], [0.0]]),
        ("product", ["clip.0", "clip.1"], [[0.0, 0.8], [0.0, 0.0]]),
        ("difference", ["clip.0", "clip.1"], [[0.6, 0.2], [1.0, 1.0]]),
        (
            "concat",
            [f"image.clip.{d}" for d in range(2)]
            + [f"image.resnet.{d}" for d in range(3)]
            + [f"text.{name}" for name in ("clip.0", "clip.1", "sbert.0")],
            [[0.6, 0.8, 1, 0, 0, 0, 1, 1], [1, 0, 0, 1, 0, 0, 1, 1]],
        ),
    ],
)
def test_block_has_expected_names_and_values(block: str, names: list[str], values: list[list[float]]) -> None:
    matrix = build_features(select_blocks([block], BLOCKS), IMAGES, TEXTS, IMAGE_ROWS, TEXT_ROWS)
    assert matrix.names == [f"{block}:{name}" for name in names]
    assert matrix.values.dtype == np.float32
    np.testing.assert_allclose(matrix.values, np.array(values, dtype=np.float32), atol=1e-6)


def test_blocks_are_concatenated_in_the_requested_order() -> None:
    matrix = build_features(select_blocks(["difference", "cosine"], BLOCKS), IMAGES, TEXTS, IMAGE_ROWS, TEXT_ROWS)
    assert matrix.blocks == {"difference": slice(0, 2), "cosine": slice(2, 3)}
    np.testing.assert_allclose(matrix.values[0], [0.6, 0.2, 0.8], atol=1e-6)


def test_no_pairs_give_an_empty_matrix() -> None:
    empty = np.empty(0, dtype=np.int64)
    assert build_features(select_blocks(["cosine"], BLOCKS), IMAGES, TEXTS, empty, empty).values.shape == (0, 1)


def test_the_chunk_size_does_not_change_the_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    image_rows = np.random.default_rng(0).integers(2, size=100)
    text_rows = np.zeros(100, dtype=np.int64)
    in_one_chunk = build_features(BLOCKS, IMAGES, TEXTS, image_rows, text_rows).values
    monkeypatch.setattr(blocks_module, "CHUNK_SIZE", 7)
    in_chunks = build_features(BLOCKS, IMAGES, TEXTS, image_rows, text_rows).values
    np.testing.assert_array_equal(in_chunks, in_one_chunk)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["cosin"], "unknown block 'cosin'. Expected one of concat, cosine"),
        (["cosine", "cosine"], "lists a block twice"),
        (["captioned"], "'captioned' is now called 'caption_neighbours'"),
    ],
)
def test_invalid_block_names_raise_an_error(names: list[str], message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        select_blocks(names, BLOCKS)
