"""Ask DVC which inputs and outputs of a stage have changed since its last run."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kadr.operations.dvc_cache import cached_file
from kadr.project import PROJECT

NOT_RUN = "not run yet"
"""Description of the change for a stage that has never run."""

_MAX_LISTED = 4
_PLAIN_WORDS = {"always changed": "always runs", "changed command": "cmd modified"}


def stage_changes(stage: Any) -> list[tuple[str, str]]:
    """Return the changes of a stage since its last run.

    Args:
        stage: DVC stage (`dvc.stage.Stage`).

    Returns:
        (name, change) pairs, e.g. ("params.yaml: seed", "modified"). The name is a file, a key of params.yaml, or a
        module in a file with code hashes. The name is empty if the stage itself has changed.

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
        for path, status in (item for files in entry.values() for item in files.items()):
            is_code = status == "modified" and Path(path).parent == PROJECT.code
            state = _code_changes(stage, path) if is_code else status
            by_key = {path: state} if isinstance(state, str) else {f"{path}: {key}": s for key, s in state.items()}
            changes += by_key.items()
    return changes


def _code_changes(stage: Any, path: str) -> dict[str, str] | str:
    """Return the changes of the modules in a modified file of code hashes, by name.

    If the DVC cache does not contain the old version of the file, return `modified`.
    """
    old_hash = next(dependency.hash_info.value for dependency in stage.deps if str(dependency) == path)
    cached = cached_file(stage.repo, old_hash)
    if cached is None:
        return "modified"
    old, new = (json.loads(version.read_text(encoding="utf-8")) for version in (cached, Path(path)))
    changes = {name: "modified" if name in old else "added" for name in new if new[name] != old.get(name)}
    return changes | {name: "removed" for name in old if name not in new}


def describe_changes(changes: Sequence[tuple[str, str]]) -> str:
    """Return a comma-separated list of the first changes, followed by the number of further changes.

    >>> describe_changes([("params.yaml: seed", "modified"), ("", "cmd modified")])
    'params.yaml: seed modified, cmd modified'
    """
    descriptions = [f"{name} {change}".strip() for name, change in changes]
    more = [f"{len(descriptions) - _MAX_LISTED} more"] if len(descriptions) > _MAX_LISTED else []
    return ", ".join([*descriptions[:_MAX_LISTED], *more])
