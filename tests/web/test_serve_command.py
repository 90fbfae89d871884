"""The command `kadr serve`: what it refuses before anything is loaded."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from kadr.cli import main as cli


@pytest.mark.parametrize(
    ("arguments", "token", "told"),
    [
        (["--host", "0.0.0.0"], None, "kadr: --host 0.0.0.0 lets other machines ask"),
        (["--host", "0.0.0.0"], "short", "kadr: the token has to be 16 or more ASCII characters"),
        (["--token", "short"], None, "kadr: the token has to be 16 or more ASCII characters"),
    ],
)
def test_addresses_and_tokens_that_may_not_be(arguments: list[str], token: str | None, told: str) -> None:
    done = CliRunner().invoke(cli.app, ["serve", *arguments], env={"KADR_TOKEN": token})
    assert done.exit_code == 1
    assert told in done.output


def test_outside_a_project_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli.app, ["serve"])
    assert done.exit_code == 1
    assert "params.yaml: no such file" in done.output
