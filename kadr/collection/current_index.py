"""Load the current index before an update, even if it is damaged or was written by another version of kadr."""

import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa

from kadr.errors import SchemaError, SearchError
from kadr.index import DESCRIPTION, Index
from kadr.index.index import REBUILD_ADVICE
from kadr.index.metadata_table import read_columns
from kadr.params import OcrScript

logger = logging.getLogger(__name__)

_KNOWN = ["path", "sha256"]


@dataclass(frozen=True)
class CurrentIndex:
    """The current version of an index.

    Attributes:
        index: the index, or None if no index exists or the index cannot be read.
        known: columns path and sha256 of its images. It is empty if the table cannot be read.
        addresses: addresses of the last update.
        exclude: patterns of the last update.
        vectors: file or folder of the vectors, if the images of the index exist only as vectors.
    """

    index: Index | None
    known: pa.Table
    addresses: Sequence[str]
    exclude: Sequence[str]
    vectors: str | None = None

    def settings(
        self, folder: Path, addresses: Sequence[str], exclude: Sequence[str] | None
    ) -> tuple[Sequence[str], Sequence[str]]:
        """Return the addresses and the patterns of an update. Missing values are those of the last update.

        Args:
            folder: path of the index for error messages.
            addresses: addresses that the user named. If empty, the addresses of the last update are used.
            exclude: patterns that the user named, or None. An empty pattern is ignored.

        Raises:
            SearchError: there are no addresses.
        """
        patterns = self.exclude if exclude is None else exclude
        if not addresses and not self.addresses and self.vectors:
            raise SearchError(
                f"{folder}: the images of the index exist only as vectors in {self.vectors}. Update the index with "
                f"`kadr index --vectors {self.vectors} --out {folder}`."
            )
        if not addresses and not self.addresses:
            if folder.exists():
                raise SearchError(
                    f"{folder}: the index does not contain readable addresses of folders. Name the folders to index "
                    "with `kadr index FOLDER`."
                )
            raise SearchError(
                f"{folder}: there is no index to update. Name the folders to index with `kadr index FOLDER`."
            )
        return list(addresses or self.addresses), [pattern for pattern in patterns if pattern]


def load_current_index(folder: Path) -> CurrentIndex:
    """Load the current index. What cannot be read is missing in the result.

    Args:
        folder: path of the link to the current version of the index.
    """
    index, known = None, pa.table({name: pa.array([], pa.string()) for name in _KNOWN})
    with suppress(OSError, KeyError, ValueError, pa.ArrowException):
        known = read_columns(folder, _KNOWN)
    if folder.exists():
        try:
            index = Index.load(folder, verify_all=True)
        except (SchemaError, SearchError) as error:
            reason = str(error).removesuffix(REBUILD_ADVICE).strip()
            logger.warning("%s This command rebuilds the index.", reason)
    addresses, exclude = read_settings(folder)
    vectors = _read_details(folder).get("vectors", {})
    return CurrentIndex(index, known, addresses, exclude, next(iter(vectors.values()), None))


def read_settings(folder: Path) -> tuple[list[str], list[str]]:
    """Return the addresses and the patterns of the last update of an index. Both are empty if they cannot be read.

    Args:
        folder: path of the link to the current version of the index.
    """
    details = _read_details(folder)
    addresses, exclude = ([str(value) for value in details.get(name, ())] for name in ("addresses", "exclude"))
    return addresses, exclude


def read_ocr_script(folder: Path) -> OcrScript | None:
    """Return the script of the texts that the last update read in the images, or None.

    Args:
        folder: path of the link to the current version of the index.
    """
    script = _read_details(folder).get("ocr")
    return next((known for known in get_args(OcrScript) if known == script), None)


def _read_details(folder: Path) -> dict[str, Any]:
    details = None
    with suppress(OSError, ValueError):
        details = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    return details if isinstance(details, dict) else {}
