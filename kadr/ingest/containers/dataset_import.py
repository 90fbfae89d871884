"""Import a dataset that stores images in containers into a plain folder of images, captions and ratings."""

import csv
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kadr.errors import InputError
from kadr.ingest.containers.container import SetAside, part_path
from kadr.ingest.containers.container_detection import detect_container
from kadr.ingest.containers.import_folder import IMAGES, ImportedRow, ImportFolder, PartRecord
from kadr.ingest.containers.megabyte_progress import MEGABYTE, MegabyteProgress
from kadr.ingest.containers.part_import import PartImport
from kadr.params import DecodingParams
from kadr.progress import progress

CAPTIONS_FILE, RATINGS_FILE, SET_ASIDE_FILE = "captions.csv", "ratings_long.csv", "set_aside.csv"
TRAIN_IMAGES = "train_images"
_OUTPUT = {IMAGES, TRAIN_IMAGES, CAPTIONS_FILE, RATINGS_FILE, SET_ASIDE_FILE}
"""Files and folders in the output folder."""

_RATING_COLUMNS = ("rating", "rater", "time")


@dataclass(frozen=True)
class ImportSummary:
    """Result of a dataset import.

    Attributes:
        n_images: number of images.
        n_captions: number of captions or ratings.
        n_without_captions: number of images without captions, or without ratings if the dataset has ratings.
        images: folder of the images.
        table: table of captions or ratings. None if the dataset has no captions.
        set_aside: number of parts of the dataset that were not imported, by reason.
        resumed: number of shards or files that an earlier, interrupted run had imported.
    """

    n_images: int
    n_captions: int
    n_without_captions: int
    images: Path
    table: Path | None
    set_aside: dict[str, int]
    resumed: int


def import_dataset(source: Path, out: Path, limits: DecodingParams, *, force: bool = False) -> ImportSummary:
    """Copy the images of a dataset to `out/images`, and write their captions to `out/captions.csv`.

    If the dataset has ratings of the captions, the images are in `out/train_images` and the ratings are in
    `out/ratings_long.csv`. Everything that cannot be imported is listed in `out/set_aside.csv`. An interrupted import
    resumes with the next shard or file of the dataset. The output folder appears when all images are imported.

    Args:
        source: file or folder of the dataset.
        out: output folder.
        limits: settings of the image decoder.
        force: whether to replace `out` if it exists.

    Raises:
        InputError: the dataset cannot be read or contains no images, or `out` exists and must not be replaced.
    """
    _check_output_folder(source, out, force=force)
    container = detect_container(source)
    parts = container.parts(source)
    fingerprints = {part: _fingerprint(part_path(source, part)) for part in parts}
    folder = ImportFolder(out, {"source": str(source.resolve()), "parts": fingerprints})
    taken: dict[str, str] = {}
    names: dict[str, str] = {}
    records: list[PartRecord] = []
    resumed = 0
    sizes = [sum(size for size, _ in fingerprint) for fingerprint in fingerprints.values()]
    with progress("import dataset (MB)", max(1, sum(sizes) // MEGABYTE)) as advance:
        megabytes = MegabyteProgress(advance)
        for part, size in zip(parts, sizes, strict=True):
            record = folder.read_record(part)
            if record is None:
                record = PartImport(folder, taken, names, limits).run(container, source, part, megabytes.add)
                folder.write_record(part, record)
            else:
                resumed += 1
            taken |= record.images
            names |= {digest: name for name, digest in record.images.items() if digest not in names}
            records.append(record)
            megabytes.complete_part(size)
    return _finish(folder, out, source, records, resumed)


def _check_output_folder(source: Path, out: Path, *, force: bool) -> None:
    """Check that the output folder can be written or replaced without a loss of data.

    Raises:
        InputError: the folder overlaps with the dataset, exists although `force` is false, or contains other data.
    """
    dataset, target = source.resolve(), out.resolve()
    is_inside = out.exists() and dataset.is_dir() and target.is_relative_to(dataset)
    if dataset.is_relative_to(target) or (is_inside and force):
        raise InputError(
            f"The output folder {out} overlaps with the dataset {source}. Choose another folder with --out."
        )
    if not out.exists():
        return
    if not force:
        raise InputError(
            f"The folder {out} already exists. Choose another folder with --out, or replace it with --force."
        )
    others = sorted(path.name for path in out.iterdir() if path.name not in _OUTPUT) if out.is_dir() else [out.name]
    if others:
        raise InputError(
            f"{out} contains {', '.join(others[:5])}, which `kadr import dataset` did not write. Choose another folder "
            "with --out, or move these files away."
        )


def _fingerprint(path: Path) -> list[list[int]]:
    """Return the size and the modification time of a file, or of each file in a folder."""
    files = [path] if path.is_file() else sorted(file for file in path.iterdir() if file.is_file())
    return [[file.stat().st_size, file.stat().st_mtime_ns] for file in files]


def _finish(folder: ImportFolder, out: Path, source: Path, records: list[PartRecord], resumed: int) -> ImportSummary:
    """Write the tables, and rename the unfinished folder to the output folder."""
    n_images = len({name for record in records for name in record.images})
    set_aside = [entry for record in records for entry in record.set_aside]
    if not n_images:
        examples = "; ".join(f"{entry.place}: {entry.reason} {entry.detail}".strip() for entry in set_aside[:3])
        raise InputError(
            f"{source}: none of the images can be imported, expected at least one. "
            f"{examples or 'The dataset is empty'}. Correct the dataset, or download it again."
        )
    rows = [row for record in records for row in record.rows]
    images, table, n_rows = IMAGES, None, 0
    captioned = {row.image for row in rows}
    if rated := [row for row in rows if row.ratings.get("rating")]:
        images, table, n_rows = TRAIN_IMAGES, RATINGS_FILE, len(rated)
        captioned = {row.image for row in rated}
        _write_ratings(folder.path, rated)
        set_aside += [
            SetAside(row.image, "caption_without_rating", row.caption) for row in rows if not row.ratings.get("rating")
        ]
    elif captions := dict.fromkeys((row.image, row.caption) for row in rows):
        table, n_rows = CAPTIONS_FILE, len(captions)
        _write_csv(folder.path / CAPTIONS_FILE, ("image", "caption"), captions)
    entries = ((_escape(entry.place), entry.reason, entry.detail) for entry in set_aside)
    _write_csv(folder.path / SET_ASIDE_FILE, ("place", "reason", "detail"), entries)
    folder.publish(out)
    counts = Counter(entry.reason for entry in set_aside)
    return ImportSummary(
        n_images=n_images,
        n_captions=n_rows,
        n_without_captions=n_images - len(captioned),
        images=out / images,
        table=out / table if table else None,
        set_aside=dict(sorted(counts.items())),
        resumed=resumed,
    )


def _write_ratings(folder: Path, rows: list[ImportedRow]) -> None:
    """Write the ratings in the long format, and rename the image folder as this format requires."""
    if (folder / IMAGES).is_dir():  # false if an earlier run was interrupted after this line
        (folder / IMAGES).rename(folder / TRAIN_IMAGES)
    cells = ([row.image, row.caption, *(row.ratings.get(name, "") for name in _RATING_COLUMNS)] for row in rows)
    _write_csv(folder / RATINGS_FILE, ("image", "text", *_RATING_COLUMNS), cells)


def _escape(place: str) -> str:
    r"""Replace bytes that are not valid in UTF-8 by escapes such as \x8a."""
    return place.encode(errors="surrogateescape").decode(errors="backslashreplace")


def _write_csv(path: Path, header: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Write a CSV file. Characters that are not valid in UTF-8 are escaped."""
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
