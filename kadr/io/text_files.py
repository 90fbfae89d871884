"""Write text, JSON and CSV files atomically."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from kadr.io.storage import write_atomically

if TYPE_CHECKING:
    import pandas as pd


def write_json(path: Path, value: object) -> None:
    """Write `value` as JSON to `path`, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_csv(path: Path, table: "pd.DataFrame") -> None:
    """Write `table`, without its index, as CSV to `path`, whole or not at all."""
    write_text(path, table.to_csv(index=False, lineterminator="\n"))


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path`, whole or not at all."""
    with write_atomically(path) as partial:
        partial.write_text(text, encoding="utf-8")
