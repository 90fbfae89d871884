"""The orchestration room's view of the DAG: which stages DVC has, and which of them come before which."""

from collections.abc import Sequence

from dvc.repo import Repo
from dvc.repo.reproduce import collect_stages, get_active_graph, plan_repro

Upstream = dict[str, list[str]]


def read_upstream(targets: Sequence[str] | None = None) -> Upstream:
    """Ask DVC for the stages of the project in the current folder.

    Args:
        targets: stages to reach, e.g. `train`, or `embed_images` for all its instances; None for the whole DAG.

    Returns:
        The address of each stage that `dvc repro TARGETS` would look at, with the addresses of the stages whose outs it
        reads; a stage comes after all of these.

    Raises:
        DvcException: there is no such target, dvc.yaml is not valid, or this folder is not a DVC project.
    """
    with Repo() as repo:
        graph = get_active_graph(repo.index.graph)
        wanted = collect_stages(repo, targets) if targets else None
        order = plan_repro(graph, wanted)
        return {stage.addressing: sorted(before.addressing for before in graph.successors(stage)) for stage in order}
