"""The orchestration room's view of the DAG: its stages, which come before which, and what changed for each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dvc.exceptions import DvcException
from dvc.lock import LockError
from dvc.repo import Repo
from dvc.repo.reproduce import collect_stages, get_active_graph, plan_repro

from kadr.operations.doctor.dvc_status import changes_of, in_words


@dataclass(frozen=True)
class Planned:
    """A stage at the start of a run.

    Attributes:
        upstream: addresses of the stages whose outs it reads.
        changes: what differs from its last run, e.g. (`params.yaml: seed`, `modified`); none where it is up to date.
    """

    upstream: tuple[str, ...]
    changes: tuple[tuple[str, str], ...]


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

    >>> why({"train": Planned((), (("params.yaml: seed", "modified"),))}, "train")
    'params.yaml: seed modified'
    >>> why({"ingest": Planned((), (("", "cmd modified"),)), "train": Planned(("ingest",), ())}, "train")
    'after ingest, if what it reads changes'
    """
    if changes := plan[stage].changes:
        return in_words(changes)
    waited_for = [name for name in plan[stage].upstream if why(plan, name)]
    return f"after {', '.join(waited_for)}, if what it reads changes" if waited_for else ""


def _changes(stage: Any) -> list[tuple[str, str]]:
    """What DVC finds changed for a stage; where it cannot tell now, that counts as a change."""
    try:
        return changes_of(stage)
    except LockError:
        return [("", "another DVC process is using its files")]
    except DvcException as error:
        return [("", str(error))]
