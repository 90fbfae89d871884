"""Tests of the MCP server with the client of the official SDK, in one process and over standard input and output."""

import asyncio
import base64
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytest.importorskip("mcp", reason="the extra `mcp` is not installed")

from mcp import Client, StdioServerParameters
from mcp_types import CallToolResult

from kadr.errors import SearchError
from kadr.search import Searcher
from kadr.serve import HotReload, ThumbnailCache
from kadr.serve.mcp import create_mcp_server
from tests.web.conftest import describe_image

N_IMAGES = 12

Talk = Callable[[Callable[[Client], Coroutine[Any, Any, Any]]], Any]


@pytest.fixture
def talk(searcher: Searcher) -> Talk:
    """A function that runs a conversation with an MCP server for 60 images."""

    def run(conversation: Callable[[Client], Coroutine[Any, Any, Any]]) -> Any:
        async def connect() -> Any:
            server = create_mcp_server(lambda: HotReload(lambda: searcher, []), ThumbnailCache(None))
            async with Client(server) as client:
                return await conversation(client)

        return asyncio.run(connect())

    return run


def call(talk: Talk, name: str, **arguments: object) -> CallToolResult:
    async def conversation(client: Client) -> CallToolResult:
        return await client.call_tool(name, arguments)

    return talk(conversation)


def names(result: CallToolResult) -> list[str]:
    assert not result.is_error, result.content
    return [image["name"] for image in result.structured_content["images"]]


def test_every_tool_has_a_description_and_schemas(talk: Talk) -> None:
    async def conversation(client: Client) -> list[Any]:
        return (await client.list_tools()).tools

    tools = {tool.name: tool for tool in talk(conversation)}
    assert set(tools) == {
        *("search_images", "similar_images", "score_image", "image_facts", "show_images", "count_images"),
    }
    for tool in tools.values():
        assert tool.description
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint
        assert tool.output_schema is not None
    assert "folder" in json.dumps(tools["search_images"].input_schema)


def test_images_are_found_by_text_filters_and_order(talk: Talk) -> None:
    found = call(talk, "search_images", text="red dog", k=5)
    assert names(found)[0].startswith("red dog")
    assert found.structured_content["more"] is True
    assert json.loads(found.content[0].text) == found.structured_content
    filtered = call(talk, "search_images", filters={"name": "blue*"}, sort="name", k=50)
    assert filtered.structured_content["n_images"] == 20
    assert names(filtered) == sorted(name for name in names(filtered) if name.startswith("blue"))
    assert names(call(talk, "search_images", text="red dog", k=2, offset=1)) == names(found)[1:3]


def test_similar_images_are_found_by_id_and_by_path(talk: Talk, tmp_path: Path) -> None:
    assert names(call(talk, "similar_images", image_id=describe_image(0)[0], k=3))
    Image.new("RGB", (60, 60), "blue").save(tmp_path / "query.png")
    found = call(talk, "similar_images", path=str(tmp_path / "query.png"), filters={"name": "blue*"}, k=3)
    assert all(name.startswith("blue") for name in names(found))


def test_facts_scores_and_counts_are_structured(talk: Talk) -> None:
    image_id = describe_image(4)[0]
    facts = call(talk, "image_facts", image_id=image_id).structured_content
    assert (facts["image_id"], facts["width"], facts["height"]) == (image_id, 120, 160)
    relevance = call(talk, "score_image", image_id=image_id, text="green cat").structured_content["relevance"]
    assert 0 <= relevance <= 1
    counts = call(talk, "count_images", filters={"name": "red*"}).structured_content
    assert counts["n_images"] == 20
    assert counts["folders"]


def test_thumbnails_are_returned_when_asked(talk: Talk) -> None:
    image_id = describe_image(0)[0]
    shown = call(talk, "show_images", image_ids=[image_id], side=160)
    assert shown.structured_content == {"image_ids": [image_id]}
    (image,) = shown.content[1:]
    assert image.mime_type == "image/jpeg"
    assert Image.open(io.BytesIO(base64.b64decode(image.data))).size == (160, 120)
    found = call(talk, "search_images", text="red dog", k=3, thumbnails=True)
    assert [block.type for block in found.content] == ["text", *["image"] * len(names(found))]


@pytest.mark.parametrize(
    ("tool", "arguments", "message"),
    [
        ("image_facts", {"image_id": "none"}, "The index has no image 'none'"),
        ("similar_images", {"image_id": "none"}, "The index has no image 'none'"),
        ("similar_images", {}, "Name either image_id or path"),
        ("similar_images", {"path": "/no/such.jpg"}, "/no/such.jpg: the image cannot be read"),
        ("search_images", {"text": "dog", "k": 1000}, "less than or equal to 50"),
        ("search_images", {"text": "dog", "filters": {"unknown": 1}}, "unknown"),
        ("search_images", {"filters": {"favourites": True}}, "stores no favourites"),
        ("show_images", {"image_ids": []}, "at least 1"),
    ],
)
def test_errors_are_reported_to_the_model(talk: Talk, tool: str, arguments: dict, message: str) -> None:
    result = call(talk, tool, **arguments)
    assert result.is_error
    assert message in result.content[0].text


def test_an_index_that_cannot_be_loaded_is_reported_by_every_tool() -> None:
    def load() -> HotReload:
        raise SearchError("models/photos: the index cannot be read.")

    async def conversation() -> CallToolResult:
        async with Client(create_mcp_server(load, ThumbnailCache(None))) as client:
            return await client.call_tool("count_images", {})

    result = asyncio.run(conversation())
    assert result.is_error
    assert "models/photos: the index cannot be read." in result.content[0].text


@pytest.mark.slow
def test_the_command_answers_over_standard_input_and_output(shared: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for path in sorted((shared / "flickr8k" / "train_images").iterdir())[:N_IMAGES]:
        shutil.copy(path, photos)
    kadr = str(Path(sys.executable).with_name("kadr"))
    environment = os.environ | {"KADR_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"}
    model = str(shared.resolve() / "encoders" / "clip-mobilenetv2-flickr8k")
    subprocess.run([kadr, "index", photos, "--model", model], cwd=tmp_path, env=environment, check=True)

    async def conversation() -> tuple[CallToolResult, CallToolResult]:
        parameters = StdioServerParameters(command=kadr, args=["mcp"], env=environment, cwd=tmp_path)
        async with Client(parameters) as client:
            found = await client.call_tool("search_images", {"text": "a dog", "k": 3, "thumbnails": True})
            return found, await client.call_tool("image_facts", {"image_id": "none"})

    found, error = asyncio.run(conversation())
    assert len(names(found)) == 3
    assert sum(block.type == "image" for block in found.content) == 3
    assert error.is_error

    lines = [json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"})]
    process = subprocess.run(
        [kadr, "mcp"],
        input="\n".join(lines) + "\n",
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert all(json.loads(line)["jsonrpc"] == "2.0" for line in process.stdout.splitlines())
    assert process.returncode == 0, process.stderr


def test_a_missing_index_is_an_error_on_standard_error(tmp_path: Path) -> None:
    environment = os.environ | {"KADR_HOME": str(tmp_path / "home")}
    command = [Path(sys.executable).with_name("kadr"), "mcp", "--index", tmp_path / "none"]
    process = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (process.returncode, process.stdout) == (1, "")
    assert "kadr: error: " in process.stderr
    assert "does not exist" in process.stderr
