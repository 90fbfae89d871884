"""Tests of the checks that `kadr serve` runs before it starts the server."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

import kadr.cli.serve
import kadr.serve
from kadr.cli import main as cli
from kadr.search import Searcher


@pytest.mark.parametrize(
    ("arguments", "token", "message"),
    [
        (["--host", "0.0.0.0"], None, "--host 0.0.0.0 lets other machines connect"),
        (["--host", "0.0.0.0"], "short", "16 or more printable ASCII characters"),
        (["--token", "short"], None, "16 or more printable ASCII characters"),
    ],
)
def test_an_open_address_or_a_weak_token_ends_the_command(
    arguments: list[str], token: str | None, message: str
) -> None:
    result = CliRunner().invoke(cli.app, ["serve", *arguments], env={"KADR_TOKEN": token})
    assert result.exit_code == 1
    assert message in result.output


def test_the_command_needs_an_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KADR_HOME", str(tmp_path / "home"))
    result = CliRunner().invoke(cli.app, ["serve"])
    assert result.exit_code == 1
    assert "home/data/index: the index does not exist. Index your photos first: run `kadr index" in result.output


@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_an_ipv6_address_has_brackets(
    host: str, project: Path, searcher: Searcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts: list[str] = []
    shutil.copy(project / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(kadr.cli.serve, "load_index_searcher", lambda _index: searcher)
    monkeypatch.setattr(kadr.serve, "run_server", lambda _service, host, *_: hosts.append(host))
    result = CliRunner().invoke(cli.app, ["serve", "--host", host])
    assert "at http://[::1]:8000/." in result.output
    assert hosts == ["::1"]
