"""Tests of the checks that `kadr serve` runs before it starts the server."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from kadr.cli import main as cli


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


def test_the_command_needs_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli.app, ["serve"])
    assert result.exit_code == 1
    assert "params.yaml" in result.output
