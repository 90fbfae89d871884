"""Test that the examples in docs/client.md work."""

import json
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from fastapi import FastAPI
from typer.testing import CliRunner

import kadr
from kadr.cli import main as cli
from kadr.serve import create_app
from tests.test_docs import read_blocks
from tests.web.conftest import MakeService

PAGE = Path(__file__).parents[2] / "docs/client.md"
ADDRESS = "http://127.0.0.1:8000"
TOKEN = "0123456789abcdef"
PYTHON = read_blocks(PAGE, "python")


@pytest.mark.parametrize("example", PYTHON, ids=["sync", "async", "errors"])
def test_the_examples_run(
    example: str,
    make_service: MakeService,
    serve: Callable[[FastAPI], AbstractContextManager[str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    token = TOKEN if TOKEN in example else None
    with serve(create_app(make_service(), token)) as url:
        assert ADDRESS in example
        exec(compile(example.replace(ADDRESS, url), PAGE.name, "exec"), {})
    output = capsys.readouterr().out
    assert ("404 The index has no image 'unknown'" in output) == (token is not None)
    assert output


def test_the_table_of_methods_is_complete() -> None:
    cells = [line.split("|")[1] for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    documented = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    methods = {name for name in vars(kadr.Client) if name[0] != "_"} - {"close"}
    assert methods <= documented


@pytest.mark.parametrize(
    "command", [line.split("  #")[0].strip() for line in read_blocks(PAGE, "bash")[1].splitlines()]
)
def test_the_commands_start_the_mcp_server(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mcp", reason="the extra `mcp` is not installed")
    from mcp.server.mcpserver import MCPServer

    starts: list[tuple[str, dict[str, object]]] = []
    monkeypatch.setattr(MCPServer, "run", lambda _self, transport, **options: starts.append((transport, options)))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models" / "photos").mkdir(parents=True)
    monkeypatch.setenv("KADR_INDEX", str(tmp_path / "models" / "photos"))
    result = CliRunner().invoke(cli.app, command.split()[1:])
    assert result.exit_code == 0, result.output
    expected = ("streamable-http", {"host": "127.0.0.1", "port": 8001}) if "--http" in command else ("stdio", {})
    assert starts == [expected]


def test_the_configuration_of_the_hosts_names_the_command() -> None:
    (block,) = read_blocks(PAGE, "json")
    assert json.loads(block)["mcpServers"]["photos"] == {"command": "kadr", "args": ["mcp"]}
