"""The orchestration room's view of the DAG: its stages, which come before which, and what changed for each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dvc.exceptions import DvcException
from dvc.lock import LockError
from dvc.repo import Repo
from dvc.repo.reproduce import collect_stages, get_active_graph, plan_repro

SHOWN = 4  # changes of a stage that are named; the others are counted
_SAYINGS = {"always changed": "it is to run always", "changed command": "cmd modified"}


@dataclass(frozen=True)
class Planned:
    """A stage at the start of a run.

    Attributes:
        upstream: addresses of the stages whose outs it reads.
        changes: what differs from its last run, e.g. `params.yaml: seed modified`; none where it is up to date.
    """

    upstream: tuple[str, ...]
    changes: tuple[str, ...]


Plan = dict[str, Planned]


def read_plan(targets: Sequence[str] | None = None) -> Plan:
    """Ask DVC for the stages of the project in the current folder, by one look at them all.

    Args:
        targets: stages to reach, e.g. `train`, or `embed_images` for all its instances; None for the whole DAG.

    Returns:
        The address of each stage that `dvc repro TARGETS` would look at; a stage comes after all that it reads from.

    Raises:
        DvcException: there is no such target, dvc.yaml is not valid, or this folder is not a DVC project.
    """
    with Repo(_wait_for_lock=True) as repo, repo.lock:
        graph = get_active_graph(repo.index.graph)
        wanted = collect_stages(repo, targets) if targets else None
        return {
            stage.addressing: Planned(
                tuple(sorted(before.addressing for before in graph.successors(stage))), tuple(_changes(stage))
            )
            for stage in plan_repro(graph, wanted)
        }


def why(plan: Plan, stage: str) -> str:
    """Why a stage of the plan will run, for people; empty where it will not.

    >>> why({"train": Planned((), ("params.yaml: seed modified",))}, "train")
    'params.yaml: seed modified'
    >>> why({"ingest": Planned((), ("cmd modified",)), "train": Planned(("ingest",), ())}, "train")
    'after ingest, if what it reads changes'
    """
    changes = plan[stage].changes
    if changes:
        more = [f"{len(changes) - SHOWN} more"] if len(changes) > SHOWN else []
        return ", ".join([*changes[:SHOWN], *more])
    waited_for = [name for name in plan[stage].upstream if why(plan, name)]
    return f"after {', '.join(waited_for)}, if what it reads changes" if waited_for else ""


def _changes(stage: Any) -> Iterator[str]:
    """What DVC finds changed for a stage; where it cannot tell now, that counts as a change."""
    if stage.cmd and not any(out.hash_info for out in stage.outs):
        yield "it has not run yet"
        return
    try:
        (found,) = stage.status().values() or [()]
    except LockError:
        yield "another DVC process is using its files"
        return
    except DvcException as error:
        yield str(error)
        return
    for entry in found:
        if isinstance(entry, str):
            yield _SAYINGS.get(entry, entry)
        else:
            for files in entry.values():
                yield from _files(files)


def _files(files: Mapping[str, str | Mapping[str, str]]) -> Iterator[str]:
    for path, state in files.items():
        if isinstance(state, str):
            yield f"{path} {state}"
        else:  # a file of params, by key
            yield from (f"{path}: {key} {how}" for key, how in state.items())
