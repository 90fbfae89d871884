"""The tasks room's reading of DVC's status: what differs for a stage from its last run."""

from collections.abc import Sequence
from typing import Any

NOT_RUN = "it has not run yet"
_SHOWN = 4  # changes of a stage that are named; the others are counted
_SAYINGS = {"always changed": "it is to run always", "changed command": "cmd modified"}


def changes_of(stage: Any) -> list[tuple[str, str]]:
    """What DVC finds changed for one of its stages: (file or key of params, how); the first is empty for the stage.

    Raises:
        DvcException: it cannot tell.
    """
    if stage.cmd and not any(out.hash_info for out in stage.outs):
        return [("", NOT_RUN)]
    found: list[tuple[str, str]] = []
    for entry in next(iter(stage.status().values()), []):
        if isinstance(entry, str):
            found.append(("", _SAYINGS.get(entry, entry)))
            continue
        for path, state in (item for files in entry.values() for item in files.items()):
            keys = {path: state} if isinstance(state, str) else {f"{path}: {key}": how for key, how in state.items()}
            found += keys.items()
    return found


def in_words(changes: Sequence[tuple[str, str]]) -> str:
    """The first changes, and how many more there are.

    >>> in_words([("params.yaml: seed", "modified"), ("", "cmd modified")])
    'params.yaml: seed modified, cmd modified'
    """
    said = [f"{what} {how}".strip() for what, how in changes]
    more = [f"{len(said) - _SHOWN} more"] if len(said) > _SHOWN else []
    return ", ".join([*said[:_SHOWN], *more])
