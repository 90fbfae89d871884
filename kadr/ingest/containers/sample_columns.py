"""Find the columns of images, file names, captions and ratings of a dataset, and convert its rows to samples."""

import functools
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from kadr.ingest.captions.caption_columns import find_caption_columns, parse_list
from kadr.ingest.columns import column_key, find_columns
from kadr.ingest.containers.container import Sample, SetAside
from kadr.ingest.containers.image_suffix import image_suffix
from kadr.ingest.table_files.json_table import value_text
from kadr.io.image_formats import IMAGE_SUFFIXES

logger = logging.getLogger(__name__)

_IMAGE_KEYS = ("image", "jpg", "jpeg", "png", "webp", "img", "photo", "picture", "bytes", "imagebytes")
_NAME_KEYS = ("filename", "imagename", "imagefile", "imgname", "path", "imagepath", "key")
_RATING_KEYS = ("rating", "relevance")


@dataclass(frozen=True)
class TextColumns:
    """Columns of captions and ratings.

    Attributes:
        captions: columns of captions.
        ratings: columns of the rating, the rater and the time, by canonical name.
    """

    captions: tuple[str, ...]
    ratings: dict[str, str]

    def captions_of(self, row: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the captions in a row."""
        return tuple(text for column in self.captions for text in _caption_texts(row.get(column)))

    def ratings_of(self, row: Mapping[str, Any]) -> dict[str, str]:
        """Return the rating, the rater and the time in a row as text."""
        return {name: value_text(row.get(column)) for name, column in self.ratings.items()}


@dataclass(frozen=True)
class SampleColumns:
    """Columns of a dataset that are imported.

    Attributes:
        image: column of the image: bytes, or a struct of bytes and path.
        name: column of file names, or None.
        texts: columns of captions and ratings.
    """

    image: str
    name: str | None
    texts: TextColumns

    @property
    def names(self) -> list[str]:
        """Names of all columns to read."""
        name = [self.name] if self.name else []
        return [self.image, *name, *self.texts.captions, *self.texts.ratings.values()]


def find_text_columns(header: Sequence[str], texts: Sequence[str]) -> TextColumns:
    """Find the columns of captions and ratings.

    Args:
        header: names of all columns, except for those of images and file names.
        texts: names of the columns that contain texts or lists of texts.

    Raises:
        InputError: several columns fit equally well.
    """
    captions = find_caption_columns(texts)
    others = [name for name in header if name not in captions]
    rating = next((name for name in others if column_key(name) in _RATING_KEYS), None)
    if rating is None:
        return TextColumns(tuple(captions), {})
    raters = find_columns([name for name in others if name != rating], [], ["rater", "time"]) or {}
    return TextColumns(tuple(captions), {"rating": rating} | raters)


def find_sample_columns(schema: pa.Schema) -> SampleColumns | None:
    """Find the columns of a dataset by the features of the `datasets` package, by types and by names.

    Return None if no column contains images.

    Raises:
        InputError: several columns fit equally well.
    """
    image = _find_image_column(schema)
    if image is None:
        return None
    texts = [field.name for field in schema if field.name != image and _is_text(field.type)]
    names = {column_key(name): name for name in texts}
    name = next((names[key] for key in _NAME_KEYS if key in names), None)
    header = [other for other in schema.names if other not in (image, name)]
    return SampleColumns(image, name, find_text_columns(header, [text for text in texts if text != name]))


def log_columns(columns: SampleColumns, header: Sequence[str]) -> None:
    """Log which columns of a dataset are read and which are not. Files with the same columns are logged once."""
    parts = [f"images from {columns.image}", f"captions from {', '.join(columns.texts.captions) or 'no column'}"]
    parts += [f"file names from {columns.name}"] if columns.name else []
    parts += [f"{name} from {column}" for name, column in columns.texts.ratings.items()]
    others = [name for name in header if name not in columns.names]
    _log_once(f"Reading {', '.join(parts)}. Ignored columns: {', '.join(others) or 'none'}.")


@functools.cache
def _log_once(message: str) -> None:
    logger.info("%s", message)


def _find_image_column(schema: pa.Schema) -> str | None:
    """Return the first column that the metadata, the type and the name describe as images, or None."""
    info = json.loads((schema.metadata or {}).get(b"huggingface", b"{}")).get("info", {})
    features = info.get("features", {})
    typed = [field.name for field in schema if _is_image(field)]
    declared = [name for name in typed if features.get(name, {}).get("_type") == "Image"]
    named = [name for key in _IMAGE_KEYS for name in typed if column_key(name) == key]
    return next(iter([*declared, *named, *typed]), None)


def _is_image(field: pa.Field) -> bool:
    """Return whether a column contains images: a struct of bytes and path, or bytes under the name of an image."""
    if pa.types.is_struct(field.type):
        return {field.type.field(position).name for position in range(field.type.num_fields)} >= {"bytes", "path"}
    is_bytes = pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type)
    return bool(is_bytes) and column_key(field.name) in _IMAGE_KEYS


def _is_text(type_: pa.DataType) -> bool:
    """Return whether a column contains texts or lists of texts."""
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        type_ = type_.value_type
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_))


def row_sample(
    row: Mapping[str, Any], columns: SampleColumns, place: str, default_name: str, max_bytes: int
) -> Sample | SetAside:
    """Convert one row of a dataset to a sample.

    Args:
        row: values of the columns in `columns`.
        columns: columns of the dataset.
        place: place of the row, for messages.
        default_name: file name without suffix for an image without a name.
        max_bytes: maximum size of an image in bytes.
    """
    image = row[columns.image]
    content, path = (image.get("bytes"), image.get("path")) if isinstance(image, dict) else (image, None)
    if not content:
        return SetAside(place, "image_missing", f"the dataset contains only the path {path}" if path else "")
    if len(content) > max_bytes:
        return SetAside(place, "too_large", f"{len(content):,} bytes")
    suffix = image_suffix(content)
    name = str(row[columns.name] or "") if columns.name else ""
    name = name.replace("\\", "/") or str(path or "").replace("\\", "/").rsplit("/", 1)[-1]
    if name and not name.lower().endswith(IMAGE_SUFFIXES):
        name += suffix
    return Sample(
        place=place,
        name=name or default_name + suffix,
        content=bytes(content),
        captions=columns.texts.captions_of(row),
        ratings=columns.texts.ratings_of(row),
        other_name=default_name + suffix,
    )


def _caption_texts(value: object) -> Sequence[str]:
    """Return the captions in a cell: a text, a list of texts, or a list of texts that is written as text."""
    if isinstance(value, str):
        is_list = value.startswith("[") and value.endswith("]")
        return (parse_list(value) if is_list else None) or [value]
    if isinstance(value, list):
        return [text for text in value if isinstance(text, str)]
    return []
