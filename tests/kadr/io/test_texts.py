"""Tests of the normalisation of queries and captions."""

import numpy as np
import pytest

from kadr.features import Texts
from kadr.io.embeddings import Embeddings
from kadr.io.texts import normalise_text


@pytest.mark.parametrize(
    ("text", "expected"),
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
def test_case_whitespace_and_final_dots_are_normalised(text: str, expected: str) -> None:
    assert normalise_text(text) == expected
    assert normalise_text(expected) == expected


def test_features_read_normalised_texts() -> None:
    vectors = {"clip": Embeddings(["q"], np.ones((1, 1), np.float32), {})}
    assert Texts.select(vectors, {"q": "A  dog ."}).texts == ["a dog"]
