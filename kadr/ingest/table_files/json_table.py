"""Read tables from JSON and JSON Lines files."""

import codecs
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from kadr.errors import InputError
from kadr.ingest.table_files.content import TableContent
from kadr.ingest.table_files.table import (
    ColumnNames,
    ParsedTable,
    Select,
    choose_columns,
    describe_missing_header,
    hash_cells,
)

Record = Mapping[str, Any]

_HEAD_BYTES = 1 << 10


class JsonTable:
    """Reader for JSON files: an array of objects or rows, an object of columns, or pandas' `split` and `table` forms.

    A file with one JSON object per line is read as JSON Lines.
    """

    def read(self, content: TableContent, select: Select, names: ColumnNames | None) -> ParsedTable:
        """Read the selected keys of each object. Numbers become text, and nested values become JSON."""
        try:
            document = json.loads(content.read())
        except json.JSONDecodeError as error:
            if error.msg == "Extra data" and content.read().lstrip()[:1] == b"{":
                return JsonLines().read(content, select, names)
            raise InputError(
                f"{content.path}: the file is not valid JSON ({error}). Correct or export the file again."
            ) from error
        except (UnicodeDecodeError, RecursionError) as error:
            raise InputError(
                f"{content.path}: the file is not valid JSON ({error}). Correct or export the file again."
            ) from error
        records = _find_records(document)
        if records is None:
            raise InputError(
                f"{content.path}: the JSON file contains no table. Expected an array of objects, or an object of "
                "columns. Export the table as an array of objects."
            )
        return select_keys(content, records, select)


class JsonLines:
    """Reader for JSON Lines files, which contain one JSON object per line."""

    def read(self, content: TableContent, select: Select, names: ColumnNames | None) -> ParsedTable:
        """Read the selected keys of each object. Numbers become text, and nested values become JSON."""
        with content.open() as file:
            is_array = file.read(_HEAD_BYTES).removeprefix(codecs.BOM_UTF8).lstrip().startswith((b"[{", b"[\n", b"[\r"))
        if is_array:
            return JsonTable().read(content, select, names)
        return select_keys(content, list(_parse_lines(content)), select)


def _parse_lines(content: TableContent) -> Iterator[Record]:
    with content.open() as file:
        for number, line in enumerate(file, 1):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                record = json.loads(text) if text.strip() else None
            except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
                raise InputError(
                    f"{content.path}, line {number}: the line is not valid JSON ({error}). Correct or remove the line."
                ) from error
            if record is None:
                continue
            if not isinstance(record, dict):
                raise InputError(
                    f"{content.path}, line {number}: the line is not a JSON object. Expected one object per line, "
                    "such as "
                    '{"image": "beach.jpg", "text": "A beach"}. Correct or remove the line.'
                )
            yield record


def _find_records(document: Any) -> list[Record] | None:
    """Return the rows of a JSON document as objects, or None if the document contains no table."""
    if isinstance(document, list):
        if len(document) > 1 and all(isinstance(row, list) for row in document) and _is_list_of(str, document[0]):
            return [dict(zip(document[0], row, strict=False)) for row in document[1:]]
        return document if all(isinstance(record, dict) for record in document) else None
    return _columns_to_records(document) if isinstance(document, dict) else None


def _columns_to_records(document: dict[str, Any]) -> list[Record] | None:
    """Return the rows of a JSON object that contains one table."""
    columns, data = document.get("columns"), document.get("data")
    if isinstance(columns, list) and isinstance(data, list) and all(isinstance(row, list) for row in data):
        return [dict(zip(columns, row, strict=False)) for row in data]
    tables: list[list[Record]] = [value for value in document.values() if _is_list_of(dict, value)]
    if len(tables) == 1:
        return tables[0]
    values = list(document.values())
    if values and all(isinstance(value, list) for value in values) and len({len(value) for value in values}) == 1:
        return [dict(zip(document, row, strict=True)) for row in zip(*values, strict=True)]
    if values and all(isinstance(value, dict) for value in values):
        keys = dict.fromkeys(key for value in values for key in value)
        return [{name: column.get(key) for name, column in document.items()} for key in keys]
    return None


def _is_list_of(type_: type, value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, type_) for item in value)


def select_keys(content: TableContent, records: Sequence[Record], select: Select) -> ParsedTable:
    """Select the wanted keys of JSON objects.

    Raises:
        InputError: a required key is missing from all objects.
    """
    header = list(dict.fromkeys(key for record in records for key in record))
    choice = choose_columns(select, header)
    if choice is None:
        raise InputError(f"{content.path}: {describe_missing_header(select, header)}")
    columns = {
        canonical: pa.array([value_text(record.get(header[place])) for record in records], pa.string())
        for canonical, place in choice.positions.items()
    }
    others = [header[place] for place in choice.others]

    def hash_others(positions: np.ndarray) -> np.ndarray:
        return hash_cells([[value_text(records[position].get(key)) for key in others] for position in positions])

    return ParsedTable(choice, columns, hash_others if others else None)


def value_text(value: Any) -> str:
    """Return a JSON value as the text of a cell.

    >>> value_text(4.0), value_text(None), value_text(float("nan")), value_text(True), value_text(["a"])
    ('4', '', '', 'true', '["a"]')
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:.15g}"
    return json.dumps(value, ensure_ascii=False)
