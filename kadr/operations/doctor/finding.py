"""`Finding`, the result of one `kadr doctor` check."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """Result of one check.

    Attributes:
        subject: subject of the check, in one or two words.
        state: `ok`, `note` (the user should know about the finding), or `problem` (something fails or is outdated).
        message: description of the result.
        fix: command or action that fixes the problem, empty if no action is needed.
    """

    subject: str
    state: Literal["ok", "note", "problem"]
    message: str
    fix: str = ""


def ok(subject: str, message: str) -> Finding:
    """Return a finding for a passed check."""
    return Finding(subject, "ok", message)


def note(subject: str, message: str, fix: str = "") -> Finding:
    """Return a finding that the user should know about."""
    return Finding(subject, "note", message, fix)


def problem(subject: str, message: str, fix: str) -> Finding:
    """Return a finding that the user must fix."""
    return Finding(subject, "problem", message, fix)
