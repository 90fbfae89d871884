"""The command line's part for questions: `kadr search`, `similar` and `recommend`."""

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


app = typer.Typer()

Folder = Annotated[str | None, typer.Option(metavar="NAME", help="Only photos in a folder of that name or path.")]
After = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only photos taken on that day or later.")]
Before = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only photos taken before that day.")]
MinSide = Annotated[int | None, typer.Option(min=1, help="Only photos whose shorter side has so many pixels.")]
MinRelevance = Annotated[float | None, typer.Option(min=0, max=1, help="Only photos that the model finds so relevant.")]
Colour = Annotated[str | None, typer.Option(help="Only photos that a colour covers much of, e.g. red.")]
K = Annotated[int, typer.Option("-k", help="How many photos to find.")]
IndexFolder = Annotated[
    Path,
    typer.Option(
        "--index",
        "-i",
        envvar="KADR_INDEX",
        help="What to search: models/photos of `kadr index`; models/champion, with its own models.",
    ),
]
Grid = Annotated[Path | None, typer.Option(metavar="OUT.png", help="Also write the photos as one picture.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, not a table.")]
Open = Annotated[bool, typer.Option("--open", help="Open the photos as one picture in the desktop's viewer.")]
Duplicates = Annotated[bool, typer.Option("--duplicates", help="Show near-duplicates, not only the best of them.")]


@app.command()
def search(
    words: Annotated[
        str,
        typer.Argument(metavar="TEXT", help='What the photo shows, e.g. "a dog in the snow", "dog + 2*snow - people".'),
    ],
    k: K = 5,
    *,
    like: Annotated[list[Path] | None, typer.Option(metavar="PHOTO", help="Also like this; may be repeated.")] = None,
    unlike: Annotated[list[Path] | None, typer.Option(metavar="PHOTO", help="And unlike this.")] = None,
    index: IndexFolder = PROJECT.index,
    folder: Folder = None,
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
    """Find the photos that show what TEXT says: texts added by +, taken away by -, each with a weight before a star."""
    from kadr.search import Query, parse_query
    from kadr.search.query import photo_term

    asked = parse_query(words)
    photos = [(1.0, path) for path in like or []] + [(-1.0, path) for path in unlike or []]
    terms = asked.terms + tuple(photo_term(weight, _content(path)) for weight, path in photos)
    query = Query(
        terms,
        _filters(folder, after, before, min_side=min_side, min_relevance=min_relevance, colour=colour),
        not duplicates,
    )
    _show(words, _searcher(index).search(query, k), grid, as_json, open_)


@app.command()
def similar(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="A photo's file, of the index or not.")],
    k: K = 5,
    *,
    index: IndexFolder = PROJECT.index,
    folder: Folder = None,
    after: After = None,
    before: Before = None,
    min_side: MinSide = None,
    colour: Colour = None,
    grid: Grid = None,
    as_json: AsJson = False,
    open_: Open = False,
) -> None:
    """Find the photos that look like PHOTO."""
    content = _content(photo)
    filters = _filters(folder, after, before, min_side=min_side, colour=colour)
    _show(f"like {photo}", _searcher(index, for_texts=False).similar(content, k, filters=filters), grid, as_json, open_)


@app.command()
def recommend(
    photos: Annotated[list[Path] | None, typer.Argument(metavar="PHOTOS", help="Photos that are liked.")] = None,
    *,
    likes: Annotated[list[Path] | None, typer.Option(metavar="PHOTO", help="One more that is liked.")] = None,
    dislikes: Annotated[list[Path] | None, typer.Option(metavar="PHOTO", help="And one that is not.")] = None,
    k: K = 5,
    diversity: Annotated[float, typer.Option(min=0, max=1, help="0: like the likes; 1: unlike each other.")] = 0.3,
    index: IndexFolder = PROJECT.index,
    folder: Folder = None,
    grid: Grid = None,
    as_json: AsJson = False,
    open_: Open = False,
) -> None:
    """Find photos like those that someone likes, and unlike each other."""
    liked, disliked = (
        [_content(path) for path in paths] for paths in ([*(likes or []), *(photos or [])], dislikes or [])
    )
    found = _searcher(index, for_texts=False).recommend(liked, disliked, k, diversity, _filters(folder))
    _show("recommended", found, grid, as_json, open_)


def _searcher(index: Path, *, for_texts: bool = True) -> "Searcher":
    logging.getLogger().setLevel(logging.WARNING)
    return load(index, for_texts=for_texts, for_many=False)


def load(index: Path, *, for_texts: bool = True, for_many: bool = True) -> "Searcher":
    """The searcher of an index or a champion, as the files are now."""
    from kadr.params import load_params
    from kadr.search import load_searcher

    its = PROJECT.artifacts_of(index)
    params = load_params(its.params)
    folders = (its.index, its.text_encoders, params, its.relevance)
    return load_searcher(*folders, for_texts=for_texts, for_many=for_many)


def _filters(
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


def _content(photo: Path) -> bytes:
    try:
        return photo.read_bytes()
    except OSError as error:
        raise InputError(f"{photo}: the photo cannot be read ({error.strerror}); mend the path") from error


def _show(title: str, matches: "list[Match]", grid: Path | None, as_json: bool, open_: bool) -> None:
    """Print the matches, then draw them where it is wanted."""
    from kadr.search import draw_grid

    if as_json:
        typer.echo(json.dumps({"text": title, "matches": [asdict(match) for match in matches]}, ensure_ascii=False))
    elif matches:
        console().print(_match_table(title, matches))
    else:
        typer.echo("no photo is found; loosen the filters")
    if grid is None and not open_:
        return
    picture = draw_grid(title, matches)
    if grid is not None:
        _save(picture, grid)
    if open_:
        picture.show()


def _match_table(title: str, matches: "list[Match]") -> Table:
    table = Table(title=title, title_justify="left")
    for column in ("rank", "relevance", "cosine", "like it"):
        table.add_column(column, justify="right")
    table.add_column("path", overflow="fold")
    for rank, match in enumerate(matches, 1):
        relevance = "" if match.relevance is None else f"{match.relevance:.3f}"
        link = match.path if "://" in match.path else Path(match.path).absolute().as_uri()
        folded = f"+{match.n_duplicates}" if match.n_duplicates else ""
        table.add_row(
            str(rank), relevance, f"{match.score:.3f}", folded, Text(match.path, style=f"link {link}", overflow="fold")
        )
    return table


def _save(picture: Any, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: the picture cannot be written ({error}); name a .png or .jpg file") from error
    typer.echo(f"{path}: picture written", err=True)
