"""The command line's part for `kadr serve`: search, photos and the judging mode over HTTP, and their page."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kadr.cli.search import IndexFolder, load
from kadr.errors import InputError
from kadr.project import PROJECT

if TYPE_CHECKING:
    from kadr.serve import Judging

TABLES = Path("data/tables")
REPORTS = Path("reports")


def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen at; other than this machine's own wants a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    token: Annotated[
        str | None, typer.Option(envvar="KADR_TOKEN", help="That every request has to bring; 16 characters or more.")
    ] = None,
    index: IndexFolder = PROJECT.index,
    ratings: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Where the page's ratings go; ratings_long.csv in ingest.source.")
    ] = None,
) -> None:
    """Serve search, photos and the judging mode, with a page for people and an API (docs/serve.md)."""
    try:
        from kadr.serve import Limits, Live, Metrics, Service, check_address, run
    except ImportError as error:
        raise InputError(f"kadr serve wants {error.name}; install it with `pip install 'kadr[web]'`") from error
    from kadr.params import load_params

    check_address(host, token)
    its = PROJECT.artifacts_of(index)
    params = load_params(its.params)
    watched = (index, its.text_encoders, its.relevance, its.params)
    live = Live(partial(load, index), watched)
    service = Service(live, _judging(ratings or Path(params.ingest.source) / "ratings_long.csv"), Limits(), Metrics())
    _announce(service.judging, f"http://{host}:{port}/", len(service.searcher.index.photos))
    run(service, host, port, token)


def _judging(path: Path) -> "Judging":
    """The judging mode; where ratings cannot be kept, the page and the log say why."""
    from kadr.serve import Judging, RatingsFile

    try:
        ratings: RatingsFile | InputError = RatingsFile(path)
    except InputError as error:
        ratings = error
    return Judging(ratings, REPORTS / "rate_next.csv", TABLES / "queries.parquet")


def _announce(judging: "Judging", address: str, n_photos: int) -> None:
    typer.echo(f"{n_photos:,} photos at {address}; Ctrl-C ends it")
    if judging.refusal:
        typer.echo(f"kadr: no judging: {judging.refusal}", err=True)
