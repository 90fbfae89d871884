"""Tests of the plan that the pipeline flow reads from DVC."""

import subprocess
import sys

import pytest
from dvc.exceptions import DvcException

from flows.dag import PlannedStage, read_plan, reason_to_run
from tests.flows.conftest import MakeDvcProject

pytestmark = pytest.mark.filterwarnings(
    "ignore:_NoneStep.value:DeprecationWarning"
)  # raised by pygtrie, which DVC uses

STAGES = {
    "join": {"cmd": "cat left@a.txt right.txt > join.txt", "deps": ["left@a.txt", "right.txt"], "outs": ["join.txt"]},
    "left": {"foreach": ["a", "b"], "do": {"cmd": "touch left@${item}.txt", "outs": ["left@${item}.txt"]}},
    "right": {"cmd": "touch right.txt", "deps": ["root.txt"], "outs": ["right.txt"]},
    "root": {"cmd": "touch root.txt", "outs": ["root.txt"]},
}


def test_each_stage_follows_its_upstream_stages(make_dvc_project: MakeDvcProject) -> None:
    make_dvc_project(STAGES)
    upstream = {stage: list(planned.upstream) for stage, planned in read_plan().items()}
    assert upstream == {"left@a": [], "left@b": [], "root": [], "right": ["root"], "join": ["left@a", "right"]}
    order = list(upstream)
    assert all(order.index(name) < order.index(stage) for stage, names in upstream.items() for name in names)


@pytest.mark.parametrize(
    ("target", "stages"),
    [("right", {"root", "right"}), ("left", {"left@a", "left@b"}), ("left@b", {"left@b"}), ("root", {"root"})],
)
def test_a_target_includes_the_stages_that_it_needs(
    make_dvc_project: MakeDvcProject, target: str, stages: set[str]
) -> None:
    make_dvc_project(STAGES)
    assert set(read_plan([target])) == stages


def test_the_upstream_of_a_frozen_stage_is_not_included(make_dvc_project: MakeDvcProject) -> None:
    make_dvc_project({**STAGES, "right": {**STAGES["right"], "frozen": True}})
    assert read_plan(["right"]) == {"right": PlannedStage((), (("", "not run yet"),))}


def test_an_unknown_target_is_named(make_dvc_project: MakeDvcProject) -> None:
    make_dvc_project(STAGES)
    with pytest.raises(DvcException, match="'nosuch' not found"):
        read_plan(["nosuch"])


COPY_STAGES = {
    "first": {"cmd": "cp input.txt first.txt", "deps": ["input.txt"], "params": ["a", "b"], "outs": ["first.txt"]},
    "second": {"cmd": "cp first.txt second.txt", "deps": ["first.txt"], "outs": ["second.txt"]},
}


@pytest.mark.slow
def test_the_reason_to_run_names_the_changes(make_dvc_project: MakeDvcProject, environment: dict[str, str]) -> None:
    project = make_dvc_project(COPY_STAGES)
    (project / "params.yaml").write_text("a: 1\nb: 2\n")
    new = read_plan()
    assert [reason_to_run(new, stage) for stage in new] == ["not run yet"] * 2

    subprocess.run([sys.executable, "-m", "dvc", "repro", "-q"], env=environment, check=True)
    assert [planned.changes for planned in read_plan().values()] == [(), ()]

    (project / "params.yaml").write_text("a: 1\nb: 3\n")
    (project / "input.txt").write_text("2\n")
    (project / "second.txt").unlink()
    plan = read_plan()
    assert plan["first"].changes == (("input.txt", "modified"), ("params.yaml: b", "modified"))
    assert reason_to_run(plan, "second") == "second.txt deleted"

    (project / "second.txt").write_text("1\n")
    plan = read_plan()
    assert plan["second"].changes == ()
    assert reason_to_run(plan, "second") == "if the outputs of first change"


def test_many_changes_are_counted() -> None:
    plan = {"a": PlannedStage((), tuple((name, "modified") for name in "uvwxyz"))}
    assert reason_to_run(plan, "a") == "u modified, v modified, w modified, x modified, 2 more"
