"""Tests of printed search results: odd file names, encodings, pipes and lists of paths."""

import io
import json
import logging
import sys

import pytest
import typer

from kadr.cli.console import PrintableFormatter, escape_unencodable
from kadr.cli.search_output import OutputFormat, Results, choose_format, print_results
from kadr.search import Match, Reading

ODD_NAMES = [
    "-rf.jpg",
    "a\nb.jpg",
    "tab\there.jpg",
    "[bold red]x.jpg",
    "[/].jpg",
    "esc\x1b]0;owned\x07.jpg",
    "csi\x9b31m.jpg",
    "right\u202eto left.jpg",
    "Фото.jpg",
    "e\u0301te\u0301.jpg",
    " lead.jpg",
    "not utf-8 \udcff.jpg",
]
MATCHES = [Match(name, name, 0.5, None) for name in ODD_NAMES]
LONG_PATH = "/photos/" + "a very long album name of a holiday/" * 12 + "IMG 0001.jpg"


class Stream(io.TextIOWrapper):
    """A standard output that is a terminal or a pipe, with an encoding."""

    def __init__(self, encoding: str, *, is_terminal: bool) -> None:
        self.content = io.BytesIO()
        self.is_terminal = is_terminal
        super().__init__(self.content, encoding=encoding)

    def isatty(self) -> bool:
        return self.is_terminal

    def written(self) -> bytes:
        self.flush()
        return self.content.getvalue()


def capture(
    monkeypatch: pytest.MonkeyPatch,
    output_format: OutputFormat,
    matches: list[Match] = MATCHES,
    *,
    encoding: str = "utf-8",
    is_terminal: bool = False,
    title: str = "a dog",
    reading: Reading | None = None,
) -> bytes:
    """Print matches to a stream and return the written bytes."""
    stream = Stream(encoding, is_terminal=is_terminal)
    monkeypatch.setattr(sys, "stdout", stream)
    escape_unencodable()
    print_results(Results(title, matches, len(matches)), output_format, reading)
    return stream.written()


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
@pytest.mark.parametrize("is_terminal", [True, False])
def test_no_control_character_is_written(encoding: str, is_terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    table = capture(
        monkeypatch, OutputFormat.TABLE, encoding=encoding, is_terminal=is_terminal, title="\x1b[31m[/] \udcff"
    )
    text = table.decode(encoding)
    assert not any(character in text for character in "\x1b\x07\x9b\u202e\t")
    assert [f"a{backslash}nb.jpg" in text for backslash in "\\"] == [True]
    assert "[bold red]x.jpg" in text
    rows = [line for line in text.splitlines() if line.lstrip("│|║").strip()[:1].isdigit()]
    assert len(rows) == len(ODD_NAMES)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_json_gives_every_name_back(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    content = capture(monkeypatch, OutputFormat.JSON, encoding=encoding).decode(encoding)
    assert [match["path"] for match in json.loads(content)["matches"]] == ODD_NAMES
    assert not any(character in content for character in "\x1b\x9b\u202e")


@pytest.mark.parametrize(("output_format", "end"), [(OutputFormat.PATHS, b"\n"), (OutputFormat.PRINT0, b"\0")])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_list_of_paths_contains_the_bytes_of_the_names(
    output_format: OutputFormat,
    end: bytes,
    encoding: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    content = capture(monkeypatch, output_format, encoding=encoding)
    assert content == b"".join(name.encode("utf-8", "surrogateescape") + end for name in ODD_NAMES)
    assert ("1 paths contain a line break" in capsys.readouterr().err) == (end == b"\n")


def test_a_list_of_paths_on_a_terminal_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    content = capture(monkeypatch, OutputFormat.PATHS, is_terminal=True).decode()
    assert r"esc\x1b]0;owned\x07.jpg" in content.splitlines()


def test_no_match_is_an_empty_list(monkeypatch: pytest.MonkeyPatch) -> None:
    assert capture(monkeypatch, OutputFormat.PRINT0, []) == b""


def test_nothing_is_folded_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    matches, title = [Match("a", LONG_PATH, 0.5, None)], "a dog " * 100
    lines = capture(monkeypatch, OutputFormat.TABLE, matches, title=title).decode().splitlines()
    assert title in lines
    assert sum(LONG_PATH in line for line in lines) == 1


def test_a_remote_path_with_a_space_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    matches = [Match("a", "s3://bucket/a \x1b b.jpg", 0.5, None)]
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    content = capture(monkeypatch, OutputFormat.TABLE, matches, is_terminal=True)
    assert b"s3://bucket/a%20%1B%20b.jpg" in content
    assert rb"a \x1b b.jpg" in content


def test_the_reading_of_a_query_is_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    reading = Reading("dog - people", ("The sign is part of the text.",))
    assert b"Read as: dog - people\n" in capture(monkeypatch, OutputFormat.TABLE, reading=reading)
    assert capsys.readouterr().err == "kadr: The sign is part of the text.\n"
    output = json.loads(capture(monkeypatch, OutputFormat.JSON, reading=reading))
    assert (output["read_as"], output["hints"]) == ("dog - people", ["The sign is part of the text."])


def test_formats_exclude_each_other() -> None:
    assert choose_format(as_json=False, paths=False, print0=True) is OutputFormat.PRINT0
    with pytest.raises(typer.BadParameter, match="--json and --paths exclude each other"):
        choose_format(as_json=True, paths=True, print0=False)


def test_log_messages_contain_no_control_characters() -> None:
    record = logging.LogRecord("kadr", logging.INFO, "", 0, "bad\x1b[31m.jpg\nnext line", None, None)
    assert PrintableFormatter("%(message)s").format(record) == "bad\\x1b[31m.jpg\nnext line"


def test_a_date_of_the_file_alone_is_marked(capsys: pytest.CaptureFixture[str]) -> None:
    matches = [
        Match("a", "a.jpg", 0.5, None, taken="2019-08-15T10:00:00", taken_source="exif"),
        Match("b", "b.jpg", 0.4, None, taken="2024-01-02T03:04:05", taken_source="file"),
        Match("c", "c.jpg", 0.3, None),
    ]
    print_results(Results("dog", matches, 3), OutputFormat.TABLE)
    table = capsys.readouterr().out
    assert "2019-08-15 " in table
    assert "2019-08-15 (file)" not in table
    assert "2024-01-02 (file)" in table
    print_results(Results("dog", matches, 3), OutputFormat.JSON)
    found = json.loads(capsys.readouterr().out)["matches"]
    assert [(match["taken"], match["taken_source"]) for match in found] == [
        ("2019-08-15T10:00:00", "exif"),
        ("2024-01-02T03:04:05", "file"),
        (None, None),
    ]


def test_a_closed_stream_discards_what_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    escape_unencodable()
    print_results(Results("a dog", MATCHES, len(MATCHES)), OutputFormat.PATHS)
    sys.stdout.close()
