"""Tests of the error message that the flow takes from the log of a stage."""

import pytest

from flows.subprocess_tasks import last_message

START = ["Running stage 'train':", "> python -m tasks.train"]
DVC = "ERROR: failed to reproduce 'train': failed to run: python -m tasks.train, exited with 1"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([*START, "train: fold 1 of 5", "train: no ratings", DVC], "train: no ratings"),
        (
            [*START, "train: params.yaml is not valid:", "  seed: missing", "  x: unknown", DVC],
            "train: params.yaml is not valid:\n  seed: missing\n  x: unknown",
        ),
        ([*START, "Traceback:", '  File "x.py"', "ValueError: bad", DVC], "ValueError: bad"),
        ([*START, DVC], DVC.removeprefix("ERROR: ")),
        (
            ["ERROR: failed to reproduce 'train': missing data 'source': x"],
            "failed to reproduce 'train': missing data 'source': x",
        ),
        ([], "no output"),
    ],
    ids=["one line", "indented lines", "traceback", "silent stage", "error of DVC", "no output"],
)
def test_the_message_of_the_stage_is_preferred(lines: list[str], message: str) -> None:
    assert last_message(lines) == message
