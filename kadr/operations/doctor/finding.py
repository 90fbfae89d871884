"""The result of one check."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        subject: what was checked, in one or two words.
        state: `ok`; `note` if nothing fails but the user should know it; `problem` if something fails or is outdated.
        message: the result.
        fix: the command or action that fixes the problem, empty if there is nothing to do.
    """

    subject: str
    state: Literal["ok", "note", "problem"]
    message: str
    fix: str = ""


def ok(subject: str, message: str) -> Finding:
    """Return a finding without a problem."""
    return Finding(subject, "ok", message)


def note(subject: str, message: str, fix: str = "") -> Finding:
    """Return a finding that the user should know."""
    return Finding(subject, "note", message, fix)


def problem(subject: str, message: str, fix: str) -> Finding:
    """Return a finding that the user must fix."""
    return Finding(subject, "problem", message, fix)
