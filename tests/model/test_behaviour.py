"""How the trained model behaves on photos and texts that it never saw."""

import re

import numpy as np
import pytest

from tests.model.conftest import Asked

pytestmark = pytest.mark.slow

SWAPS = {  # a noun and one that names something else; floors far above chance are asked of many captions
    "dog": "car",
    "dogs": "cars",
    "man": "dog",
    "men": "horses",
    "boy": "bird",
    "girl": "bicycle",
    "woman": "dog",
    "people": "horses",
    "child": "motorcycle",
    "children": "sheep",
}


def test_a_true_caption_beats_another_photos(asked: Asked) -> None:
    photos, captions = list(asked.caption_of), list(asked.caption_of.values())
    n = len(photos)
    scores = asked.score([(photo, text) for photo in photos for text in captions]).reshape(n, n)
    assert (scores >= 0).all()
    assert (scores <= 1).all()
    own = np.diag(scores)[:, None]
    better = ((own > scores).sum() + ((own == scores).sum() - n) / 2) / (n * (n - 1))
    assert better > 0.85  # 0.5 by chance
    assert np.median((scores > own).sum(axis=1)) < n / 10


@pytest.mark.parametrize(
    "change", [str.upper, str.title, lambda text: f"{text.rstrip(' .')}...", lambda text: f"  {text.rstrip(' .')} . "]
)
def test_case_and_trailing_dots_change_nothing(asked: Asked, change: object) -> None:
    assert callable(change)
    pairs = list(asked.caption_of.items())[:20]
    np.testing.assert_array_equal(asked.score([(photo, change(text)) for photo, text in pairs]), asked.score(pairs))


def test_a_swapped_noun_lowers_the_score(asked: Asked) -> None:
    nouns = re.compile(rf"\b({'|'.join(SWAPS)})\b")
    pairs = [(photo, text) for photo, text in asked.caption_of.items() if nouns.search(text)]
    swapped = [(photo, nouns.sub(lambda found: SWAPS[found[0]], text)) for photo, text in pairs]
    assert len(pairs) > 40
    lower = asked.score(swapped) < asked.score(pairs)
    assert lower.mean() > 0.75


def test_an_unrelated_text_is_far_below(asked: Asked) -> None:
    photos = list(asked.caption_of)
    own = asked.score(list(asked.caption_of.items()))
    other = asked.score([(photo, "a bowl of soup on a kitchen table") for photo in photos])
    assert own.mean() > 2 * other.mean()
