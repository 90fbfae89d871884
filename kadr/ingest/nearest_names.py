"""Describe image names in tables that have no file, together with the most similar file."""

import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches

from kadr.ingest.image_folders import ImageFolder
from kadr.ingest.name_forms import remove_suffix, remove_zeros
from kadr.io.invisible_characters import visible

_MIN_SIMILARITY = 0.5
_N_EXAMPLES = 3
_NOT_SIMILAR = "no file has a similar name"


def describe_unmatched(names: Collection[str], ambiguous: Mapping[str, str], folder: ImageFolder) -> dict[str, str]:
    """Return sentences about the names that have no file, with examples and the fix, by status of these names.

    Args:
        names: names in the tables without a file.
        ambiguous: reason for each of these names that fits several files.
        folder: content of the image folder.
    """
    sentences = {}
    if ambiguous:
        sentences["name_ambiguous"] = (
            f"{len(ambiguous):,} image names in the tables are ambiguous: {ambiguous[min(ambiguous)]}. Write the path "
            f"of the image in {folder.folder} into the table."
        )
    if missing := sorted(set(names) - ambiguous.keys()):
        examples = "; ".join(_describe_nearest(name, folder) for name in missing[:_N_EXAMPLES])
        first = min((image.image_id for image in folder.images), default=None)
        file_form = f"The files have names such as {_quote(first)}. " if first and _NOT_SIMILAR in examples else ""
        sentences["missing"] = (
            f"{len(missing):,} image names in the tables have no file in {folder.folder}: {examples}. {file_form}"
            "Correct the names in the tables, or add the images."
        )
    return sentences


def find_nearest(name: str, files: Collection[str]) -> str | None:
    """Return the file whose name is most similar to a name in a table, None if no file is similar.

    A file that ends with the same number, or contains the whole name, precedes files with similar letters.

    >>> find_nearest("42", ["COCO_val2014_000000000042.jpg", "COCO_val2014_000000000043.jpg"])
    'COCO_val2014_000000000042.jpg'
    >>> find_nearest("beech.jpg", ["bee.jpg", "beach.jpg"])
    'beach.jpg'
    """
    stem = remove_zeros(name.replace("\\", "/").rsplit("/", 1)[-1])
    stems = {file: remove_suffix(file.rsplit("/", 1)[-1]) for file in sorted(files)}
    pattern = re.compile(rf"(^|\D)0*{stem}$" if stem.isdecimal() else re.escape(stem))
    contained = [file for file, other in stems.items() if (stem.isdecimal() or len(stem) > 1) and pattern.search(other)]
    if contained:
        return min(contained, key=len)
    close = get_close_matches(stem, stems.values(), n=1, cutoff=_MIN_SIMILARITY)
    return next((file for file, other in stems.items() if close and other == close[0]), None)


def _describe_nearest(name: str, folder: ImageFolder) -> str:
    if name in folder.other_files:
        return f"{_quote(name)} is a file, but not an image"
    nearest = find_nearest(name, [image.image_id for image in folder.images])
    return f"{_quote(name)} (the nearest file is {_quote(nearest)})" if nearest else f"{_quote(name)} ({_NOT_SIMILAR})"


def _quote(name: str) -> str:
    return f"'{visible(name)}'"
