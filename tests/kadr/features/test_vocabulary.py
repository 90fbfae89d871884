"""Tests of the caption vocabulary."""

import numpy as np
import pytest

from kadr.features.vocabulary import Vocabulary, lift

TEXTS = ["a dog, a Dog", "dog on grass", "the grass"] * 8


def test_the_vocabulary_has_frequent_words_without_stop_words() -> None:
    assert Vocabulary.fit(TEXTS).words == ["dog", "grass"]


def test_words_in_too_few_captions_are_left_out() -> None:
    assert Vocabulary.fit([*TEXTS, *["a rare cat"] * 7]).words == ["dog", "grass"]


@pytest.mark.parametrize("texts", [[], ["", "."], ["the of"]], ids=["no text", "no word", "stop words only"])
def test_texts_without_words_give_an_empty_vocabulary(texts: list[str]) -> None:
    vocabulary = Vocabulary.fit(texts)
    assert vocabulary.words == []
    assert vocabulary.word_rows(TEXTS).shape == (24, 0)


def test_word_rows_ignore_unknown_words_case_and_punctuation() -> None:
    rows = Vocabulary(["grass", "dog"]).word_rows(["Dog. A dog and GRASS", "cat", ""])
    assert rows.tolist() == [[0, 1], [-1, -1], [-1, -1]]


def test_shares_count_each_caption_once() -> None:
    shares = Vocabulary(["dog", "grass"]).shares(TEXTS[:3], np.array([0, 2, 3]))
    np.testing.assert_allclose(shares, [[1.0, 0.5], [0.0, 1.0]])


def test_lift_is_zero_at_the_mean_share_and_bounded_for_tiny_shares() -> None:
    mean_share = np.array([0.1, 0.1, 0.5], dtype=np.float32)
    share = np.array([0.1, -0.2, 1.0], dtype=np.float32)  # a regression can predict shares below 0
    np.testing.assert_allclose(lift(share, mean_share), [0.0, np.log(0.01), np.log(2.0)], atol=1e-6)
