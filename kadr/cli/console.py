"""Standard output and process settings that several commands share."""

import os
import sys

from rich.console import Console


def console() -> Console:
    """Return standard output. Lines are not wrapped in a file or a pipe."""
    return Console(width=None if sys.stdout.isatty() else 200)


def share_cores() -> None:
    """Let idle OpenMP threads sleep, so that other processes get the cores. Call it before a library starts threads."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
