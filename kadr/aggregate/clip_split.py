"""The aggregate part's division of the rated pairs: those that the CLIP learns from, and the relevance model's."""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from kadr.io.query_groups import query_groups

Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]

MODEL, CLIP, BETWEEN = "model", "clip", "between"


def divide(pairs: pd.DataFrame, own_image: Mapping[str, str], share: float, seed: int) -> "pd.Series[str]":
    """Deal photos and texts to the CLIP and to the relevance model, and every pair with them.

    What the CLIP learned of a photo or a text it would know again: the relevance model would trust it too much, and its
    figures would not hold for photos and texts that nobody rated. The hash of the id decides, so that a photo or a text
    stays where it is when others come.

    Args:
        pairs: columns image_id, query_id.
        own_image: query_id -> the photo that the text was written for, where known; such texts stay together.
        share: of the photos, and of the texts, that go to the CLIP; in 0..1.
        seed: of the hashes.

    Returns:
        (n_pairs,) MODEL: learned from and judged on by the relevance model; CLIP: learned from by the CLIP; BETWEEN: by
        neither, as the photo is of one part and the text of the other.
    """
    photo = _dealt(pairs["image_id"].tolist(), share, f"{seed} photo")
    text = _dealt(query_groups(pairs["query_id"].tolist(), own_image), share, f"{seed} text")
    return pd.Series(np.select([photo & text, photo | text], [CLIP, BETWEEN], MODEL), index=pairs.index)


def _dealt(names: Sequence[str], share: float, salt: str) -> Mask:
    """(n,) whether each name's hash, as a number in 0..1, lies below the share."""
    below = {name: _in_unit(f"{salt} {name}") < share for name in set(names)}
    return np.fromiter((below[name] for name in names), dtype=bool, count=len(names))


def _in_unit(name: str) -> float:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64
