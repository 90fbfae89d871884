"""Tests of the `code` stage: which changes to the code run which stages."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from kadr.operations.code_hashes import PACKAGES, code_hashes, hash_source

STAGES = sorted(path.stem for path in Path(__file__).parents[2].glob("tasks/[a-z]*.py") if path.stem != "code")


@pytest.fixture
def changed_stages(tmp_path: Path, project: Path) -> Callable[[str, str], list[str]]:
    """Return a function that appends text to a copy of a code file, and returns the stages whose hashes change."""
    for package in PACKAGES:
        shutil.copytree(project / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(project / "pyproject.toml", tmp_path)

    def hash_stages() -> dict[str, dict[str, str]]:
        return {stage: code_hashes(f"tasks.{stage}", tmp_path) for stage in STAGES}

    def append(name: str, text: str) -> list[str]:
        before = hash_stages()
        with (tmp_path / name).open("a", encoding="utf-8") as file:
            file.write(text)
        return [stage for stage, hashes in hash_stages().items() if hashes != before[stage]]

    return append


def test_comments_and_docstrings_do_not_change_the_hash() -> None:
    code = 'def double(x):\n    """Double a number."""\n    return 2 * x\n'
    other = "def double( x ):  # a comment\n    return (2 * x)\n"
    assert hash_source(code) == hash_source(other)
    assert hash_source(code) != hash_source(code.replace("2", "3"))
    assert hash_source("x = 'a'") != hash_source("x = 'b'")


def test_a_change_affects_the_stages_that_import_the_file(changed_stages: Callable[[str, str], list[str]]) -> None:
    assert changed_stages("kadr/errors.py", "\n\n# A comment.\n") == []
    assert changed_stages("kadr/errors.py", "LIMIT = 1\n") == STAGES
    assert changed_stages("kadr/model/training.py", "LIMIT = 1\n") == ["train"]
    assert changed_stages("kadr/report/style.css", "p { margin: 0 }\n") == ["ingest", "report"]  # both write pages
    assert changed_stages("kadr/serve/app.py", "LIMIT = 1\n") == []
    assert changed_stages("kadr/report/backup.py~", "LIMIT = 1\n") == []
