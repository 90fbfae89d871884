"""Find the image, the text and the rating among the fields and tags of a Label Studio project."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kadr.errors import InputError
from kadr.ingest.columns import find_columns
from kadr.ingest.formats.label_studio_export import Export
from kadr.io.image_formats import IMAGE_SUFFIXES

_TYPE_ORDER = ("rating", "number", "choices", "pairwise")


@dataclass(frozen=True)
class Fields:
    """Names of the fields that contain the image and the text, and name of the tag that contains the rating."""

    image: str
    text: str
    rating: str


def find_fields(path: Path, export: Export) -> Fields:
    """Find the fields of an export by their names, their types and their values.

    Raises:
        InputError: a field is not found, or several fields fit equally well.
    """
    names = list(dict.fromkeys(name for annotation in export.annotations for name in annotation.data))
    tags = list(dict.fromkeys(name for annotation in export.annotations for name in annotation.values))
    image = _find(names, "image") or _only([name for name in names if _contains_images(export, name)])
    text = _find([name for name in names if name != image and name not in export.types], "text")
    rating = _find_rating(export, [tag for tag in tags if tag not in (image, text)])
    missing = [name for name, found in (("image", image), ("text", text), ("rating", rating)) if found is None]
    if image is None or text is None or rating is None:
        raise InputError(
            f"{path}: the {' and the '.join(missing)} cannot be identified. The fields are {', '.join(names)}. The "
            f"tags are {', '.join(export.types) or 'unknown'}. Expected the fields image and text, and "
            "one Rating or Choices tag named rating. Rename the fields in the export."
        )
    return Fields(image, text, rating)


def _find_rating(export: Export, tags: Sequence[str]) -> str | None:
    """Return the tag with ratings: the only tag of the best type, the tag with the best name, or the only tag."""
    for type_ in _TYPE_ORDER:
        typed = [tag for tag in tags if export.types.get(tag) == type_]
        if typed:
            return _only(typed) or _find(typed, "rating")
    return _find(tags, "rating") or _only(tags)


def _find(names: Sequence[str], column: str) -> str | None:
    found = find_columns(names, [column])
    return found[column] if found else None


def _only(names: Iterable[str]) -> str | None:
    names = list(names)
    return names[0] if len(names) == 1 else None


def _contains_images(export: Export, name: str) -> bool:
    """Return whether a field contains file names of images in all tasks."""
    values = {annotation.data.get(name, "") for annotation in export.annotations}
    return all(value.split("?")[0].lower().endswith(IMAGE_SUFFIXES) for value in values)
