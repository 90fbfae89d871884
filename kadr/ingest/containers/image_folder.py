"""Reader for folders of image files with captions in metadata files, or in .txt and .json files beside the images."""

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from kadr.errors import InputError
from kadr.ingest.columns import column_key
from kadr.ingest.containers.container import Sample, SetAside, find_files
from kadr.ingest.containers.sample_columns import TextColumns, find_text_columns
from kadr.ingest.containers.sample_files import MAX_TEXT_BYTES, TEXT_SUFFIXES, SampleFiles, sample_key
from kadr.ingest.table_files import read_rows
from kadr.io.image_formats import IMAGE_SUFFIXES
from kadr.io.system_files import system_file_kind

_METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet", "metadata.json", "metadata.tsv")
_TABLES = (".csv", ".tsv", ".jsonl", ".parquet", ".xlsx")
_TABLE_HINT = "a table of captions is read from metadata.csv, or by `kadr import captions`"
_NAME_KEYS = ("filename", "imagefilename")


class ImageFolder:
    """Reader for folders of images, such as the `imagefolder` of the `datasets` package.

    A metadata file has the column file_name, with paths relative to the metadata file, and columns of captions. Images
    without metadata get the caption in the .txt or .json file with the same name.
    """

    layout = "folder of images with metadata.csv or metadata.jsonl (file_name, text), or with a .txt file per image"
    priority = 4

    def recognises(self, source: Path) -> bool:
        """Return whether a folder contains image files."""
        return source.is_dir() and bool(find_files(source, *IMAGE_SUFFIXES))

    def parts(self, source: Path) -> list[str]:
        """Return one part per folder that contains images or metadata."""
        return sorted({str(PurePosixPath(file).parent) for file in find_files(source, *IMAGE_SUFFIXES, *_METADATA)})

    def read(self, source: Path, part: str, max_bytes: int) -> Iterator[Sample | SetAside]:
        """Read the images of one folder, without its subfolders.

        Raises:
            InputError: a metadata file cannot be read, or several columns fit equally well.
        """
        metadata = _read_metadata(source, part)
        files = [
            file for file in sorted((source / part).iterdir()) if file.is_file() and not system_file_kind(file.name)
        ]
        images = [file for file in files if file.name.lower().endswith(IMAGE_SUFFIXES)]
        for file in images:
            yield from _read_image(source, str(PurePosixPath(part, file.name)), metadata, max_bytes)
        yield from _other_files(PurePosixPath(part), files, images)
        for path in _metadata_files(source / part):
            for name in _read_rows(path, PurePosixPath(part)):
                if not (source / name).is_file():
                    yield SetAside(name, "image_missing", f"listed in {path.relative_to(source)}")


def _other_files(folder: PurePosixPath, files: Sequence[Path], images: Sequence[Path]) -> Iterator[SetAside]:
    """Yield the files that are neither images nor metadata, and have not the same name as an image."""
    keys = {sample_key(image.name) for image in images}
    for file in files:
        is_text = file.name.lower().endswith(TEXT_SUFFIXES) and sample_key(file.name) in keys
        if file not in images and file.name not in _METADATA and not is_text:
            yield SetAside(str(folder / file.name), "other_file", _TABLE_HINT if file.suffix in _TABLES else "")


class _MetadataRow:
    """Captions and ratings in one row of a metadata file."""

    def __init__(self, row: "dict[str, str]", columns: TextColumns) -> None:
        self.captions = columns.captions_of(row)
        self.ratings = columns.ratings_of(row)


def _read_image(
    source: Path, name: str, metadata: dict[str, list[_MetadataRow]], max_bytes: int
) -> Iterator[Sample | SetAside]:
    """Read an image file and its captions."""
    path, sample = source / name, SampleFiles("")
    try:
        if path.stat().st_size > max_bytes:
            yield SetAside(name, "too_large", f"{path.stat().st_size:,} bytes")
            return
        sample.add(name, path.read_bytes())
        if name not in metadata:
            _add_caption_files(sample, path)
    except OSError as error:
        yield SetAside(name, "unreadable", error.strerror or str(error))
        return
    if name not in metadata or not sample.images:
        yield from sample.samples()
        return
    for row in metadata[name]:
        yield Sample(name, name, sample.images[name], row.captions, row.ratings)


def _add_caption_files(sample: SampleFiles, path: Path) -> None:
    """Add the captions in the text files that have the same name as an image."""
    for suffix in TEXT_SUFFIXES:
        text = path.with_name(sample_key(path.name) + suffix)
        if text.is_file() and text.stat().st_size <= MAX_TEXT_BYTES:
            sample.add(text.name, text.read_bytes())


def _read_metadata(source: Path, part: str) -> dict[str, list[_MetadataRow]]:
    """Read the metadata files of a folder and its parents. Return the rows of each image, by path in `source`."""
    metadata: dict[str, list[_MetadataRow]] = {}
    folder = PurePosixPath(part)
    for parent in dict.fromkeys((folder, *folder.parents)):
        for path in _metadata_files(source / parent):
            for name, rows in _read_rows(path, parent).items():
                metadata.setdefault(name, []).extend(rows)
    return metadata


def _metadata_files(folder: Path) -> list[Path]:
    return [folder / name for name in _METADATA if (folder / name).is_file()]


@functools.cache
def _read_rows(path: Path, folder: PurePosixPath) -> dict[str, list[_MetadataRow]]:
    """Read a metadata file. Return the rows of each image, by path in the dataset."""
    found: list[TextColumns] = []

    def select(header: Sequence[str]) -> dict[str, str] | None:
        names = [cell for cell in header if column_key(cell) in _NAME_KEYS]
        if not names:
            return None
        others = [cell for cell in header if cell and cell not in names]
        found.append(find_text_columns(others, others))
        return {"file_name": names[0]} | {cell: cell for cell in (*found[-1].captions, *found[-1].ratings.values())}

    try:
        rows = read_rows(path, select).rows
    except InputError as error:
        raise InputError(f"{error} A metadata file needs the column file_name.") from error
    metadata: dict[str, list[_MetadataRow]] = {}
    for record in rows.to_dict("records"):
        row = {str(column): str(cell) for column, cell in record.items()}
        name = str(PurePosixPath(folder, row["file_name"].replace("\\", "/")))
        metadata.setdefault(name, []).append(_MetadataRow(row, found[-1]))
    return metadata
