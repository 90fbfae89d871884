"""Compare the images of the current index with a new listing, so that images are not removed by accident."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

import pandas as pd
import pyarrow as pa

from kadr.collection.listing import Listing, is_local
from kadr.collection.passed_over import is_below
from kadr.errors import FileProblem, SearchError

LARGE_SHARE = 0.1
"""Share of images that is too large to be removed without `--allow-removals`."""

FEW = 10
"""Number of images that can always be removed."""

_FILE_PROBLEMS = get_args(FileProblem)
_N_EXAMPLES = 3


class KnownImages:
    """The images of the current index, and the listing of an update.

    Args:
        known: columns path and sha256 of the images in the current index.
        listing: image files at the addresses of the update.
        folder: path of the index for error messages.
        allow_removals: whether a large share of the images can be removed.
    """

    def __init__(self, known: pa.Table, listing: Listing, folder: Path, *, allow_removals: bool = False) -> None:
        self._listing, self._folder, self._allow_removals = listing, folder, allow_removals
        rows = list(zip(*(known[name].to_pylist() for name in ("path", "sha256")), strict=True))
        self._sha256_by_path: dict[str, str] = dict(rows)
        self._row_by_path = {path: row for row, (path, _) in enumerate(rows)}

    def rows_to_keep(self, scans: pd.DataFrame) -> list[int]:
        """Return the rows of the images in the current index that cannot be read now.

        Args:
            scans: scans of the listed files, with the columns path and status.
        """
        listed = dict(zip(scans["path"], scans["status"], strict=True))
        unreadable = self._listing.passed_over.unreadable
        return [
            row
            for path, row in self._row_by_path.items()
            if (listed[path] in _FILE_PROBLEMS if path in listed else is_below(path, unreadable))
        ]

    def contains(self, paths: "pd.Series[str]") -> "pd.Series[bool]":
        """Return whether the current index contains an image at each path."""
        return paths.isin(self._sha256_by_path)

    def may_refuse(self, scans: pd.DataFrame) -> bool:
        """Return whether `check_removals` can refuse the update, depending on the files at new paths.

        Args:
            scans: scans of the listed files at the paths of the current index.
        """
        valid = scans[scans["status"] == "ok"]
        gone, n_known = self._find_gone(
            dict(zip(valid["path"], valid["sha256"], strict=True)), self.rows_to_keep(scans)
        )
        return is_large_share(len(gone), n_known) and not self._allow_removals

    def check_removals(self, scans: pd.DataFrame, kept: Sequence[int]) -> None:
        """Refuse an update that removes a large share of the images.

        Images outside the addresses, images that a rule leaves out, and moved images do not count.

        Args:
            scans: scans of the listed files, with the columns path, sha256 and status.
            kept: rows of the images that are kept although they cannot be read now.

        Raises:
            SearchError: a large share of the listed files disappeared since they were listed, or a large share of the
                images in the current index would be removed and `allow_removals` is false.
        """
        self.check_disappeared(scans)
        valid = scans[scans["status"] == "ok"]
        new = dict(zip(valid["path"], valid["sha256"], strict=True))
        gone, n_known = self._find_gone(new, kept)
        gone = self._drop_moved(gone, new)
        if is_large_share(len(gone), n_known) and not self._allow_removals:
            raise SearchError(
                f"{self._folder}: {len(gone):,} of {n_known:,} indexed images no longer exist or are damaged, e.g. "
                f"{_examples(gone)}. No image is removed from the index. If a disk or network folder is missing, "
                "connect it and run the command again. If you have deleted or moved these images, add "
                "--allow-removals."
            )

    def count_changes(self, new: Mapping[str, str], n_kept: int) -> dict[str, int]:
        """Compare the current index with the new index.

        Args:
            new: path -> SHA-256 of each image in the new index.
            n_kept: number of images that are kept although they cannot be read now.

        Returns:
            Number of unchanged, new, changed, moved, kept and gone images.
        """
        old = self._sha256_by_path
        added = Counter(new[path] for path in new.keys() - old.keys())
        gone = Counter(old[path] for path in old.keys() - new.keys())
        moved = (gone & added).total()
        unchanged = sum(old[path] == new[path] for path in old.keys() & new.keys())
        return {
            "unchanged": unchanged - n_kept,
            "new": added.total() - moved,
            "changed": len(old.keys() & new.keys()) - unchanged,
            "moved": moved,
            "kept": n_kept,
            "gone": gone.total() - moved,
        }

    def _find_gone(self, new: Mapping[str, str], kept: Sequence[int]) -> tuple[list[str], int]:
        """Return the paths of indexed images that are neither listed nor kept, and the number of indexed images.

        Images outside the addresses, and images that a rule leaves out, do not count.
        """
        kept_rows = set(kept)
        known = [path for path in self._sha256_by_path if self._listing.contains(path)]
        gone = [
            path
            for path in known
            if path not in new and self._row_by_path[path] not in kept_rows and not self._listing.leaves_out(path)
        ]
        return gone, len(known)

    def _drop_moved(self, gone: list[str], new: Mapping[str, str]) -> list[str]:
        """Return the paths whose content is not at a new path."""
        added = Counter(new[path] for path in new.keys() - self._sha256_by_path.keys())
        remaining = []
        for path in gone:
            added[self._sha256_by_path[path]] -= 1
            if added[self._sha256_by_path[path]] < 0:
                remaining.append(path)
        return remaining

    def check_disappeared(self, scans: pd.DataFrame) -> None:
        """Raise SearchError if a large share of the listed files disappeared since they were listed.

        Args:
            scans: scans of the listed files, with the columns path and status.
        """
        unreadable = scans.loc[scans["status"].isin(_FILE_PROBLEMS), "path"]
        gone = [path for path in unreadable if is_local(path) and not os.path.lexists(path)]
        if is_large_share(len(gone), len(scans)):
            raise SearchError(
                f"{self._folder}: {len(gone):,} of {len(scans):,} images disappeared while they were read, e.g. "
                f"{_examples(gone)}. No image is removed from the index. A disk or network folder may be disconnected. "
                "Connect it, and run the command again."
            )


def is_large_share(n: int, n_all: int) -> bool:
    """Return whether n of `n_all` images are too many to be missing by accident."""
    return n > FEW and n > LARGE_SHARE * n_all


def _examples(paths: list[str]) -> str:
    return ", ".join(sorted(paths)[:_N_EXAMPLES])
