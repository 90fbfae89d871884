"""Tests of scans in worker processes: order of the results, and limits on the time and memory of one image."""

import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kadr.io.bounded_decoding import FailedScan, scan_bounded
from kadr.params import DecodingParams

SCANS = """
import os, signal, sys, time

def misbehave(item, limits):
    if item == "slow":
        time.sleep(600)
    if item == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if item == "large":
        try:
            bytearray(10 ** 9)
        except MemoryError:
            return "no memory"
    if item == "bug":
        raise AttributeError("no such attribute")
    return item.upper()

def loaded_modules(item, limits):
    return item in sys.modules
"""
LIMITS = DecodingParams(seconds=2, memory_mb=500)


@pytest.fixture
def scan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Callable]]:
    """Function that returns a scan function by its name, from a module that worker processes can import."""
    (tmp_path / "odd_scans.py").write_text(SCANS)
    monkeypatch.syspath_prepend(tmp_path)
    import odd_scans

    yield lambda name: getattr(odd_scans, name)
    del sys.modules["odd_scans"]


def test_an_image_that_exceeds_a_limit_or_crashes_fails_alone(scan: Callable, caplog: pytest.LogCaptureFixture) -> None:
    good = [f"image {n}" for n in range(40)]
    items = ["crash", *good[:3], "slow", *good[3:20], "large", "bug", *good[20:]]
    with caplog.at_level(logging.WARNING):
        results = dict(zip(items, scan_bounded(scan("misbehave"), items, LIMITS), strict=True))
    failed = {"crash": FailedScan("broken"), "slow": FailedScan("too_slow"), "bug": FailedScan("broken")}
    assert results == {**failed, "large": "no memory", **{item: item.upper() for item in good}}
    assert caplog.messages == ["bug: the scan of this image failed (AttributeError: no such attribute)"]


def test_worker_processes_import_neither_torch_nor_the_main_module(scan: Callable) -> None:
    modules = ["kadr.io.image_scan", "torch", "pytest"]
    assert list(scan_bounded(scan("loaded_modules"), modules, LIMITS)) == [True, False, False]


def test_no_images_start_no_process() -> None:
    assert list(scan_bounded(str, [], LIMITS)) == []


def test_a_script_without_a_main_guard_can_scan_images(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from kadr.io.bounded_decoding import scan_bounded\n"
        "from kadr.io.image_scan import scan_file\n"
        "from kadr.params import DecodingParams\n"
        "print([scan.status for scan in scan_bounded(scan_file, ['missing.jpg'], DecodingParams())])\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("['unreadable']\n", 0), done.stderr
