"""Interface for containers of images and captions, and the samples that a container contains."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Sample:
    """One image of a dataset, with its captions.

    Attributes:
        place: place in the dataset, for messages, e.g. `00000.tar: 000000001.jpg`.
        name: file name of the image, or its path with slashes.
        content: bytes of the image file. None if the captions belong to an image that was read before.
        captions: captions of the image.
        ratings: cells of the columns rating, rater and time, if the dataset has ratings of the captions.
        other_name: name to use if another image has the name. "" if two images must not have the same name.
    """

    place: str
    name: str
    content: bytes | None
    captions: tuple[str, ...] = ()
    ratings: dict[str, str] = field(default_factory=dict)
    other_name: str = ""


@dataclass(frozen=True)
class SetAside:
    """A part of a dataset that is not imported.

    Attributes:
        place: place in the dataset, e.g. `00000.tar: ../evil.jpg`.
        reason: reason in one word, e.g. unsafe_name.
        detail: further description.
    """

    place: str
    reason: str
    detail: str = ""


class Container(Protocol):
    """Interface that a class must implement to import datasets of one kind.

    To add a kind of dataset, write a class that implements this interface, and register the class as an entry point in
    the `kadr.containers` group.

    Attributes:
        layout: description of the files, which is shown in error messages.
        priority: if several kinds fit, the kind with the lowest number is used.
    """

    layout: str
    priority: int

    def recognises(self, source: Path) -> bool:
        """Return whether a file or folder contains a dataset of this kind."""
        ...

    def parts(self, source: Path) -> list[str]:
        """Return the names of the parts of a dataset, such as its shards, relative to `source` and sorted.

        An interrupted import continues with the first part that is not complete.
        """
        ...

    def read(self, source: Path, part: str, max_bytes: int) -> Iterator[Sample | SetAside]:
        """Read one part of a dataset.

        Args:
            source: file or folder of the dataset.
            part: name of the part, as returned by `parts`.
            max_bytes: maximum size of an image in bytes.

        Yields:
            The images with their captions, and everything that cannot be read.
        """
        ...


def find_files(source: Path, *suffixes: str) -> list[str]:
    """Return the files with one of the suffixes, relative to `source` and sorted. System files are left out.

    The name of `source` itself is returned as "" if `source` is such a file.
    """
    from kadr.io.system_files import system_path_kind

    if source.is_file():
        return [""] if source.name.lower().endswith(suffixes) else []
    paths = (path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file())
    return sorted(path for path in paths if path.lower().endswith(suffixes) and not system_path_kind(path))


def part_path(source: Path, part: str) -> Path:
    """Return the path of a part. The part "" is `source` itself."""
    return source / part if part else source
