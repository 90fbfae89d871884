"""The doctor part's finding: what one check saw, and the command that mends it."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """What a check saw.

    Attributes:
        about: what was looked at, in a word or two.
        state: ok; note: nothing fails for it, but it is worth knowing; wrong: something fails or is stale for it.
        said: what was seen.
        mend: the command, or what else to do; empty where there is nothing to do.
    """

    about: str
    state: Literal["ok", "note", "wrong"]
    said: str
    mend: str = ""


def ok(about: str, said: str) -> Finding:
    """All is well."""
    return Finding(about, "ok", said)


def note(about: str, said: str, mend: str = "") -> Finding:
    """Worth knowing."""
    return Finding(about, "note", said, mend)


def wrong(about: str, said: str, mend: str) -> Finding:
    """To be mended."""
    return Finding(about, "wrong", said, mend)
