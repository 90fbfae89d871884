"""Read from DVC what has changed for a stage since its last run."""

from collections.abc import Sequence
from typing import Any

NOT_RUN = "not run yet"
"""Change of a stage without a previous run."""

_MAX_LISTED = 4
_PLAIN_WORDS = {"always changed": "always runs", "changed command": "cmd modified"}


def stage_changes(stage: Any) -> list[tuple[str, str]]:
    """Return the changes of a stage since its last run.

    Args:
        stage: a `dvc.stage.Stage`.

    Returns:
        Pairs of a file or params key and its change, e.g. ("params.yaml: seed", "modified"). The first element is
        empty if the change concerns the stage itself.

    Raises:
        DvcException: DVC cannot determine the changes.
    """
    if stage.cmd and not any(out.hash_info for out in stage.outs):
        return [("", NOT_RUN)]
    changes: list[tuple[str, str]] = []
    for entry in next(iter(stage.status().values()), []):
        if isinstance(entry, str):
            changes.append(("", _PLAIN_WORDS.get(entry, entry)))
            continue
        for path, state in (item for files in entry.values() for item in files.items()):
            by_key = {path: state} if isinstance(state, str) else {f"{path}: {key}": s for key, s in state.items()}
            changes += by_key.items()
    return changes


def describe_changes(changes: Sequence[tuple[str, str]]) -> str:
    """Return the first changes as text, with the number of further changes.

    >>> describe_changes([("params.yaml: seed", "modified"), ("", "cmd modified")])
    'params.yaml: seed modified, cmd modified'
    """
    descriptions = [f"{name} {change}".strip() for name, change in changes]
    more = [f"{len(descriptions) - _MAX_LISTED} more"] if len(descriptions) > _MAX_LISTED else []
    return ", ".join([*descriptions[:_MAX_LISTED], *more])
