"""Write text, JSON and CSV files atomically."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from kadr.io.storage import write_atomically

if TYPE_CHECKING:
    import pandas as pd


def write_json(path: Path, value: object) -> None:
    """Write a JSON-serialisable value as indented JSON."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_csv(path: Path, table: "pd.DataFrame") -> None:
    """Write a table as CSV without the index of the data frame."""
    write_text(path, table.to_csv(index=False, lineterminator="\n"))


def write_text(path: Path, text: str) -> None:
    """Write a text file with UTF-8 encoding."""
    with write_atomically(path) as partial:
        partial.write_text(text, encoding="utf-8")
