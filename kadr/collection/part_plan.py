"""Divide the images of a large collection into parts, which several processes and machines can embed side by side.

The part of an image depends on the image ID, which is a hash of the path. The parts therefore have similar sizes, and
the rows of an index are the images of the first part, then those of the second part, and so on.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from kadr.collection.listing import list_images
from kadr.collection.set_aside import set_aside_table, write_set_aside
from kadr.collection.update import make_image_id
from kadr.errors import InputError, SearchError
from kadr.io.schemas import INDEXED_IMAGES, read_table, required, write_table
from kadr.io.storage import exclusive_lock, sha256
from kadr.io.text_files import write_json

MANIFEST = pa.schema([required("path", pa.string()), *(INDEXED_IMAGES.field(name) for name in ("bytes", "modified"))])
"""Schema of the files of one part: absolute path or URI, size in bytes, and modification time (UTC)."""

MAX_PARTS = 65_536

_PLAN = "plan.json"
_HASH_DIGITS = 8  # hexadecimal digits of an image ID that choose the part


@dataclass(frozen=True)
class PartPlan:
    """A collection of images that is divided into parts, in a folder that all machines share.

    Attributes:
        folder: folder of the plan.
        addresses: folders, files or fsspec addresses of the images.
        exclude: patterns of files and folders that are not indexed.
        n_parts: number of parts. Parts without images have no manifest.
        model: CLIP model whose vectors are computed outside of a project. None for the default model of the user.
        images: name of each part that contains images -> number of image files, in the order of the parts.
        manifests: name of each part that contains images -> SHA-256 of its manifest.
    """

    folder: Path
    addresses: Sequence[str]
    exclude: Sequence[str]
    n_parts: int
    model: str | None
    images: dict[str, int]
    manifests: dict[str, str]

    @classmethod
    def load(cls, folder: Path) -> "PartPlan":
        """Read a plan.

        Raises:
            InputError: the folder contains no plan.
        """
        try:
            return cls(folder, **json.loads((folder / _PLAN).read_text(encoding="utf-8")))
        except (OSError, TypeError, ValueError) as error:
            raise InputError(
                f"{folder}: the folder contains no readable {_PLAN} ({error}). Create it with `kadr scale plan ADDRESS "
                f"--out {folder}`."
            ) from error

    def manifest(self, part: str) -> Path:
        """Return the path of the manifest of a part."""
        return self.folder / "manifests" / f"{part}.parquet"

    def part_folder(self, part: str) -> Path:
        """Return the folder of the results of a part."""
        return self.folder / "parts" / part

    def read_files(self, part: str) -> pd.DataFrame:
        """Return the files of a part, sorted by path, with the columns of MANIFEST."""
        files: pd.DataFrame = read_table(self.manifest(part), MANIFEST).to_pandas()
        return files.assign(bytes=files["bytes"].astype("Int64"))

    def share(self, number: int, n_shares: int) -> list[str]:
        """Return the parts of one machine.

        Args:
            number: number of the machine, 1 to `n_shares`.
            n_shares: number of machines.
        """
        return list(self.images)[number - 1 :: n_shares]

    def check_parts(self, parts: Sequence[str]) -> None:
        """Raise InputError if a part does not exist."""
        for part in parts:
            if part not in self.images:
                names = list(self.images)
                raise InputError(
                    f"{part}: {self.folder} contains no images in a part of this name. Use a name from {names[0]} to "
                    f"{names[-1]}."
                )


def plan_parts(
    addresses: Sequence[str], folder: Path, n_parts: int, *, exclude: Sequence[str] = (), model: str | None = None
) -> PartPlan:
    """List the images at some addresses, divide them into parts, and write a manifest of each part.

    If the folder already contains a plan, its manifests are updated. A part whose manifest does not change stays
    embedded.

    Args:
        addresses: folders, files or fsspec addresses.
        folder: folder of the plan.
        n_parts: number of parts, 1 to MAX_PARTS.
        exclude: patterns of files and folders that are not indexed, with the syntax of a .gitignore file.
        model: CLIP model whose vectors are computed outside of a project. None for the default model of the user.

    Raises:
        InputError: an address cannot be read or contains no images, a pattern is invalid, or the folder contains a plan
            with another number of parts.
        SearchError: another process is writing the plan.
    """
    if (folder / _PLAN).exists() and (current := PartPlan.load(folder).n_parts) != n_parts:
        raise InputError(
            f"{folder}: the collection is divided into {current} parts, not {n_parts}. Use --parts {current}, or "
            "another folder with --out."
        )
    folder.mkdir(parents=True, exist_ok=True)
    busy = SearchError(f"{folder}: another process is writing the plan. Wait until that process ends.")
    with exclusive_lock(folder / "plan.lock", busy):
        listing = list_images(addresses, exclude)
        plan = PartPlan(folder, list(addresses), [pattern for pattern in exclude if pattern], n_parts, model, {}, {})
        for part, files in _divide(listing.files, n_parts):
            _write_manifest(files, plan.manifest(part))
            plan.images[part], plan.manifests[part] = len(files), sha256(plan.manifest(part))
        for path in (folder / "manifests").glob("*.parquet"):
            if path.stem not in plan.images:
                path.unlink()
        write_set_aside(set_aside_table(listing.files[:0].assign(status=""), listing.passed_over), folder)
        write_json(folder / _PLAN, {name: value for name, value in vars(plan).items() if name != "folder"})
    return plan


def _divide(files: pd.DataFrame, n_parts: int) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the name and the files of each part that is not empty, in the order of the image IDs."""
    hashes = np.fromiter(
        (int(make_image_id(path)[:_HASH_DIGITS], 16) for path in files["path"]), dtype=np.uint64, count=len(files)
    )
    numbers = (hashes * np.uint64(n_parts)) >> np.uint64(4 * _HASH_DIGITS)
    order = np.argsort(numbers, kind="stable")
    names, starts = np.unique(numbers[order], return_index=True)
    for number, rows in zip(names.tolist(), np.split(order, starts[1:]), strict=True):
        yield f"{number:0{len(str(n_parts - 1))}d}", files.iloc[rows]


def _write_manifest(files: pd.DataFrame, path: Path) -> None:
    """Write a manifest, unless the file contains the same rows."""
    table = pa.Table.from_pandas(files, preserve_index=False).select(MANIFEST.names).cast(MANIFEST)
    if not path.is_file() or not read_table(path, MANIFEST).equals(table.replace_schema_metadata(None)):
        write_table(table.replace_schema_metadata(None), path, MANIFEST)
