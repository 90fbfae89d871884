"""Reader for WebDataset shards, as img2dataset writes them: tar files with images and .txt or .json files."""

import os
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from kadr.errors import InputError
from kadr.ingest.captions.caption_columns import find_caption_columns
from kadr.ingest.columns import column_key
from kadr.ingest.containers.container import Sample, SetAside, find_files, part_path
from kadr.ingest.containers.sample_files import (
    MAX_TEXT_BYTES,
    TEXT_SUFFIXES,
    SampleFiles,
    is_sample_file,
    sample_key,
)
from kadr.ingest.table_files import read_rows
from kadr.io.system_files import system_file_kind

_SUFFIXES = (".tar", ".tar.gz", ".tgz")


class TarShards:
    """Reader for tar files whose members form samples: files with the same path up to the first dot.

    If a sample has no caption, the caption comes from the Parquet file that img2dataset writes beside the shard.
    """

    layout = "WebDataset or img2dataset shards: .tar files with images, and captions in .txt or .json files"
    priority = 3

    def recognises(self, source: Path) -> bool:
        """Return whether a file is a tar file, or a folder contains tar files."""
        return bool(find_files(source, *_SUFFIXES))

    def parts(self, source: Path) -> list[str]:
        """Return the tar files."""
        return find_files(source, *_SUFFIXES)

    def read(self, source: Path, part: str, max_bytes: int) -> Iterator[Sample | SetAside]:
        """Read the samples of one shard in the order of its members. Nothing is written outside the output folder.

        If the shard is damaged, the samples before the damage are read.
        """
        path = part_path(source, part)
        captions = _ShardCaptions(_read_parquet_captions(path))
        files, current = SampleFiles(path.name), ""
        try:
            with tarfile.open(path, "r|*") as archive:
                for member in archive:
                    key = sample_key(member.name)
                    if key != current:
                        yield from captions.complete(current, files)
                        files, current = SampleFiles(path.name), key
                    _add_member(files, archive, member, max_bytes)
            yield from captions.complete(current, files)
            yield from captions.without_images(path.name)
            if not _is_complete(path):
                yield SetAside(path.name, "file_damaged", "the end of the archive is missing")
        except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
            yield from captions.complete(current, files)
            yield from captions.without_images(path.name)
            yield SetAside(path.name, "file_damaged", f"after the sample {current or 'none'}: {error}")


class _ShardCaptions:
    """Captions of a shard whose images and captions need not be adjacent.

    Args:
        parquet_captions: captions in the Parquet file beside the shard, by key.
    """

    def __init__(self, parquet_captions: dict[str, str]) -> None:
        self._parquet_captions = parquet_captions
        self._captions_before: dict[str, list[str]] = {}
        self._images_before: dict[str, list[str]] = {}

    def complete(self, key: str, files: SampleFiles) -> Iterator[Sample | SetAside]:
        """Yield the samples of adjacent members with the same key, with the captions of that key read so far."""
        if files.images:
            files.captions += self._captions_before.pop(key, [])
            if not files.captions and key in self._parquet_captions:
                files.captions.append(self._parquet_captions[key])
            if not files.captions:
                self._images_before[key] = list(files.images)
        elif files.captions:
            for name in self._images_before.get(key, []):
                yield Sample(f"{files.container}: {name}", name, None, tuple(files.captions), files.ratings)
            if key not in self._images_before:
                self._captions_before[key] = files.captions
        yield from files.samples()

    def without_images(self, container: str) -> Iterator[SetAside]:
        """Yield the captions that belong to no image."""
        for key, captions in self._captions_before.items():
            yield SetAside(f"{container}: {key}", "caption_without_image", captions[0])


def _add_member(files: SampleFiles, archive: tarfile.TarFile, member: tarfile.TarInfo, max_bytes: int) -> None:
    """Read a member of an archive into memory if it is a file that can belong to a sample."""
    place = f"{files.container}: {member.name}"
    limit = MAX_TEXT_BYTES if member.name.lower().endswith(TEXT_SUFFIXES) else max_bytes
    if member.isdir():
        return
    if not member.isreg():
        files.set_aside.append(SetAside(place, "not_a_file", "links and devices are not read"))
    elif any(system_file_kind(part) for part in member.name.split("/") if part not in (".", "..")):
        files.set_aside.append(SetAside(place, "system_file"))
    elif not is_sample_file(member.name):
        files.set_aside.append(SetAside(place, "other_file"))
    elif member.size > limit:
        files.set_aside.append(SetAside(place, "too_large", f"{member.size:,} bytes"))
    elif (file := archive.extractfile(member)) is not None:
        files.add(member.name, file.read())


def _is_complete(path: Path) -> bool:
    """Return whether an archive ends with a block of zeros. tarfile does not report that this block is missing."""
    if not path.name.lower().endswith(".tar"):
        return True  # a compressed file has a checksum
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(-min(file.tell(), tarfile.BLOCKSIZE), os.SEEK_END)
        return not any(file.read())


def _read_parquet_captions(shard: Path) -> dict[str, str]:
    """Read the captions in the Parquet file beside a shard, by key. Return no captions if there is no such file."""
    path = shard.with_name(shard.name.split(".")[0] + ".parquet")
    if not path.is_file():
        return {}

    def select(header: list[str]) -> dict[str, str] | None:
        keys = [name for name in header if column_key(name) == "key"]
        captions = find_caption_columns([name for name in header if name not in keys])
        return {"key": keys[0], "caption": captions[0]} if keys and captions else None

    try:
        rows: pd.DataFrame = read_rows(path, select).rows  # type: ignore[arg-type]
    except InputError:
        return {}
    return dict(zip(rows["key"], rows["caption"], strict=True))
