"""The aggregate part's division of the rated pairs: those that the CLIP learns from, and the relevance model's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kadr.folds import Mask, assign_folds, query_groups


@dataclass(frozen=True)
class Parts:
    """Rated pairs in parts that share no photo and no text.

    Attributes:
        model: columns of RELEVANCE; what the relevance model learns from and is judged on.
        clip: likewise; what the CLIP learns from.
        n_between: pairs in neither part: a photo of one with a text of the other.
    """

    model: pd.DataFrame
    clip: pd.DataFrame
    n_between: int


def divide(relevance: pd.DataFrame, own_image: Mapping[str, str], share: float, seed: int) -> Parts:
    """Deal photos and texts by lot to the CLIP and to the relevance model.

    What the CLIP learned of a photo or a text it would know again: the relevance model would trust it too much, and its
    figures would not hold for photos and texts that nobody rated.

    Args:
        relevance: table RELEVANCE.
        own_image: query_id -> the photo that the text was written for, where known; such texts stay together.
        share: of the photos, and of the texts, that go to the CLIP; 0..1.
        seed: of the lots.
    """
    photo = _drawn(relevance["image_id"].tolist(), share, seed)
    text = _drawn(query_groups(relevance["query_id"].tolist(), own_image), share, seed + 1)
    model, clip = (relevance[part].reset_index(drop=True) for part in (~photo & ~text, photo & text))
    return Parts(model, clip, int((photo != text).sum()))


def _drawn(groups: Sequence[str], share: float, seed: int) -> Mask:
    """Whether the lot falls on each row's group, which it does on a share of the groups."""
    n_groups = len(set(groups))
    return np.asarray(assign_folds(groups, max(n_groups, 1), seed) < round(share * n_groups))
