"""Tests of the machine checks, with and without problems."""

import os
from pathlib import Path

import numpy as np
import pytest

from kadr.operations.doctor.machine_checks import (
    check_cores,
    check_disks,
    check_folders,
    check_packages,
    check_precision,
    check_python,
)


@pytest.mark.parametrize(
    ("lock", "message"),
    [
        ("numpy==0.1\n", "numpy is"),
        ("no-such-package==1\n", "no-such-package is missing"),
        ("numpy = 1\n", "cannot be read"),
        (None, "requirements.lock is missing"),
    ],
)
def test_a_package_that_differs_from_the_lock_is_named(lock: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "requirements.lock"
    if lock is not None:
        path.write_text(lock)
    (finding,) = check_packages(path)
    assert finding.state == "problem"
    assert message in finding.message


def test_packages_that_match_the_lock_are_ok_and_markers_are_evaluated(tmp_path: Path) -> None:
    path = tmp_path / "requirements.lock"
    path.write_text(f"numpy=={np.__version__}\nno-such-package==1 ; python_full_version < '3'\n")
    (finding,) = check_packages(path)
    assert (finding.state, finding.message) == ("ok", f"1 packages match {path}")


def test_a_read_only_folder_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (finding,) = check_folders([tmp_path / "not" / "yet"])
    assert finding.state == "ok"
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    (finding,) = check_folders([tmp_path / "not" / "yet"])
    assert finding.fix.startswith(f"chmod -R u+w {tmp_path}")


def test_a_full_disk_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kadr.operations.doctor.machine_checks.MIN_FREE_BYTES", 1e30)
    (finding,) = check_disks([tmp_path, tmp_path / "not yet"])
    assert finding.state == "problem"


def test_more_threads_than_cores_are_noted() -> None:
    assert [finding.state for n in (1, 4096) for finding in check_cores(n)] == ["ok", "note"]


def test_this_python_is_supported_and_has_a_precision() -> None:
    (python,) = check_python()
    assert python.state == "ok"
    (precision,) = check_precision()
    assert "`precision: auto` selects" in precision.message
