"""The state of an index that `kadr index` has not completed yet."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass

INDEXING = "indexing"
"""Entry of index.json with the IndexingState. A complete index does not have the entry."""


@dataclass(frozen=True)
class IndexingState:
    """The progress of an incomplete index.

    Attributes:
        n_done: number of image files that were processed when the version was written.
        n_total: number of image files at the indexed addresses.
        updated_at: time when the version was written, in seconds since the epoch.
    """

    n_done: int
    n_total: int
    updated_at: float

    @classmethod
    def now(cls, n_done: int, n_total: int) -> "IndexingState":
        """Return a state with the current time."""
        return cls(n_done, n_total, round(time.time(), 3))

    def to_details(self) -> dict[str, object]:
        """Return the entry of index.json."""
        return {INDEXING: asdict(self)}

    def describe(self) -> str:
        """Return a hint for a person who searches the index."""
        return (
            f"The index is incomplete: {self.n_done:,} of {self.n_total:,} images have been processed. If `kadr index` "
            "is not running, run it again to continue."
        )


def read_indexing_state(details: Mapping[str, object]) -> IndexingState | None:
    """Return the state of an incomplete index, or None if the index is complete.

    Args:
        details: additional entries of index.json.
    """
    state = details.get(INDEXING)
    if not isinstance(state, dict):
        return None
    try:
        return IndexingState(int(state["n_done"]), int(state["n_total"]), float(state["updated_at"]))
    except (KeyError, TypeError, ValueError):
        return None
