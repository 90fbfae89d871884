"""What the flow reads of DVC's DAG."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dvc.exceptions import DvcException

from flows.dag import read_upstream

pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")  # pygtrie under DVC

STAGES = {
    "join": {"cmd": "cat left@a.txt right.txt > join.txt", "deps": ["left@a.txt", "right.txt"], "outs": ["join.txt"]},
    "left": {"foreach": ["a", "b"], "do": {"cmd": "touch left@${item}.txt", "outs": ["left@${item}.txt"]}},
    "right": {"cmd": "touch right.txt", "deps": ["root.txt"], "outs": ["right.txt"]},
    "root": {"cmd": "touch root.txt", "outs": ["root.txt"]},
}


def test_each_stage_comes_after_those_that_it_reads(toy: Callable[[dict[str, Any]], Path]) -> None:
    toy(STAGES)
    upstream = read_upstream()
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
    assert set(read_upstream([target])) == stages


def test_a_frozen_stage_is_not_brought_up_to_date_by_way_of_its_deps(toy: Callable[[dict[str, Any]], Path]) -> None:
    toy({**STAGES, "right": {**STAGES["right"], "frozen": True}})
    assert read_upstream(["right"]) == {"right": []}


def test_an_unknown_target_is_named(toy: Callable[[dict[str, Any]], Path]) -> None:
    toy(STAGES)
    with pytest.raises(DvcException, match="'nosuch' not found"):
        read_upstream(["nosuch"])
