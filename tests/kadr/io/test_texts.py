"""One text: case, spaces, composition and trailing dots change nothing that a model sees."""

import numpy as np
import pytest

from kadr.features import Texts
from kadr.io.embeddings import Embeddings
from kadr.io.texts import normalise_text


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (" A\tcafe\u0301 \n", "a caf\u00e9"),
        ("Two dogs run .", "two dogs run"),
        ("TWO DOGS RUN...", "two dogs run"),
        ("No. 3 of 4", "no. 3 of 4"),
        ("Собака в снегу…", "собака в снегу"),
        ("...", "..."),
        ("", ""),
    ],
)
def test_normalise(text: str, seen: str) -> None:
    assert normalise_text(text) == seen
    assert normalise_text(seen) == seen


def test_features_see_the_texts_that_encoders_saw() -> None:
    vectors = {"clip": Embeddings(["q"], np.ones((1, 1), np.float32), {})}
    assert Texts.select(vectors, {"q": "A  dog ."}).texts == ["a dog"]
