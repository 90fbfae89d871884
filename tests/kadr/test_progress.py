"""Tests of the progress display."""

import logging

import pytest

from kadr import progress as module
from kadr.progress import progress


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "kadr.progress")
    return caplog


def test_progress_is_logged_at_the_end(log: pytest.LogCaptureFixture) -> None:
    with progress("embed images", 3) as advance:
        advance(1)
        assert log.messages == []
        advance(2)
    assert [message.split(",")[0] for message in log.messages] == ["embed images: 3 of 3"]


def test_progress_is_logged_in_intervals(log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOG_INTERVAL_S", 0.0)
    with progress("hash files", 3) as advance:
        for _ in range(3):
            advance(1)
    assert [message.split(",")[0] for message in log.messages] == [f"hash files: {n} of 3" for n in (1, 2, 3)]


def test_nothing_is_logged_without_items(log: pytest.LogCaptureFixture) -> None:
    with progress("hash files", 0) as advance:
        advance(0)
    assert log.messages == []


def test_a_bar_is_shown_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with progress("embed images", 2) as advance:
        advance(2)
    assert "2/2" in capsys.readouterr().err
