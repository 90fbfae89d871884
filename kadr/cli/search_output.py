"""Print search results as a table, as JSON or as a list of paths, and draw them in an image."""

import os
import sys
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import typer
from rich.style import Style
from rich.table import Table
from rich.text import Text

from kadr.cli.console import console, printable, to_json
from kadr.errors import InputError

if TYPE_CHECKING:
    from kadr.search import Match, Reading

_URI_CHARACTERS = "/:?#[]@!$&'()*+,;=%~"


class OutputFormat(Enum):
    """Format of the printed search results."""

    TABLE = "table"
    JSON = "--json"
    PATHS = "--paths"
    PRINT0 = "--print0"


def choose_format(*, as_json: bool, paths: bool, print0: bool) -> OutputFormat:
    """Return the output format that the options select.

    Raises:
        typer.BadParameter: more than one option is set.
    """
    options = {OutputFormat.JSON: as_json, OutputFormat.PATHS: paths, OutputFormat.PRINT0: print0}
    chosen = [output_format for output_format, is_set in options.items() if is_set]
    if len(chosen) > 1:
        raise typer.BadParameter(f"{' and '.join(option.value for option in chosen)} exclude each other. Use one.")
    return chosen[0] if chosen else OutputFormat.TABLE


@dataclass(frozen=True)
class Results:
    """Results of a search.

    Attributes:
        title: the query, or a description of the example images. It is empty if there is no query.
        matches: images in the requested order.
        n_images: number of images that pass the filters.
        is_browse: whether there is no query, so that the matches have no cosine.
    """

    title: str
    matches: "list[Match]"
    n_images: int
    is_browse: bool = False


def print_results(results: Results, output_format: OutputFormat, reading: "Reading | None" = None) -> None:
    """Print search results on standard output, and hints about the query on standard error.

    Args:
        results: results to print.
        output_format: format of the results.
        reading: how the query was read. None for a search without a query text.
    """
    matches = results.matches
    if output_format is OutputFormat.JSON:
        explanation = {} if reading is None else {"read_as": reading.read_as, "hints": reading.hints}
        content = {"text": results.title, **explanation, "n_images": results.n_images}
        typer.echo(to_json({**content, "matches": [asdict(match) for match in matches]}))
        return
    for hint in reading.hints if reading else ():
        typer.echo(f"kadr: {printable(hint)}", err=True)
    if output_format is not OutputFormat.TABLE:
        _print_paths(matches, b"\0" if output_format is OutputFormat.PRINT0 else b"\n")
        return
    output = console()
    read_as = reading.read_as if reading else None
    if read_as is not None:
        output.print(Text(f"Read as: {printable(read_as)}"), soft_wrap=True)
    if not matches:
        typer.echo("No photo matches. Remove a filter.")
        return
    if results.title:
        output.print(Text(printable(results.title), style="italic"), soft_wrap=True)
    output.print(_match_table(matches))
    if results.is_browse:
        output.print(Text(f"{len(matches):,} of {results.n_images:,} photos"), soft_wrap=True)


def draw_matches(title: str, matches: "list[Match]", path: Path | None, *, show: bool) -> None:
    """Draw search results in one image, and save or show the image.

    Args:
        title: title of the image.
        matches: search results, best first.
        path: path of the image file to write. None writes no file.
        show: whether to show the image in the default image viewer.
    """
    from kadr.search import draw_grid

    if path is None and not show:
        return
    image = draw_grid(title, matches)
    if path is not None:
        _save_image(image, path)
    if show:
        image.show()


def _describe_words(match: "Match") -> str:
    """Return the words of the query that the name and the texts of an image contain.

    >>> from kadr.search import Match
    >>> _describe_words(Match("a", "a.jpg", 0.3, None, words={"image_text": ("stop",), "folders": ("red", "fox")}))
    'image text: stop; folders: red, fox'
    """
    return "; ".join(f"{name.replace('_', ' ')}: {printable(', '.join(words))}" for name, words in match.words.items())


def _print_paths(matches: "list[Match]", end: bytes) -> None:
    is_terminal = sys.stdout.isatty()
    for match in matches:
        path = os.fsencode(match.path)
        typer.echo(os.fsencode(printable(match.path)) + b"\n" if is_terminal else path + end, nl=False)
    n_broken = sum("\n" in match.path for match in matches)
    if n_broken and end == b"\n":
        typer.echo(f"kadr: {n_broken} paths contain a line break. To separate all paths, use --print0.", err=True)


def _match_table(matches: "list[Match]") -> Table:
    """Return a table of the matches. A column that has no value in any row is left out."""
    columns = {
        "relevance": ["" if match.relevance is None else f"{match.relevance:.3f}" for match in matches],
        "cosine": ["" if match.score is None else f"{match.score:.3f}" for match in matches],
        "duplicates": [f"+{match.n_duplicates}" if match.n_duplicates else "" for match in matches],
        "date": [_describe_date(match) for match in matches],
        "words found in": [_describe_words(match) for match in matches],
    }
    shown = {name: values for name, values in columns.items() if any(values)}
    table = Table()
    for name in ("rank", *shown):
        is_text = name in ("date", "words found in")
        table.add_column(name, justify="left" if is_text else "right", overflow="fold")
    table.add_column("path", overflow="fold")
    for rank, match in enumerate(matches, 1):
        path = Text(printable(match.path).replace("\n", "\\n"), style=Style(link=_link(match.path)), overflow="fold")
        table.add_row(str(rank), *(Text(values[rank - 1]) for values in shown.values()), path)
    return table


def _describe_date(match: "Match") -> str:
    """Return the day when the photo was taken. A date that is only the date of the file is marked."""
    day = (match.taken or "").partition("T")[0]
    return f"{day} (file)" if match.taken_source == "file" else day


def _link(path: str) -> str:
    """Return the URI of an image. Control characters and spaces are percent-encoded."""
    return quote(path, _URI_CHARACTERS, errors="surrogateescape") if "://" in path else Path(path).absolute().as_uri()


def _save_image(image: Any, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: the image cannot be written ({error}). Use a file name that ends in .png or .jpg."
        ) from error
    typer.echo(f"Wrote {path}.", err=True)
