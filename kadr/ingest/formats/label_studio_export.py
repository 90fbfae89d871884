"""Read the annotations in an export of Label Studio in the formats JSON, JSON-MIN, CSV or TSV."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kadr.errors import InputError
from kadr.ingest.columns import column_key
from kadr.ingest.table_files import read_rows
from kadr.ingest.table_files.json_table import value_text

_META = ("annotation_id", "annotator", "created_at", "updated_at", "lead_time", "id", "agreement", "history")
_MARKS = ((b'"annotation_id"', b'"annotator"'), (b'"annotations"', b'"data"'), (b'"completions"', b'"data"'))
_RATING_TYPES = ("rating", "number", "choices", "pairwise")
_HEAD_BYTES = 1 << 16


@dataclass(frozen=True)
class Annotation:
    """One annotation of a task.

    Attributes:
        data: fields of the task as text, by name.
        values: value of each tag that rates the task, by the name of the tag. In the formats JSON-MIN and CSV, other
            fields are also contained, because these formats do not distinguish them.
        rater: ID or e-mail address of the annotator.
        time: time at which the annotation was created.
        id: ID of the annotation, "" if unknown.
        updated: time at which the annotation was last changed.
        row: position in the export, starting at 1. Skipped annotations do not count.
    """

    data: dict[str, str]
    values: dict[str, str]
    rater: str
    time: str
    id: str = ""
    updated: str = ""
    row: int = 0


@dataclass
class Export:
    """Content of an export.

    Attributes:
        annotations: annotations in the order of the file.
        types: type of each tag, such as rating or choices, by the name of the tag. Tags of unknown type are left out.
        n_skipped: number of annotations that the annotator skipped.
    """

    annotations: list[Annotation] = field(default_factory=list)
    types: dict[str, str] = field(default_factory=dict)
    n_skipped: int = 0

    def add(self, annotation: Annotation) -> None:
        """Add an annotation with its position."""
        self.annotations.append(replace(annotation, row=len(self.annotations) + 1))


def is_export(path: Path) -> bool:
    """Return whether a file is an export of Label Studio, based on its first 64 kB."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return False
    if path.suffix == ".json":
        is_list = head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")
        return is_list and any(all(mark in head for mark in marks) for marks in _MARKS)
    header = head.split(b"\n", 1)[0].decode("utf-8", errors="replace")
    cells = {cell.strip('"\ufeff\r ') for cell in re.split(r"[,;\t]", header)}
    return {"annotation_id", "annotator", "lead_time"} <= cells


def read_export(path: Path) -> Export:
    """Read all annotations in an export.

    Raises:
        InputError: the file cannot be read.
    """
    if path.suffix != ".json":
        return _read_records(path, _read_table(path))
    try:
        document = json.loads(path.read_bytes().decode("utf-8-sig"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: the file is not valid JSON ({error}). Export the project again.") from error
    tasks = [task for task in document if isinstance(task, dict)]
    if any("annotations" in task or "completions" in task for task in tasks):
        return _read_tasks(tasks)
    return _read_records(path, tasks)


def drop_repeated_annotations(exports: Sequence[Export]) -> int:
    """Drop the annotations that another export of the same project contains in the same or in a newer state.

    Annotations are the same if they have the same ID and were created at the same time.

    Returns:
        Number of dropped annotations.
    """
    newest: dict[tuple[str, str], Annotation] = {}
    for export in exports:
        for annotation in export.annotations:
            key = (annotation.id, annotation.time)
            if all(key) and annotation.updated > newest.setdefault(key, annotation).updated:
                newest[key] = annotation
    n_dropped = 0
    for export in exports:
        kept = [a for a in export.annotations if newest.get((a.id, a.time), a) is a]
        n_dropped += len(export.annotations) - len(kept)
        export.annotations = kept
    return n_dropped


def _read_tasks(tasks: Sequence[Mapping[str, Any]]) -> Export:
    """Read the annotations of the format JSON."""
    export = Export()
    for task in tasks:
        data = {name: value_text(value) for name, value in task.get("data", {}).items()}
        for annotation in task.get("annotations") or task.get("completions") or []:
            if annotation.get("was_cancelled") or annotation.get("skipped"):
                export.n_skipped += 1
                continue
            values: dict[str, str] = {}
            for name, type_, value in _results(annotation):
                values[name] = value
                export.types[name] = type_
            author = annotation.get("completed_by", annotation.get("created_username", ""))
            rater = author.get("email") or author.get("id", "") if isinstance(author, dict) else author
            time = annotation.get("created_at") or annotation.get("updated_at") or ""
            id_, updated = value_text(annotation.get("id")), value_text(annotation.get("updated_at"))
            export.add(Annotation(data, values, value_text(rater), value_text(time), id_, updated))
    return export


def _results(annotation: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield the name, the type and the value of each tag that rates a task."""
    for result in annotation.get("result") or []:
        type_ = str(result.get("type", "")).lower()
        if type_ in _RATING_TYPES:
            yield str(result.get("from_name", "")), type_, _plain_value(result.get("value"))


def _read_table(path: Path) -> list[dict[str, str]]:
    """Read all columns of a CSV or TSV file."""

    def select(header: Sequence[str]) -> dict[str, str] | None:
        return {cell: cell for cell in header if cell} if "annotation_id" in header else None

    rows = read_rows(path, select).rows
    return [{str(name): str(value) for name, value in record.items()} for record in rows.to_dict("records")]


def _read_records(path: Path, records: Sequence[Mapping[str, Any]]) -> Export:
    """Read the annotations of the formats JSON-MIN and CSV, whose records mix the task and the annotation."""
    export = Export()
    meta = {column_key(name) for name in _META}
    for record in records:
        fields = {name: value for name, value in record.items() if column_key(name) not in meta}
        values = {name: _plain_value(_parse_json(value)) for name, value in fields.items()}
        export.types |= {name: "rating" for name, value in fields.items() if _is_rating(_parse_json(value))}
        data = {name: value_text(value) for name, value in fields.items()}
        time = record.get("created_at") or record.get("updated_at")
        id_, updated = value_text(record.get("annotation_id")), value_text(record.get("updated_at"))
        export.add(Annotation(data, values, value_text(record.get("annotator")), value_text(time), id_, updated))
    return export


def _parse_json(value: Any) -> Any:
    """Parse a cell that contains a JSON list or object. Return all other values unchanged."""
    if isinstance(value, str) and value.startswith(("[", "{")):
        try:
            return json.loads(value)
        except (json.JSONDecodeError, RecursionError):
            return value
    return value


def _is_rating(value: Any) -> bool:
    """Return whether a value is that of a Rating tag: `[{"rating": 4}]`."""
    return (
        isinstance(value, list) and bool(value) and all(isinstance(item, dict) and "rating" in item for item in value)
    )


def _plain_value(value: Any) -> str:
    """Return the rating, the number or the choice in the value of a tag as text.

    >>> _plain_value([{"rating": 4}]), _plain_value({"choices": ["yes"]}), _plain_value("no")
    ('4', 'yes', 'no')
    """
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, dict):
        values = [value[name] for name in ("rating", "number", "choices", "selected") if name in value]
        return _plain_value(values[0]) if values else value_text(value)
    return value_text(value)
