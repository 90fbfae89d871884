"""The command `kadr serve`: start the HTTP server with the web page and the API."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kadr.cli.search import IndexFolder, load_index_searcher
from kadr.cli.settings import load_settings
from kadr.errors import InputError
from kadr.project import PROJECT

if TYPE_CHECKING:
    from kadr.serve import Annotation, HotReload

RATINGS_FILE = "ratings_long.csv"
"""Name of the file that stores the ratings from the page."""


def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on. An address that other machines can reach requires --token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="TCP port to listen on.")] = 8000,
    token: Annotated[
        str | None, typer.Option(envvar="KADR_TOKEN", help="Access token of at least 16 characters. Default: no token.")
    ] = None,
    *,
    index: IndexFolder,
    ratings: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="CSV file that stores ratings from the page. Default: ratings_long.csv in ingest.source of a project, "
            "otherwise in your own data folder.",
        ),
    ] = None,
) -> None:
    """Start a server with a web page and an HTTP API for search and annotation. See docs/serve.md."""
    from kadr.serve import (
        Collections,
        Limits,
        ServerMetrics,
        Service,
        ThumbnailCache,
        check_address,
        run_server,
    )

    host = host.strip("[]")  # an IPv6 address can be written as in a URL
    check_address(host, token)
    hot_reload = watch_searcher(index)
    annotation = _open_annotation(ratings or _ratings_folder(index) / RATINGS_FILE)
    service = Service(
        hot_reload,
        annotation,
        Limits(),
        ServerMetrics(),
        Collections(PROJECT.collections),
        thumbnails=ThumbnailCache(PROJECT.thumbnails),
    )
    _print_start(
        f"http://{f'[{host}]' if ':' in host else host}:{port}/", len(service.searcher.index.table), annotation.error
    )
    run_server(service, host, port, token)


def watch_searcher(index: Path) -> "HotReload":
    """Load a searcher for an index. It is replaced when the index, the models or the settings change.

    Args:
        index: folder of the index or of the champion.
    """
    from kadr.serve import HotReload

    artifacts = PROJECT.index_artifacts(index)
    watched_paths = (index, artifacts.text_encoders, artifacts.relevance, artifacts.params)
    return HotReload(partial(load_index_searcher, index), watched_paths)


def _ratings_folder(index: Path) -> Path:
    """Return the folder of the ratings: the raw dataset of the project, or the user's data folder."""
    from kadr.params import Params

    settings = load_settings(index)
    return PROJECT.ratings_folder(settings.ingest.source if isinstance(settings, Params) else Path())


def _open_annotation(ratings_path: Path) -> "Annotation":
    """Open the ratings file for annotation mode. If the file is invalid, the page shows the error."""
    from kadr.serve import Annotation, RatingsFile
    from kadr.serve.annotation_scale import read_annotation_scale

    try:
        ratings: RatingsFile | InputError = RatingsFile(ratings_path)
    except InputError as error:
        ratings = error
    scale = read_annotation_scale(PROJECT.metrics / "ingest.json")
    return Annotation(ratings, PROJECT.rate_next, PROJECT.queries, scale)


def _print_start(address: str, n_images: int, annotation_error: str | None) -> None:
    typer.echo(f"Serving {n_images:,} photos at {address}. Press Ctrl-C to stop.")
    if annotation_error:
        typer.echo(f"kadr: annotation mode is not available. {annotation_error}", err=True)
