"""The stages' shell: how every stage is started, reports an error and writes its metrics."""

import json
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from kadr.errors import KadrError, said_clearly
from kadr.params import Params, load_params
from kadr.storage import whole

if TYPE_CHECKING:
    import pandas as pd

Metrics = dict[str, object]


def run(name: str, stage: Callable[[Params], Metrics]) -> None:
    """Run `stage` with params.yaml and write what it returns to metrics/<name>.json.

    A KadrError, a full disk and a closed folder end the process with their message alone and exit code 1; any other
    exception is a bug with its trace.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # stages share cores: no spinning
    logging.basicConfig(level=logging.WARNING, format=f"{name}: %(message)s")
    for room in ("kadr", "tasks"):  # what the libraries below say at INFO is about themselves
        logging.getLogger(room).setLevel(logging.INFO)
    try:
        with said_clearly():
            write_json(Path("metrics") / f"{name}.json", stage(load_params()))
    except KadrError as error:
        sys.exit(f"{name}: {error}")


def write_json(path: Path, value: object) -> None:
    """Write `value` as JSON to `path`, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_csv(path: Path, table: "pd.DataFrame") -> None:
    """Write `table`, without its index, as CSV to `path`, whole or not at all."""
    write_text(path, table.to_csv(index=False, lineterminator="\n"))


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path`, whole or not at all."""
    with whole(path) as partial:
        partial.write_text(text, encoding="utf-8")
