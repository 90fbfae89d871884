"""Console output and thread settings that several commands share."""

import os
import sys

from rich.console import Console


def console() -> Console:
    """Return a console for standard output. The width is 200 characters if the output is a file or a pipe."""
    return Console(width=None if sys.stdout.isatty() else 200)


def share_cores() -> None:
    """Let idle OpenMP threads sleep, so that other processes can use the CPU cores.

    Call this function before a library starts threads.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
