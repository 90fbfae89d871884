"""Standard output of the commands, and what several commands share."""

import os
import sys

from rich.console import Console


def console() -> Console:
    """Return standard output. In a file or a pipe, lines are not wrapped."""
    return Console(width=None if sys.stdout.isatty() else 200)


def share_cores() -> None:
    """Let idle OpenMP threads sleep, so that other processes get the cores. Call it before a library starts threads."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
