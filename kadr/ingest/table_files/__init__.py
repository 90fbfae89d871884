"""Read tables from text, Parquet, spreadsheet and JSON files."""

from kadr.ingest.table_files.encoding import declare_encoding
from kadr.ingest.table_files.reading import (
    TABLE_READERS,
    find_table,
    is_table,
    normalise_texts,
    read_rows,
    table_suffixes,
    text_file_encodings,
)
from kadr.ingest.table_files.table import OTHER_COLUMNS, ColumnNames, Select, TableReader, TableRows

__all__ = [
    "OTHER_COLUMNS",
    "TABLE_READERS",
    "ColumnNames",
    "Select",
    "TableReader",
    "TableRows",
    "declare_encoding",
    "find_table",
    "is_table",
    "normalise_texts",
    "read_rows",
    "table_suffixes",
    "text_file_encodings",
]
