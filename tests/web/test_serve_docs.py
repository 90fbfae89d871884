"""Test that the commands and the API examples in docs/serve.md work."""

import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from fastapi import FastAPI
from PIL import Image
from typer.testing import CliRunner

import kadr.cli.serve
import kadr.serve
from kadr.cli import main as cli
from kadr.index import Index
from kadr.search import Searcher
from kadr.serve import Service, create_app

PAGE = Path(__file__).parents[2] / "docs" / "serve.md"
TOKEN = "0123456789abcdef"
Serve = Callable[[FastAPI], AbstractContextManager[str]]


def read_commands(language: str) -> list[str]:
    """Return the commands in all code blocks of a language, without comments."""
    blocks = re.findall(rf"(?ms)^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"))
    return [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]


@pytest.mark.parametrize("command", read_commands("bash"))
def test_every_start_command_reaches_the_server(
    command: str, project: Path, searcher: Searcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[tuple[Any, ...]] = []
    shutil.copy(project / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(kadr.cli.serve, "load_index_searcher", lambda _index: searcher)
    monkeypatch.setattr(kadr.serve, "run_server", lambda *arguments: starts.append(arguments))
    variable, _, arguments = command.partition("kadr serve")
    result = CliRunner().invoke(cli.app, ["serve", *arguments.split()], env={"KADR_TOKEN": TOKEN if variable else None})
    assert result.exit_code == 0, result.output
    ((_, host, _, token),) = starts
    assert (host, token) == (("0.0.0.0", TOKEN) if variable else ("127.0.0.1", None))


@pytest.fixture
def documented_service(make_service: Callable[..., Service], tmp_path: Path) -> Service:
    """A service whose index contains beach.jpg. The fixture also creates mine.jpg for uploads."""
    service = make_service()
    Image.new("RGB", (64, 48), "blue").save(tmp_path / "mine.jpg")
    index = service.searcher.index
    index = rename_first_image(index, "beach.jpg")
    searcher = replace(service.searcher, index=index)
    service.hot_reload.current = replace(service.hot_reload.current, searcher=searcher)
    return service


def rename_first_image(index: Index, image_id: str) -> Index:
    """Rename the first image of the index. The new name must keep the image IDs in sorted order."""
    ids = [image_id, *index.table["image_id"].to_pylist()[1:]]
    position = index.table.column_names.index("image_id")
    return replace(index, table=index.table.set_column(position, index.table.field(position), pa.array(ids)))


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_every_api_example_succeeds(documented_service: Service, serve: Serve, tmp_path: Path) -> None:
    commands = read_commands("sh")
    assert len(commands) == 14
    with serve(create_app(documented_service)) as address:
        for command in commands:
            result = subprocess.run(
                command.replace("http://127.0.0.1:8000", address).replace("curl -s", "curl -sS --fail-with-body"),
                shell=True,
                cwd=tmp_path,
                env={"PATH": os.environ["PATH"], "KADR_TOKEN": TOKEN},
                capture_output=True,
                text=True,
                check=False,
            )
            assert result.returncode == 0, f"{command}\n{result.stdout}{result.stderr}"
            is_empty = "/favourites/" in command or "/download" in command
            assert result.stdout.startswith("{") != is_empty, command
    assert zipfile.is_zipfile(tmp_path / "photos.zip")


def test_every_route_is_documented_and_every_documented_route_exists(make_service: Callable[..., Service]) -> None:
    documented = set(re.findall(r"^\| `([A-Z]+) (/\S+)`", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    paths = create_app(make_service()).openapi()["paths"]
    existing = {
        (method.upper(), path.replace("{image_id}", "ID").replace("{name}", "NAME"))
        for path, methods in paths.items()
        for method in methods
    }
    assert documented == existing
