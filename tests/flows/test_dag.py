"""What the flow reads of DVC's DAG."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dvc.exceptions import DvcException

from flows.dag import Planned, read_plan, why

pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")  # pygtrie under DVC

STAGES = {
    "join": {"cmd": "cat left@a.txt right.txt > join.txt", "deps": ["left@a.txt", "right.txt"], "outs": ["join.txt"]},
    "left": {"foreach": ["a", "b"], "do": {"cmd": "touch left@${item}.txt", "outs": ["left@${item}.txt"]}},
    "right": {"cmd": "touch right.txt", "deps": ["root.txt"], "outs": ["right.txt"]},
    "root": {"cmd": "touch root.txt", "outs": ["root.txt"]},
}


def test_each_stage_comes_after_those_that_it_reads(toy: Callable[[dict[str, Any]], Path]) -> None:
    toy(STAGES)
    upstream = {stage: list(planned.upstream) for stage, planned in read_plan().items()}
    assert upstream == {"left@a": [], "left@b": [], "root": [], "right": ["root"], "join": ["left@a", "right"]}
    order = list(upstream)
    assert all(
        order.index(before) < order.index(stage) for stage, all_before in upstream.items() for before in all_before
    )


@pytest.mark.parametrize(
    ("target", "stages"),
    [("right", {"root", "right"}), ("left", {"left@a", "left@b"}), ("left@b", {"left@b"}), ("root", {"root"})],
)
def test_a_target_is_reached_with_all_that_it_needs(
    toy: Callable[[dict[str, Any]], Path], target: str, stages: set[str]
) -> None:
    toy(STAGES)
    assert set(read_plan([target])) == stages


def test_a_frozen_stage_is_not_brought_up_to_date_by_way_of_its_deps(toy: Callable[[dict[str, Any]], Path]) -> None:
    toy({**STAGES, "right": {**STAGES["right"], "frozen": True}})
    assert read_plan(["right"]) == {"right": Planned((), (("", "it has not run yet"),))}


def test_an_unknown_target_is_named(toy: Callable[[dict[str, Any]], Path]) -> None:
    toy(STAGES)
    with pytest.raises(DvcException, match="'nosuch' not found"):
        read_plan(["nosuch"])


RUN = {
    "first": {"cmd": "cp input.txt first.txt", "deps": ["input.txt"], "params": ["a", "b"], "outs": ["first.txt"]},
    "second": {"cmd": "cp first.txt second.txt", "deps": ["first.txt"], "outs": ["second.txt"]},
}


@pytest.mark.slow
def test_why_a_stage_will_run(toy: Callable[[dict[str, Any]], Path], environment: dict[str, str]) -> None:
    project = toy(RUN)
    (project / "params.yaml").write_text("a: 1\nb: 2\n")
    new = read_plan()
    assert [why(new, stage) for stage in new] == ["it has not run yet"] * 2

    subprocess.run([sys.executable, "-m", "dvc", "repro", "-q"], env=environment, check=True)
    assert [planned.changes for planned in read_plan().values()] == [(), ()]

    (project / "params.yaml").write_text("a: 1\nb: 3\n")
    (project / "input.txt").write_text("2\n")
    (project / "second.txt").unlink()
    plan = read_plan()
    assert plan["first"].changes == (("input.txt", "modified"), ("params.yaml: b", "modified"))
    assert why(plan, "second") == "second.txt deleted"

    (project / "second.txt").write_text("1\n")
    plan = read_plan()
    assert plan["second"].changes == ()
    assert why(plan, "second") == "after first, if what it reads changes"


def test_many_changes_are_counted() -> None:
    plan = {"a": Planned((), tuple((name, "modified") for name in "uvwxyz"))}
    assert why(plan, "a") == "u modified, v modified, w modified, x modified, 2 more"
