"""Behaviour of the trained model on images and texts outside its training data."""

import re
from collections.abc import Callable

import numpy as np
import pytest

from tests.model.conftest import TrainedModel

pytestmark = pytest.mark.slow

SWAPPED_NOUNS = {
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


def test_the_caption_of_an_image_scores_higher_than_other_captions(trained: TrainedModel) -> None:
    image_ids, captions = list(trained.captions), list(trained.captions.values())
    n = len(image_ids)
    scores = trained.score([(image_id, text) for image_id in image_ids for text in captions]).reshape(n, n)
    assert (scores >= 0).all()
    assert (scores <= 1).all()
    own = np.diag(scores)[:, None]
    auc = ((own > scores).sum() + ((own == scores).sum() - n) / 2) / (n * (n - 1))
    assert auc > 0.85  # chance level: 0.5
    assert np.median((scores > own).sum(axis=1)) < n / 10


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(str.upper, id="upper case"),
        pytest.param(str.title, id="title case"),
        pytest.param(lambda text: f"{text.rstrip(' .')}...", id="trailing dots"),
        pytest.param(lambda text: f"  {text.rstrip(' .')} . ", id="spaces"),
    ],
)
def test_case_spaces_and_trailing_dots_change_no_score(trained: TrainedModel, change: Callable[[str], str]) -> None:
    pairs = list(trained.captions.items())[:20]
    changed = [(image_id, change(text)) for image_id, text in pairs]
    np.testing.assert_array_equal(trained.score(changed), trained.score(pairs))


def test_swapping_a_noun_lowers_the_score(trained: TrainedModel) -> None:
    nouns = re.compile(rf"\b({'|'.join(SWAPPED_NOUNS)})\b")
    pairs = [(image_id, text) for image_id, text in trained.captions.items() if nouns.search(text)]
    swapped = [(image_id, nouns.sub(lambda match: SWAPPED_NOUNS[match[0]], text)) for image_id, text in pairs]
    assert len(pairs) > 40
    lower = trained.score(swapped) < trained.score(pairs)
    assert lower.mean() > 0.75  # chance level: 0.5


def test_an_unrelated_text_scores_less_than_half_as_high_as_the_caption(trained: TrainedModel) -> None:
    own = trained.score(list(trained.captions.items()))
    unrelated = trained.score([(image_id, "a bowl of soup on a kitchen table") for image_id in trained.captions])
    assert own.mean() > 2 * unrelated.mean()
