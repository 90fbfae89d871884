"""Find a dataset folder or an image folder that is nested one level too deep or has a slightly different name."""

import re
from collections.abc import Callable
from pathlib import Path

from kadr.io.image_formats import IMAGE_SUFFIXES
from kadr.io.system_files import system_file_kind

_FOLDER_NAMES = ("train_images", "test_images", "corpus_images")
"""Image folders that are not suggested in place of another image folder."""

_MAX_LEVELS = 3
"""Maximum depth of the search for a nested folder."""


def suggest_folder(source: Path, folder: str) -> str:
    """Return a sentence that says where a missing image folder probably is, or "" if no similar folder exists.

    Args:
        source: path of the dataset folder.
        folder: path of the missing image folder, relative to the dataset folder.
    """
    if (source / folder).exists():
        return f"{source / folder} is a file. Replace it by a folder."
    similar = [path for path in _subfolders((source / folder).parent) if _plain(path.name) == _plain(Path(folder).name)]
    if len(similar) == 1:
        return f"Rename the folder {similar[0].name} to {Path(folder).name}."
    nested = find_nested_folder(source, lambda path: (path / folder).is_dir())
    if nested:
        return f"Move the folder {nested / folder} to {source / folder}."
    others = [path.name for path in _subfolders(source) if path.name not in _FOLDER_NAMES and _contains_images(path)]
    if len(others) == 1:
        return f"If the folder {others[0]} contains these images, rename it to {folder}."
    if _contains_images(source):
        return f"{source} itself contains images. Move the images to {source / folder}."
    return ""


def find_nested_folder(source: Path, is_wanted: Callable[[Path], bool]) -> Path | None:
    """Return the only wanted subfolder of a folder, at most three levels deep, None if there are none or several.

    An archive often contains a single folder with its own name, so that `x.zip` is extracted to `x/x/`.
    """
    level = [source]
    for _ in range(_MAX_LEVELS):
        level = [path for folder in level for path in _subfolders(folder)]
        found = [path for path in level if is_wanted(path)]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def _subfolders(folder: Path) -> list[Path]:
    """Return the sorted subfolders of a folder, except system folders. A folder that cannot be read has none."""
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not system_file_kind(path.name))
    except OSError:
        return []


def _contains_images(folder: Path) -> bool:
    """Return whether a folder contains a file with the suffix of an image format, without its subfolders."""
    try:
        return any(path.name.lower().endswith(IMAGE_SUFFIXES) for path in folder.iterdir() if path.is_file())
    except OSError:
        return False


def _plain(name: str) -> str:
    """Return a folder name without case, spaces and punctuation, and with a singular last word."""
    return re.sub(r"[\W_]+", "", name.casefold()).removesuffix("s")
