"""The command `kadr serve`: start the HTTP server with the web page and the API."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kadr.cli.search import IndexFolder, load_index_searcher
from kadr.errors import InputError
from kadr.project import PROJECT

if TYPE_CHECKING:
    from kadr.serve import Annotation


def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on. An address that other machines can reach requires --token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="TCP port to listen on.")] = 8000,
    token: Annotated[
        str | None, typer.Option(envvar="KADR_TOKEN", help="Access token of at least 16 characters. Default: no token.")
    ] = None,
    index: IndexFolder = PROJECT.index,
    ratings: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="CSV file that stores ratings from the page. Default: ratings_long.csv in ingest.source.",
        ),
    ] = None,
) -> None:
    """Start a server with a web page and an HTTP API for search and annotation. See docs/serve.md."""
    try:
        from kadr.serve import HotReload, Limits, ServerMetrics, Service, check_address, run_server
    except ImportError as error:
        raise InputError(
            f"kadr serve requires the package {error.name}, which is not installed. Install it with "
            "`pip install 'kadr[serve]'`."
        ) from error
    from kadr.params import load_params

    check_address(host, token)
    artifacts = PROJECT.index_artifacts(index)
    params = load_params(artifacts.params)
    watched_paths = (index, artifacts.text_encoders, artifacts.relevance, artifacts.params)
    hot_reload = HotReload(partial(load_index_searcher, index), watched_paths)
    annotation = _open_annotation(ratings or Path(params.ingest.source) / "ratings_long.csv")
    service = Service(hot_reload, annotation, Limits(), ServerMetrics())
    _print_start(f"http://{host}:{port}/", len(service.searcher.index.table), annotation.error)
    run_server(service, host, port, token)


def _open_annotation(ratings_path: Path) -> "Annotation":
    """Open the ratings file for annotation mode. If the file is invalid, the page shows the error."""
    from kadr.serve import Annotation, RatingsFile

    try:
        ratings: RatingsFile | InputError = RatingsFile(ratings_path)
    except InputError as error:
        ratings = error
    return Annotation(ratings, PROJECT.rate_next, PROJECT.queries)


def _print_start(address: str, n_images: int, annotation_error: str | None) -> None:
    typer.echo(f"Serving {n_images:,} photos at {address}. Press Ctrl-C to stop.")
    if annotation_error:
        typer.echo(f"kadr: annotation mode is not available. {annotation_error}", err=True)
