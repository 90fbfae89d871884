"""Run the commands of docs/flows.md that score pairs, in a copy of the finished project."""

import re
from pathlib import Path

import pytest

from tests.conftest import run
from tests.test_docs import read_block_commands

pytestmark = pytest.mark.slow


def test_the_commands_of_the_page_score_only_new_pairs(copy: Path, environment: dict[str, str], project: Path) -> None:
    blocks = read_block_commands(project / "docs/flows.md")
    write, first, second, latest, read = next(block for block in blocks if "data/pairs.csv" in block[0])
    run(write, copy, environment)
    assert "10 scored, 0 known, 0 set_aside" in run(first, copy, environment)
    assert "0 scored, 10 known, 0 set_aside" in run(second, copy, environment)
    assert "10 already scored" in run(latest, copy, environment)
    assert "[10 rows" in run(read, copy, environment)
    with (copy / "data/pairs.csv").open("a") as pairs:
        pairs.write("missing.jpg,a tree\n")
    assert re.search(r"Rows without a score: 1 \(.*No such file", run(latest, copy, environment))
