"""Tests of the level of log lines, and of the reason of a failure that left no record."""

import logging

import pytest

from flows.stage_log import explain_log, line_level

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
    assert explain_log(lines, 1) == message


@pytest.mark.parametrize(
    ("exit_code", "message"),
    [(-9, "killed by signal 9 (SIGKILL). The machine probably ran out of memory."), (139, "killed by signal 11 (")],
)
def test_a_signal_is_named(exit_code: int, message: str) -> None:
    failed = f"ERROR: failed to reproduce 'train': failed to run: python -m tasks.train, exited with {exit_code}"
    assert explain_log([*START, "train: fold 1 of 5", failed], 255).startswith(message)
    assert explain_log([], exit_code).startswith(message)


def test_each_line_has_the_level_of_its_message() -> None:
    lines = {
        "train: fold 1 of 5": logging.INFO,
        "train: warning: fold 1 has no pairs:": logging.WARNING,
        "  error: is the name of a query": logging.WARNING,
        "/x/y.py:1: UserWarning: deprecated": logging.WARNING,
        "2026/11/30 18:52:07 INFO mlflow.store.db.utils: Updating database tables": logging.INFO,
        "2026/11/30 18:52:21 WARNING mlflow.tracking.fluent: no experiment": logging.WARNING,
        "2026-11-30 18:32:44,177\tERROR actor.py:1 -- the actor died": logging.ERROR,
        "embed_texts@clip: error: 2 texts have no vector": logging.ERROR,
        "Traceback (most recent call last):": logging.ERROR,
        '  File "x.py", line 1, in <module>': logging.ERROR,
        "ValueError: bad": logging.ERROR,
        "train: 0 errors found": logging.INFO,
        DVC: logging.ERROR,
    }
    level, levels = logging.INFO, []
    for line in lines:
        level = line_level(line, level)
        levels.append(level)
    assert levels == list(lines.values())
