"""The scorer on fake encoders: photos by path or bytes, each embedded once, and errors that name the row."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kadr.encoders import Identity, ImageEncoder
from kadr.errors import EncoderError, InputError, UndecodableError
from kadr.operations.scoring.scorer import Scorer, _check_same

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


class Colours(ImageEncoder):
    """A photo's mean colour; a text's colour by its name."""

    identity = Identity("colours", "a", "b", "c", "fp32")
    dim = 3
    side = 8

    def __init__(self) -> None:
        self.encoded: list[int] = []

    def prepare(self, image: Image.Image) -> np.ndarray:
        return np.asarray(image, dtype=np.float32).mean(axis=(0, 1)).reshape(3, 1, 1)

    def encode(self, photos: list[np.ndarray]) -> np.ndarray:
        self.encoded.append(len(photos))
        vectors = np.stack(photos).reshape(-1, 3)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class Words:
    """A text's colour by its name."""

    def transform(self, texts: list[str]) -> np.ndarray:
        return np.array([COLOURS[text] for text in texts], dtype=np.float32) / 255


class Cosine:
    """The cosine as the relevance."""

    def predict(self, images, texts, image_rows, text_rows):
        return np.einsum("nd,nd->n", images.vectors["a"][image_rows], texts.vectors["a"][text_rows])


@pytest.fixture
def scorer() -> Scorer:
    return Scorer({"a": Colours()}, {"a": Words()}, Cosine())


@pytest.fixture
def photos(tmp_path: Path) -> dict[str, str]:
    for name, colour in COLOURS.items():
        Image.new("RGB", (8, 6), colour).save(tmp_path / f"{name}.png")
    return {name: str(tmp_path / f"{name}.png") for name in COLOURS}


def test_a_row_has_its_own_photo_and_text(scorer: Scorer, photos: dict[str, str]) -> None:
    content = Path(photos["blue"]).read_bytes()
    rows = [photos["red"], photos["green"], content, photos["red"]]
    assert scorer.score(rows, ["red", "red", " blue ", "green"]).round(6).tolist() == [1, 0, 1, 0]


def test_the_order_of_rows_changes_nothing(scorer: Scorer, photos: dict[str, str]) -> None:
    rows = [(photo, text) for photo in photos.values() for text in COLOURS]
    scores = dict(zip(rows, scorer.score(*zip(*rows, strict=True)), strict=True))
    rows.reverse()
    assert dict(zip(rows, scorer.score(*zip(*rows, strict=True)), strict=True)) == scores


def test_a_photo_is_embedded_once_and_in_batches(scorer: Scorer, photos: dict[str, str]) -> None:
    many = []
    for i in range(20):
        content = io.BytesIO()
        Image.new("RGB", (4, 4), (255, i, 0)).save(content, format="PNG")
        many.append(content.getvalue())
    scorer.score([*many, *many], ["red"] * 40)
    assert scorer.images["a"].encoded == [16, 4]


def test_no_rows(scorer: Scorer) -> None:
    assert scorer.score([], []).shape == (0,)


def test_what_cannot_be_scored_is_named(scorer: Scorer, photos: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.jpg: the photo cannot be read"):
        scorer.score([str(tmp_path / "gone.jpg")], ["red"])
    with pytest.raises(UndecodableError, match="a photo of 3 bytes: the photo does not decode"):
        scorer.score([b"abc"], ["red"])
    with pytest.raises(InputError, match="row 1: the text is empty"):
        scorer.score([photos["red"], photos["red"]], ["red", " "])


def test_other_weights_than_those_of_the_training_are_refused() -> None:
    trained = Colours.identity.metadata
    _check_same("a", Colours(), trained)
    with pytest.raises(EncoderError, match=r"'a' .* another weights_sha256"):
        _check_same("a", Colours(), trained | {"weights_sha256": "x"})
