"""The commands `kadr search`, `kadr similar` and `kadr recommend`."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from kadr.cli.filter_options import SortOption, filter_options
from kadr.cli.search_output import Results, choose_format, draw_matches, print_results
from kadr.cli.settings import load_settings
from kadr.errors import InputError
from kadr.project import PROJECT

if TYPE_CHECKING:
    from kadr.search import Filters, Searcher


K = Annotated[int, typer.Option("-k", metavar="N", help="Maximum number of photos to return.")]
IndexFolder = Annotated[
    Path,
    typer.Option(
        "--index",
        "-i",
        metavar="DIR",
        envvar="KADR_INDEX",
        default_factory=lambda: PROJECT.search_index,
        show_default="models/index in a project, otherwise your own index",
        help="Index to search, e.g. models/photos (from `kadr index`) or models/champion (uses its own models).",
    ),
]
Grid = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write the results to an image file, e.g. results.png.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the results as JSON.")]
Paths = Annotated[bool, typer.Option("--paths", help="Print only the paths, one per line.")]
Print0 = Annotated[
    bool, typer.Option("--print0", "-0", help="Print only the paths, each followed by a null character.")
]
Open = Annotated[bool, typer.Option("--open", help="Show the results in the default image viewer.")]
Duplicates = Annotated[
    bool, typer.Option("--duplicates", help="Also return photos that are near-duplicates of better results.")
]


class QueryCommand(TyperCommand):
    """A command whose argument is a query, even if the query starts with a minus sign."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments. A query that looks like an option is moved behind `--`."""
        position = self._find_query(args)
        if position is not None:
            args = [*args[:position], *args[position + 1 :], "--", args[position]]
        return super().parse_args(ctx, args)

    def _find_query(self, args: list[str]) -> int | None:
        """Return the position of an argument that starts with a minus sign and is no option, or None."""
        flags = {name for option in self.params if getattr(option, "is_flag", False) for name in option.opts} | {"-h"}
        with_value = {name for option in self.params for name in option.opts} - flags
        for position, argument in enumerate(args):
            if argument == "--":
                return None
            if position and args[position - 1] in with_value:
                continue
            is_short = argument[:1] == "-" and argument[1:2] not in ("", "-")
            if is_short and (" " in argument or argument[:2] not in flags | with_value):
                return position
        return None


@filter_options()
def search(
    query: Annotated[
        str | None,
        typer.Argument(
            metavar="QUERY",
            show_default=False,
            help='Description of the photos, e.g. "a dog in the snow" or "dog + 2*snow - people". Without a query, all '
            "photos that pass the filters are returned.",
        ),
    ] = None,
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
    index: IndexFolder,
    filters: "Filters",
    sort: SortOption = None,
    duplicates: Duplicates = False,
    grid: Grid = None,
    as_json: AsJson = False,
    paths: Paths = False,
    print0: Print0 = False,
    open_: Open = False,
) -> None:
    """Search for photos by text, or list the photos that pass filters.

    Use + to add a text, - to subtract a text, and a number with * to set the weight of a text.
    """
    from kadr.search import Query, parse_query
    from kadr.search.query import image_term

    output_format = choose_format(as_json=as_json, paths=paths, print0=print0)
    text_terms = () if query is None else parse_query(query).terms
    images = [(1.0, path) for path in like or []] + [(-1.0, path) for path in unlike or []]
    terms = text_terms + tuple(image_term(weight, _read_photo(path)) for weight, path in images)
    parsed = Query(terms, filters, not duplicates, sort)
    searcher = _open_searcher(index, text_queries=bool(text_terms))
    results = Results(query or "", searcher.search(parsed, k), searcher.count(parsed), is_browse=not terms)
    print_results(results, output_format, None if query is None else searcher.explain(query, parsed))
    draw_matches(results.title, results.matches, grid, show=open_)


@filter_options(without=("min_relevance",))
def similar(
    photo: Annotated[
        Path, typer.Argument(metavar="PHOTO", help="Path of a photo. The photo does not have to be in the index.")
    ],
    k: K = 5,
    *,
    index: IndexFolder,
    filters: "Filters",
    sort: SortOption = None,
    grid: Grid = None,
    as_json: AsJson = False,
    paths: Paths = False,
    print0: Print0 = False,
    open_: Open = False,
) -> None:
    """Search for photos that look like PHOTO."""
    from kadr.search import Query
    from kadr.search.query import image_term

    output_format = choose_format(as_json=as_json, paths=paths, print0=print0)
    query = Query((image_term(1.0, _read_photo(photo)),), filters, sort=sort)
    searcher = _open_searcher(index, text_queries=False)
    results = Results(f"like {photo}", searcher.search(query, k), searcher.count(query))
    print_results(results, output_format)
    draw_matches(results.title, results.matches, grid, show=open_)


@filter_options(without=("min_relevance", "min_cosine"))
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
    index: IndexFolder,
    filters: "Filters",
    grid: Grid = None,
    as_json: AsJson = False,
    paths: Paths = False,
    print0: Print0 = False,
    open_: Open = False,
) -> None:
    """Recommend photos that are similar to PHOTOS, but different from each other."""
    from kadr.search import Query

    output_format = choose_format(as_json=as_json, paths=paths, print0=print0)
    liked = [_read_photo(path) for path in [*(likes or []), *(photos or [])]]
    disliked = [_read_photo(path) for path in dislikes or []]
    searcher = _open_searcher(index, text_queries=False)
    matches = searcher.recommend(liked, disliked, k, diversity, filters)
    results = Results("recommended", matches, searcher.count(Query((), filters)))
    print_results(results, output_format)
    draw_matches(results.title, results.matches, grid, show=open_)


def load_index_searcher(index: Path, *, text_queries: bool = True, many_queries: bool = True) -> "Searcher":
    """Load a searcher for an index. The searcher of a champion uses the models of that champion.

    Args:
        index: folder of the index or of the champion.
        text_queries: whether queries can contain texts.
        many_queries: whether to prepare all images in advance, so that each query takes less time.
    """
    from kadr.search import load_searcher

    artifacts = PROJECT.index_artifacts(index)
    return load_searcher(artifacts, load_settings(index), text_queries=text_queries, many_queries=many_queries)


def _open_searcher(index: Path, *, text_queries: bool = True) -> "Searcher":
    from kadr.index import read_indexing_state

    logging.getLogger().setLevel(logging.WARNING)
    searcher = load_index_searcher(index, text_queries=text_queries, many_queries=False)
    if state := read_indexing_state(searcher.index.details):
        typer.echo(f"kadr: hint: {state.describe()}", err=True)
    return searcher


def _read_photo(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: the photo cannot be read ({error.strerror}). Check the path.") from error
