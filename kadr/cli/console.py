"""Console output and thread settings that several commands share."""

import json
import logging
import os
import re
import sys
import warnings
from pathlib import Path

from rich.console import Console

from kadr.io.invisible_characters import visible

_PIPE_WIDTH = 1_000_000  # characters; no table is wider, so nothing is folded in a file or a pipe
_UNSAFE_IN_JSON = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def console() -> Console:
    """Return a console for standard output. If the output is a file or a pipe, lines are never folded or cut."""
    return Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH)


def printable(text: str) -> str:
    r"""Return a text with escape sequences in place of characters that a terminal obeys or does not show.

    Line breaks are kept.

    >>> printable("a\x1b[31mb\nc")
    'a\\x1b[31mb\nc'
    """
    return "\n".join(visible(line) for line in text.split("\n"))


def to_json(value: object, indent: int | None = None) -> str:
    """Return a value as JSON. Characters that the terminal obeys or cannot show are written as escape sequences."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    text = _UNSAFE_IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return json.dumps(value, indent=indent)
    return text


def escape_unencodable() -> None:
    """Write characters that the encoding of a standard stream does not contain as escape sequences.

    A standard stream that the shell has closed, as by `>&-`, is replaced by one that discards what is written.
    """
    sys.stdout = sys.stdout or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")


class PrintableFormatter(logging.Formatter):
    """Format log messages without characters that a terminal obeys.

    The field `level` is empty up to INFO. Above, it is the name of the level and a colon, e.g. `warning: `.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the message of a record, with its stack trace if there is one."""
        record.level = f"{record.levelname.lower()}: " if record.levelno > logging.INFO else ""
        return printable(super().format(record))


def hide_decoder_warnings() -> None:
    """Ignore warnings of Pillow, because `ingest` and `kadr index` count the images with faulty metadata."""
    warnings.filterwarnings("ignore", module=r"PIL\.")


def share_cores() -> None:
    """Let idle threads of OpenMP and OpenBLAS sleep, so that other processes can use the CPU cores.

    By default, idle threads wait actively. If other processes use all cores, a query then takes several times as much
    processor time. Call this function before NumPy is imported and before a library starts threads.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")  # smallest value: threads wait for 2**4 cycles
