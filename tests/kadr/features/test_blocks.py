"""Feature blocks: their values, their names, and matrices of any number of pairs."""

import numpy as np
import pytest

from kadr.errors import ParamsError
from kadr.features import BLOCKS, Images, Texts, build_features
from kadr.features import blocks as blocks_module
from kadr.features.blocks import choose_blocks

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
ROWS = np.array([0, 1])
QUERY = np.array([0, 0])


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
def test_block(block: str, names: list[str], values: list[list[float]]) -> None:
    matrix = build_features(choose_blocks([block], BLOCKS), IMAGES, TEXTS, ROWS, QUERY)
    assert matrix.names == [f"{block}:{name}" for name in names]
    assert matrix.values.dtype == np.float32
    np.testing.assert_allclose(matrix.values, np.array(values, dtype=np.float32), atol=1e-6)


def test_blocks_stand_side_by_side() -> None:
    matrix = build_features(choose_blocks(["cosine", "difference"], BLOCKS), IMAGES, TEXTS, ROWS, QUERY)
    assert matrix.blocks == {"cosine": slice(0, 1), "difference": slice(1, 3)}
    np.testing.assert_allclose(matrix.values[0], [0.8, 0.6, 0.2], atol=1e-6)


def test_no_pairs() -> None:
    none = np.empty(0, dtype=np.int64)
    assert build_features(choose_blocks(["cosine"], BLOCKS), IMAGES, TEXTS, none, none).values.shape == (0, 1)


def test_parts_give_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    rows, queries = rng.integers(2, size=100), np.zeros(100, dtype=np.int64)
    whole = build_features(BLOCKS, IMAGES, TEXTS, rows, queries).values
    monkeypatch.setattr(blocks_module, "ROWS_AT_ONCE", 7)
    np.testing.assert_array_equal(build_features(BLOCKS, IMAGES, TEXTS, rows, queries).values, whole)


@pytest.mark.parametrize(
    ("names", "said"), [(["cosin"], "unknown block 'cosin'"), (["cosine", "cosine"], "named twice")]
)
def test_wrong_choice(names: list[str], said: str) -> None:
    with pytest.raises(ParamsError, match=said):
        choose_blocks(names, BLOCKS)
