"""Tests of the scorer with fake encoders."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kadr.errors import EncoderError, InputError, UndecodableError
from kadr.operations.scoring.scorer import Scorer, _check_identity
from tests.kadr.operations.scoring.fake_encoders import COLOURS, ColourImageEncoder, ColourNameEncoder


class Cosine:
    """Fake model that predicts the cosine similarity."""

    def predict(self, images, texts, image_rows, text_rows):
        return np.einsum("nd,nd->n", images.vectors["a"][image_rows], texts.vectors["a"][text_rows])


@pytest.fixture
def scorer() -> Scorer:
    return Scorer({"a": ColourImageEncoder()}, {"a": ColourNameEncoder()}, Cosine())


@pytest.fixture
def images(tmp_path: Path) -> dict[str, str]:
    """Paths of images with a single colour, by colour name."""
    for name, colour in COLOURS.items():
        Image.new("RGB", (8, 6), colour).save(tmp_path / f"{name}.png")
    return {name: str(tmp_path / f"{name}.png") for name in COLOURS}


def test_images_are_read_from_paths_and_bytes(scorer: Scorer, images: dict[str, str]) -> None:
    content = Path(images["blue"]).read_bytes()
    sources = [images["red"], images["green"], content, images["red"]]
    assert scorer.score(sources, ["red", "red", " blue ", "green"]).round(6).tolist() == [1, 0, 1, 0]


def test_the_order_of_pairs_does_not_change_scores(scorer: Scorer, images: dict[str, str]) -> None:
    pairs = [(image, text) for image in images.values() for text in COLOURS]
    scores = dict(zip(pairs, scorer.score(*zip(*pairs, strict=True)), strict=True))
    pairs.reverse()
    assert dict(zip(pairs, scorer.score(*zip(*pairs, strict=True)), strict=True)) == scores


def test_an_image_is_embedded_once(scorer: Scorer) -> None:
    distinct = []
    for shade in range(20):
        content = io.BytesIO()
        Image.new("RGB", (4, 4), (255, shade, 0)).save(content, format="PNG")
        distinct.append(content.getvalue())
    scorer.score([*distinct, *distinct], ["red"] * 40)
    assert scorer.images["a"].batch_sizes == [16, 4]


def test_no_pairs_have_no_scores(scorer: Scorer) -> None:
    assert scorer.score([], []).shape == (0,)


def test_invalid_images_and_texts_are_named(scorer: Scorer, images: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.jpg: the image cannot be read"):
        scorer.score([str(tmp_path / "gone.jpg")], ["red"])
    with pytest.raises(UndecodableError, match="image of 3 bytes"):
        scorer.score([b"abc"], ["red"])
    with pytest.raises(InputError, match="Row 1: the text is empty"):
        scorer.score([images["red"], images["red"]], ["red", " "])


def test_an_encoder_with_other_weights_is_refused() -> None:
    trained = ColourImageEncoder.identity.metadata
    _check_identity("a", ColourImageEncoder(), trained)
    with pytest.raises(EncoderError, match=r"'a' .* different weights_sha256"):
        _check_identity("a", ColourImageEncoder(), trained | {"weights_sha256": "x"})
