"""What the flow understands of a stage's log."""

import pytest

from flows.stage import last_message

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
        ([], "it said nothing"),
    ],
    ids=["one line", "indented lines", "a bug", "a silent stage", "DVC's own error", "nothing"],
)
def test_the_last_message_is_the_stages_own(lines: list[str], message: str) -> None:
    assert last_message(lines) == message
