"""The shell of the commands that are no stages: what they log, and how they say what a user can mend."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from kadr.errors import KadrError, said_clearly

PairsFile = Annotated[str, typer.Argument(help="Parquet or CSV with columns photo and text; a path or fsspec address.")]
ScoresFolder = Annotated[
    Path, typer.Argument(help="Folder of scores; what is there of this model is not scored again.")
]
Latest = Annotated[bool, typer.Option("--latest", help="By the model that the stages wrote last, not by the champion.")]
"""What both commands of batch scoring ask for: that of the task, and that of the flow."""


@contextmanager
def command(name: str) -> Iterator[Console]:
    """Standard output; a KadrError in the block ends the process with its message alone and exit code 1."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    logging.basicConfig(level=logging.WARNING, format=f"{name}: %(message)s")
    for room in ("kadr", "tasks"):
        logging.getLogger(room).setLevel(logging.INFO)
    try:
        with said_clearly():
            yield Console(width=None if sys.stdout.isatty() else 200)  # a file or a pipe gets whole lines
    except KadrError as error:
        sys.exit(f"{name}: {error}")
