"""List the images in a folder of the dataset, including subfolders, and count the files that are not images."""

import logging
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kadr.errors import InputError
from kadr.ingest.folder_search import suggest_folder
from kadr.ingest.image_checks import ImageFile, unchecked_images
from kadr.ingest.rule_fixes import RULE_FIXES
from kadr.io.image_formats import IMAGE_SUFFIXES, PREFIX_LENGTH, is_image
from kadr.io.system_files import count_by_suffix, system_file_kind

logger = logging.getLogger(__name__)

NOT_UTF8 = "name_not_utf8"
"""Status of an image whose name is not valid UTF-8."""

_LINKED, _SPECIAL, _UNREADABLE = "linked folder", "special file", "unreadable folder"


@dataclass(frozen=True)
class ImageFolder:
    r"""The content of an image folder.

    Attributes:
        folder: path of the folder, relative to the dataset folder.
        split: split that contains the images.
        images: images with the initial status `missing`, sorted by path. The image_id is the path relative to the
            image folder, with slashes.
        rejected: images with the status `name_not_utf8`. Their names contain escapes such as \x8a.
        other_files: sorted paths of the files that are not images, relative to the image folder.
        n_system_files: number of system files, special files and folders that are passed over, by kind.
    """

    folder: str
    split: str
    images: list[ImageFile]
    rejected: list[ImageFile]
    other_files: list[str]
    n_system_files: dict[str, int]

    def count_passed_over(self) -> dict[str, int]:
        """Return the number of files and folders that are passed over, by kind or by suffix."""
        by_suffix = {suffix or "no suffix": n for suffix, n in count_by_suffix(self.other_files).items()}
        return self.n_system_files | by_suffix


def read_image_folder(source: str, folder: str, split: str, *, optional: bool = False) -> ImageFolder:
    """List an image folder and its subfolders without reading the images.

    A file is an image if it has the suffix of an image format, or starts like an image. System files and hidden files
    are passed over, even if they are images. A broken link with the suffix of an image counts as an image.

    Args:
        source: path of the dataset folder.
        folder: path of the image folder, relative to the dataset folder.
        split: split that contains the images.
        optional: whether the folder can be missing or empty, because the images exist only as vectors.

    Raises:
        InputError: the image folder is missing, cannot be read or contains no images.
    """
    root = Path(source) / folder
    if optional and not root.exists():
        return ImageFolder(folder, split, [], [], [], {})
    if not root.is_dir():
        raise InputError(
            f"The folder {root} does not exist. It must contain the {split} images. "
            f"{suggest_folder(Path(source), folder) or 'Add the folder, or correct ingest.source.'}"
        )
    passed_over: Counter[str] = Counter()
    names, rejected, others = [], [], []
    for entry in _walk(root, passed_over):
        name = os.fsencode(os.path.relpath(entry.path, root)).decode("utf-8", "backslashreplace")
        if not _is_image_file(entry):
            others.append(name)
        elif _is_utf8(entry.path):
            names.append(name)
        else:
            rejected.append(name)
    listing = ImageFolder(
        folder=folder,
        split=split,
        images=unchecked_images(source, folder, split, sorted(names)),
        rejected=unchecked_images(source, folder, split, sorted(rejected), NOT_UTF8),
        other_files=sorted(others),
        n_system_files=dict(sorted(passed_over.items())),
    )
    counts = ", ".join(f"{n:,} {kind}" for kind, n in listing.count_passed_over().items())
    invalid_names = (
        f"{root}: the names of {len(rejected):,} images are not valid UTF-8, such as {min(rejected, default='')}. "
        f"{RULE_FIXES[NOT_UTF8]}"
    )
    if rejected and not names:
        raise InputError(invalid_names)
    if not names and not optional:
        found = f"contains no images, but {counts}" if counts else "is empty"
        raise InputError(f"The folder {root} {found}. It must contain the {split} images. Add the images.")
    if rejected:
        logger.warning("%s", invalid_names)
    if counts:
        logger.info("%s: passed over files that are not images: %s", root, counts)
    return listing


def _walk(root: Path, passed_over: Counter[str]) -> Iterator[os.DirEntry[str]]:
    """Yield the regular files and the broken links in a folder and its subfolders. Count everything else by kind.

    Each linked folder is read once, unless it is inside `root` or contains `root`.
    """
    folders = [str(root)]
    visited = {os.path.realpath(root)}
    while folders:
        links: list[str] = []
        for entry in _scan(folders.pop(0), root, passed_over):
            if kind := system_file_kind(entry.name):
                passed_over[kind] += 1
            elif os.path.isdir(entry.path):
                (links if entry.is_symlink() else folders).append(entry.path)
            elif os.path.isfile(entry.path) or (entry.is_symlink() and not os.path.exists(entry.path)):
                yield entry
            else:
                passed_over[_SPECIAL] += 1
        for link in links:
            target = os.path.realpath(link)
            if any(_contains(known, target) or _contains(target, known) for known in visited):
                passed_over[_LINKED] += 1
            else:
                visited.add(target)
                folders.append(link)


def _scan(folder: str, root: Path, passed_over: Counter[str]) -> list[os.DirEntry[str]]:
    """Return the entries of a folder, sorted by name. Count a subfolder that cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        if folder == str(root):
            raise InputError(f"The folder {root} cannot be read ({error.strerror}). Check its permissions.") from error
        logger.warning("%s: the folder cannot be read (%s). Check its permissions.", folder, error.strerror)
        passed_over[_UNREADABLE] += 1
        return []


def _contains(folder: str, path: str) -> bool:
    return path == folder or path.startswith(f"{folder.rstrip(os.sep)}{os.sep}")


def _is_image_file(entry: os.DirEntry[str]) -> bool:
    """Return whether a file has the suffix of an image format, or starts like an image."""
    if entry.name.lower().endswith(IMAGE_SUFFIXES):
        return True
    try:
        with open(entry.path, "rb") as file:
            return is_image(file.read(PREFIX_LENGTH))
    except OSError:
        return False


def _is_utf8(path: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in path)
