"""Read the log of a stage: the level of each line, and the reason why the stage failed."""

import logging
import re
import signal
from collections.abc import Iterable

_BUSY = re.compile(r"^ERROR: .*(is busy, it is being blocked by|Unable to acquire lock)")
_STAGE_FAILED = re.compile(r"^ERROR: failed to reproduce .*: failed to run: .*, exited with (-?\d+)$")
_TIME = r"^[\d/-]+ [\d:,.]+\s"  # time at the start of a log line of MLflow or Ray
_LEVELS = {
    logging.ERROR: re.compile(
        rf"^(\S+: )?(error|critical): |{_TIME}(ERROR|CRITICAL) |^Traceback \(most recent call last\)|^[\w.]+Error: ",
        re.I,
    ),
    logging.WARNING: re.compile(rf"^(\S+: )?(\w+)?warning: |{_TIME}WARNING ", re.I),
}


def is_busy(lines: Iterable[str]) -> bool:
    """Return whether DVC did not run a stage because another DVC process is using its files."""
    return any(map(_BUSY.search, lines))


def line_level(line: str, previous: int) -> int:
    """Return the logging level of an output line. An indented line has the level of the previous line.

    >>> line_level("train: error: the table is empty", logging.INFO) == logging.ERROR
    True
    """
    if line[0].isspace():
        return previous
    return next((level for level, pattern in _LEVELS.items() if pattern.search(line)), logging.INFO)


def explain_log(lines: list[str], exit_code: int) -> str:
    """Return the reason why a subprocess failed that left no record of its failure.

    The reason is the signal that ended the subprocess, or the last message in its log.

    Args:
        lines: output of the subprocess.
        exit_code: exit code of the subprocess. If DVC reports the exit code of a stage, that exit code is used.
    """
    stage_codes = [int(match[1]) for line in lines if (match := _STAGE_FAILED.search(line))]
    code = stage_codes[-1] if stage_codes else exit_code
    number = -code if code < 0 else code - 128  # a shell adds 128 to the number of the signal
    if number not in {*signal.Signals}:
        return last_message(lines)
    message = f"killed by signal {number} ({signal.Signals(number).name})."
    if number == signal.SIGKILL:
        message += " The machine probably ran out of memory. Use --max-parallel 1, or a smaller batch size."
    return message


def last_message(lines: list[str]) -> str:
    r"""Return the last message in a log.

    Indented lines belong to the message in the line above them. DVC's own message about the failed command is ignored
    if the stage printed a message.

    >>> last_message(["> python x.py", "x.py is not valid:", "  seed: missing key"])
    'x.py is not valid:\n  seed: missing key'
    """
    stage_lines = [line for line in lines if not _STAGE_FAILED.search(line)]
    has_message = stage_lines and not stage_lines[-1].startswith("> ")
    lines = stage_lines if has_message else lines
    first = next((row for row in reversed(range(len(lines))) if not lines[row][0].isspace()), 0)
    return "\n".join(lines[first:]).removeprefix("ERROR: ") or "no output"
