"""The commands `kadr search`, `kadr similar` and `kadr recommend`."""

import json
import logging
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from kadr.cli.console import console
from kadr.errors import InputError
from kadr.project import PROJECT

if TYPE_CHECKING:
    from kadr.search import Filters, Match, Searcher


FolderOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="Only return photos in a folder with this name or path.")
]
After = Annotated[
    datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only return photos taken on this day or later.")
]
Before = Annotated[
    datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only return photos taken before this day.")
]
MinSide = Annotated[
    int | None, typer.Option(metavar="PIXELS", min=1, help="Minimum length of the shorter side in pixels.")
]
MinRelevance = Annotated[float | None, typer.Option(min=0, max=1, help="Minimum predicted relevance, 0 to 1.")]
Colour = Annotated[
    str | None, typer.Option(metavar="NAME", help="Only return photos with this dominant colour, e.g. red.")
]
K = Annotated[int, typer.Option("-k", metavar="N", help="Maximum number of photos to return.")]
IndexFolder = Annotated[
    Path,
    typer.Option(
        "--index",
        "-i",
        metavar="DIR",
        envvar="KADR_INDEX",
        help="Index to search, e.g. models/photos (from `kadr index`) or models/champion (uses its own models).",
    ),
]
Grid = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write the results to an image file, e.g. results.png.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the results as JSON.")]
Open = Annotated[bool, typer.Option("--open", help="Show the results in the default image viewer.")]
Duplicates = Annotated[
    bool, typer.Option("--duplicates", help="Also return photos that are near-duplicates of better results.")
]


def search(
    query: Annotated[
        str,
        typer.Argument(
            metavar="QUERY", help='Description of the photos, e.g. "a dog in the snow" or "dog + 2*snow - people".'
        ),
    ],
    k: K = 5,
    *,
    like: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Photo to add to the query. Repeat the option to add several photos."),
    ] = None,
    unlike: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE", help="Photo to subtract from the query. Repeat the option to subtract several photos."
        ),
    ] = None,
    index: IndexFolder = PROJECT.index,
    folder: FolderOption = None,
    after: After = None,
    before: Before = None,
    min_side: MinSide = None,
    min_relevance: MinRelevance = None,
    colour: Colour = None,
    duplicates: Duplicates = False,
    grid: Grid = None,
    as_json: AsJson = False,
    open_: Open = False,
) -> None:
    """Search for photos by text.

    Use + to add a text, - to subtract a text, and a number with * to set the weight of a text.
    """
    from kadr.search import Query, parse_query
    from kadr.search.query import image_term

    images = [(1.0, path) for path in like or []] + [(-1.0, path) for path in unlike or []]
    terms = parse_query(query).terms + tuple(image_term(weight, _read_photo(path)) for weight, path in images)
    filters = _make_filters(folder, after, before, min_side=min_side, min_relevance=min_relevance, colour=colour)
    matches = _open_searcher(index).search(Query(terms, filters, not duplicates), k)
    _print_matches(query, matches, grid, as_json, open_)


def similar(
    photo: Annotated[
        Path, typer.Argument(metavar="PHOTO", help="Path of a photo. The photo does not have to be in the index.")
    ],
    k: K = 5,
    *,
    index: IndexFolder = PROJECT.index,
    folder: FolderOption = None,
    after: After = None,
    before: Before = None,
    min_side: MinSide = None,
    colour: Colour = None,
    grid: Grid = None,
    as_json: AsJson = False,
    open_: Open = False,
) -> None:
    """Search for photos that look like PHOTO."""
    content = _read_photo(photo)
    filters = _make_filters(folder, after, before, min_side=min_side, colour=colour)
    matches = _open_searcher(index, text_queries=False).similar(content, k, filters=filters)
    _print_matches(f"like {photo}", matches, grid, as_json, open_)


def recommend(
    photos: Annotated[list[Path] | None, typer.Argument(metavar="PHOTOS", help="Photos that you like.")] = None,
    *,
    likes: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Another photo that you like. Repeat the option to name several photos."),
    ] = None,
    dislikes: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Photo that you do not like. Repeat the option to name several photos."),
    ] = None,
    k: K = 5,
    diversity: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="Diversity of the results. 0 returns the most similar photos, and 1 returns the most varied photos.",
        ),
    ] = 0.3,
    index: IndexFolder = PROJECT.index,
    folder: FolderOption = None,
    grid: Grid = None,
    as_json: AsJson = False,
    open_: Open = False,
) -> None:
    """Recommend photos that are similar to PHOTOS, but different from each other."""
    liked = [_read_photo(path) for path in [*(likes or []), *(photos or [])]]
    disliked = [_read_photo(path) for path in dislikes or []]
    searcher = _open_searcher(index, text_queries=False)
    matches = searcher.recommend(liked, disliked, k, diversity, _make_filters(folder))
    _print_matches("recommended", matches, grid, as_json, open_)


def load_index_searcher(index: Path, *, text_queries: bool = True, many_queries: bool = True) -> "Searcher":
    """Load a searcher for an index. The searcher of a champion uses the models of that champion.

    Args:
        index: folder of the index or of the champion.
        text_queries: whether queries can contain texts.
        many_queries: whether to prepare all images in advance, so that each query takes less time.
    """
    from kadr.params import load_params
    from kadr.search import load_searcher

    artifacts = PROJECT.index_artifacts(index)
    params = load_params(artifacts.params)
    return load_searcher(artifacts, params, text_queries=text_queries, many_queries=many_queries)


def _open_searcher(index: Path, *, text_queries: bool = True) -> "Searcher":
    logging.getLogger().setLevel(logging.WARNING)
    return load_index_searcher(index, text_queries=text_queries, many_queries=False)


def _make_filters(
    folder: str | None = None,
    after: datetime | None = None,
    before: datetime | None = None,
    *,
    min_side: int | None = None,
    min_relevance: float | None = None,
    colour: str | None = None,
) -> "Filters":
    from kadr.search import Filters

    return Filters(folder, after and after.date(), before and before.date(), min_side, min_relevance, colour)


def _read_photo(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: the photo cannot be read ({error.strerror}). Check the path.") from error


def _print_matches(title: str, matches: "list[Match]", grid: Path | None, as_json: bool, open_: bool) -> None:
    """Print the matches. If requested, also draw an image of the matches, and save or show the image."""
    from kadr.search import draw_grid

    if as_json:
        typer.echo(json.dumps({"text": title, "matches": [asdict(match) for match in matches]}, ensure_ascii=False))
    elif matches:
        console().print(_match_table(title, matches))
    else:
        typer.echo("No photo matches. Remove a filter.")
    if grid is None and not open_:
        return
    image = draw_grid(title, matches)
    if grid is not None:
        _save_image(image, grid)
    if open_:
        image.show()


def _match_table(title: str, matches: "list[Match]") -> Table:
    table = Table(title=title, title_justify="left")
    for column in ("rank", "relevance", "cosine", "duplicates"):
        table.add_column(column, justify="right")
    table.add_column("path", overflow="fold")
    for rank, match in enumerate(matches, 1):
        relevance = "" if match.relevance is None else f"{match.relevance:.3f}"
        link = match.path if "://" in match.path else Path(match.path).absolute().as_uri()
        duplicates = f"+{match.n_duplicates}" if match.n_duplicates else ""
        path = Text(match.path, style=f"link {link}", overflow="fold")
        table.add_row(str(rank), relevance, f"{match.score:.3f}", duplicates, path)
    return table


def _save_image(image: Any, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: the image cannot be written ({error}). Use a file name that ends in .png or .jpg."
        ) from error
    typer.echo(f"Wrote {path}.", err=True)
