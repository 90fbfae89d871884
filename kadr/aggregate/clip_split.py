"""Split the rated pairs between CLIP training and the relevance model."""

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
    trained on. If CLIP and the relevance model were trained on the same pairs, the relevance model would rely too much
    on CLIP's features, and the metrics would overestimate its quality on unrated images and queries. Each image and
    query is assigned by a hash of its ID, so that the assignment does not change when images or queries are added.

    Args:
        pairs: table with columns image_id and query_id, one row per pair.
        caption_images: mapping from query_id to the image_id of the image that the query describes. Queries that
            describe no known image can be omitted. Queries that describe the same image are assigned together.
        clip_share: fraction of images and fraction of queries to use for CLIP training, in 0..1.
        seed: integer that is hashed together with each ID.

    Returns:
        (n_pairs,) assignment of each pair: MODEL, CLIP or UNUSED. A pair is UNUSED if only its image or only its query
        is assigned to CLIP training.
    """
    # Do not change the salts "photo" and "text": existing pairs would be assigned differently.
    image_to_clip = _below_share(pairs["image_id"].tolist(), clip_share, f"{seed} photo")
    query_to_clip = _below_share(query_groups(pairs["query_id"].tolist(), caption_images), clip_share, f"{seed} text")
    sides = np.select([image_to_clip & query_to_clip, image_to_clip | query_to_clip], [CLIP, UNUSED], MODEL)
    return pd.Series(sides, index=pairs.index)


def _below_share(names: Sequence[str], share: float, salt: str) -> Mask:
    """Return whether the hash of each name, scaled to 0..1, is below the share: (n,) bool."""
    is_below = {name: _hash_to_unit(f"{salt} {name}") < share for name in set(names)}
    return np.fromiter((is_below[name] for name in names), dtype=bool, count=len(names))


def _hash_to_unit(text: str) -> float:
    """Hash a string to a number in 0..1."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
