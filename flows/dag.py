"""Read the stage graph from DVC, and the changes of each stage since its last run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dvc.exceptions import DvcException
from dvc.lock import LockError
from dvc.repo import Repo
from dvc.repo.reproduce import collect_stages, get_active_graph, plan_repro

from kadr.operations.doctor.dvc_status import describe_changes, stage_changes


@dataclass(frozen=True)
class PlannedStage:
    """A DVC stage with its upstream stages and its changes.

    Attributes:
        upstream: DVC addresses of the stages whose outputs the stage reads.
        changes: (name, change) pairs since the last run of the stage, e.g. (`params.yaml: seed`, `modified`). The tuple
            is empty if the stage is up to date.
    """

    upstream: tuple[str, ...]
    changes: tuple[tuple[str, str], ...]


Plan = dict[str, PlannedStage]
"""Stages by DVC address, in execution order. Each stage comes after its upstream stages."""


def read_plan(targets: Sequence[str] | None = None) -> Plan:
    """Read the stages of the DVC project in the working directory.

    Args:
        targets: names of the stages to include. Their upstream stages are also included. The name `embed_images`
            includes the stages of all encoders. None includes all stages.

    Returns:
        The stages that `dvc repro TARGETS` checks for changes.

    Raises:
        DvcException: a target does not exist, dvc.yaml is not valid, or the directory is not a DVC project.
    """
    with Repo(_wait_for_lock=True) as repo, repo.lock:
        graph = get_active_graph(repo.index.graph)
        selected = collect_stages(repo, targets) if targets else None
        return {
            stage.addressing: PlannedStage(
                tuple(sorted(upstream.addressing for upstream in graph.successors(stage))), tuple(_changes(stage))
            )
            for stage in plan_repro(graph, selected)
        }


def reason_to_run(plan: Plan, stage: str) -> str:
    """Return the reason why a stage will run, or an empty string if the stage is up to date.

    >>> reason_to_run({"train": PlannedStage((), (("params.yaml: seed", "modified"),))}, "train")
    'params.yaml: seed modified'
    >>> plan = {"ingest": PlannedStage((), (("", "cmd modified"),)), "train": PlannedStage(("ingest",), ())}
    >>> reason_to_run(plan | {"report": PlannedStage(("train",), ())}, "report")
    'if the outputs of ingest change'
    """
    if changes := plan[stage].changes:
        return describe_changes(changes)
    changed = sorted(_changed_upstream(plan, stage))
    return f"if the outputs of {', '.join(changed)} change" if changed else ""


def _changed_upstream(plan: Plan, stage: str) -> set[str]:
    """Return the nearest stages upstream of a stage that have changes of their own."""
    return {
        changed
        for name in plan[stage].upstream
        for changed in ({name} if plan[name].changes else _changed_upstream(plan, name))
    }


def _changes(stage: Any) -> list[tuple[str, str]]:
    """Return the changes of a DVC stage.

    If DVC cannot determine the changes, return DVC's error message as a change.
    """
    try:
        return stage_changes(stage)
    except LockError:
        return [("", "another DVC process is using the files of this stage")]
    except DvcException as error:
        return [("", str(error))]
