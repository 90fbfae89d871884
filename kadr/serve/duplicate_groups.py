"""Group the near-duplicates of a whole index, with the best image of each group first."""

from collections.abc import Sequence
from threading import Lock

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kadr.index import Index
from kadr.ingest.near_duplicates import search_hashes, signatures_agree
from kadr.io.embeddings import Rows
from kadr.io.image_signature import stack_signatures

Groups = Sequence[Rows]
"""Row numbers of the images of each group, the best image first. Large groups come first."""


def group_duplicates(table: pa.Table, bits: int) -> Groups:
    """Group near-duplicates so that every image of a group is a near-duplicate of the best image of the group.

    The best image is the largest one. Of several images of this size, it is the sharpest, and then the oldest. A chain
    of near-duplicates is not joined to one group, because its ends can differ. It is therefore safe to keep only the
    best image of each group.

    Args:
        table: image metadata of the index, schema INDEXED_IMAGES.
        bits: maximum number of bits in which the perceptual hashes of two near-duplicates differ.

    Returns:
        The groups of at least two images.
    """
    rows = _rank_by_quality(table)
    ranked = table.select(["phash", "signature"]).take(rows)
    keys = list(zip(ranked["phash"].to_pylist(), ranked["signature"].to_pylist(), strict=True))
    members: dict[tuple[str, bytes | None], list[int]] = {}  # images with the same hash and the same signature
    for position, key in enumerate(keys):
        members.setdefault(key, []).append(position)
    hashes = np.array([int(phash, 16) for phash, _ in members], dtype=np.uint64)
    signatures = stack_signatures([signature for _, signature in members])
    positions = list(members.values())
    best = np.full(len(hashes), -1)  # number of the key that represents the group
    for batch in search_hashes(hashes, hashes, bits):
        left, right = _new_pairs(batch[0], batch[1], best)
        agree = signatures_agree(signatures, signatures, left, right)
        left, right = left[agree], right[agree]
        starts = np.flatnonzero(np.diff(left, prepend=-1))
        for number, near in zip(left[starts].tolist(), np.split(right, starts[1:]), strict=False):
            if best[number] < 0:  # no better image represents this key
                best[near[best[near] < 0]] = number
    groups: dict[int, list[int]] = {}
    for number, representative in enumerate(best.tolist()):
        groups.setdefault(representative if representative >= 0 else number, []).extend(positions[number])
    found = [rows[sorted(group)] for group in groups.values() if len(group) > 1]
    return sorted(found, key=len, reverse=True)


def _new_pairs(left: Rows, right: Rows, best: Rows) -> tuple[Rows, Rows]:
    """Return the pairs of a better and a worse key that belong to no group yet."""
    wanted = (left < right) & (best[left] < 0) & (best[right] < 0)
    return left[wanted], right[wanted]


class DuplicateGroups:
    """Compute the groups of near-duplicates of an index once, and keep them until another index is loaded."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._cached: tuple[Index, int, Groups] | None = None

    def groups(self, index: Index, bits: int) -> Groups:
        """Return the groups of near-duplicates of an index, as in `group_duplicates`.

        Args:
            index: index whose images are grouped.
            bits: maximum number of bits in which the perceptual hashes of two near-duplicates differ.
        """
        with self._lock:
            if self._cached is None or self._cached[0] is not index or self._cached[1] != bits:
                self._cached = (index, bits, group_duplicates(index.table, bits))
            return self._cached[2]


def _rank_by_quality(table: pa.Table) -> npt.NDArray[np.int64]:
    """Return the row numbers of the images that have a perceptual hash, the best image first."""
    columns = table.select(["row", "image_id", "width", "height", "blur", "taken", "modified"])
    columns = columns.append_column("pixels", pc.multiply(table["width"].cast(pa.int64()), table["height"]))
    time = pc.coalesce(table["taken"].cast(pa.timestamp("us")), table["modified"])
    columns = columns.append_column("time", time)
    hashed = columns.filter(pc.is_valid(table["phash"]))
    order = pc.sort_indices(
        hashed,
        sort_keys=[("pixels", "descending"), ("blur", "descending"), ("time", "ascending"), ("image_id", "ascending")],
    )
    return np.asarray(hashed["row"].take(order), dtype=np.int64)
