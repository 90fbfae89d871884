"""The command `kadr mcp`: start the MCP server, with which language models search the images."""

import contextlib
import logging
from functools import partial
from typing import Annotated

import typer

from kadr.cli.search import IndexFolder
from kadr.cli.serve import watch_searcher
from kadr.errors import InputError, SearchError
from kadr.project import PROJECT


def mcp(
    *,
    index: IndexFolder,
    http: Annotated[
        int | None,
        typer.Option(
            metavar="PORT",
            min=1,
            max=65535,
            help="Answer at http://127.0.0.1:PORT/mcp (streamable HTTP). Default: standard input and output.",
        ),
    ] = None,
) -> None:
    """Start an MCP server, with which a language model searches your photos. See docs/client.md."""
    try:
        import mcp as _sdk  # noqa: F401
    except ModuleNotFoundError as error:
        raise InputError("kadr mcp needs the package mcp. Install it with `pip install 'kadr[mcp]'`.") from error
    from kadr.serve import ThumbnailCache
    from kadr.serve.mcp import create_mcp_server

    logging.getLogger().setLevel(logging.WARNING)
    if not index.exists():
        raise SearchError(f"{index}: the index does not exist. Index your photos first: run `kadr index FOLDER`.")
    server = create_mcp_server(partial(watch_searcher, index), ThumbnailCache(PROJECT.thumbnails))
    with contextlib.suppress(KeyboardInterrupt):
        if http is None:
            server.run("stdio")
        else:
            typer.echo(f"Answering at http://127.0.0.1:{http}/mcp. Press Ctrl-C to stop.", err=True)
            server.run("streamable-http", host="127.0.0.1", port=http)
