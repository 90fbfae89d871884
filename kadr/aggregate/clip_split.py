"""Split of the rated pairs between CLIP training and the relevance model."""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from kadr.io.query_groups import query_groups

Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]

MODEL, CLIP, UNUSED = "model", "clip", "unused"


def split_pairs(
    pairs: pd.DataFrame, caption_images: Mapping[str, str], clip_share: float, seed: int
) -> "pd.Series[str]":
    """Assign each pair to the relevance model, to CLIP training, or to neither.

    Images and queries are split separately, so that the relevance model never sees an image or query that CLIP was
    trained on. A model trained on such pairs would overestimate CLIP's features, and its metrics would not hold for
    unrated images and queries. The hash of an ID decides the side, so that existing images and queries keep their side
    when new ones are added.

    Args:
        pairs: columns image_id and query_id.
        caption_images: image_id of the image that a query describes, by query_id, as far as known. Queries that
            describe the same image are kept together.
        clip_share: share of the images and of the queries for CLIP training, in 0..1.
        seed: seed of the hashes.

    Returns:
        (n_pairs,) MODEL, CLIP, or UNUSED if the image and the query are on different sides.
    """
    # The salts "photo" and "text" determine the split: another salt would move existing pairs.
    image_to_clip = _below_share(pairs["image_id"].tolist(), clip_share, f"{seed} photo")
    query_to_clip = _below_share(query_groups(pairs["query_id"].tolist(), caption_images), clip_share, f"{seed} text")
    sides = np.select([image_to_clip & query_to_clip, image_to_clip | query_to_clip], [CLIP, UNUSED], MODEL)
    return pd.Series(sides, index=pairs.index)


def _below_share(names: Sequence[str], share: float, salt: str) -> Mask:
    """Return whether the hash of each name, scaled to 0..1, is below the share: (n,)."""
    is_below = {name: _hash_to_unit(f"{salt} {name}") < share for name in set(names)}
    return np.fromiter((is_below[name] for name in names), dtype=bool, count=len(names))


def _hash_to_unit(text: str) -> float:
    """Hash a text to a number in 0..1."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
