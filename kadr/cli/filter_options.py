"""Options of the search commands that filter and sort the results."""

import inspect
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from kadr.search import Filters

SortOption = Annotated[
    Literal["relevance", "cosine", "newest", "oldest", "name"] | None,
    typer.Option(
        "--sort",
        help="Order of the photos. Default: relevance with a query, newest without one. With a query, newest, oldest "
        "and name sort the best 200 photos, or all photos with at least --min-cosine.",
        rich_help_panel="Filters and order",
    ),
]


def _option(type_: Any, *names: str, **settings: Any) -> Any:
    return Annotated[type_ | None, typer.Option(*names, rich_help_panel="Filters and order", **settings)]


FILTER_OPTIONS = {
    "folder": _option(str, metavar="NAME", help="Only return photos in a folder with this name or path."),
    "name": _option(
        str, metavar="PATTERN", help="Only return photos whose file name contains this text or matches, e.g. 'IMG_*'."
    ),
    "camera": _option(str, metavar="NAME", help="Only return photos of cameras whose make and model contain this."),
    "colour": _option(str, metavar="NAME", help="Only return photos with this dominant colour, e.g. red."),
    "after": _option(
        datetime, metavar="YYYY-MM-DD", formats=["%Y-%m-%d"], help="Only return photos taken on this day or later."
    ),
    "before": _option(
        datetime, metavar="YYYY-MM-DD", formats=["%Y-%m-%d"], help="Only return photos taken before this day."
    ),
    "dated": _option(
        bool,
        "--dated/--undated",
        help="Only return photos with, or without, a capture date. The date of a file does not count.",
    ),
    "near": _option(str, metavar="LAT,LON,KM", help="Only return photos taken within KM kilometres of a point."),
    "box": _option(
        str, metavar="S,W,N,E", help="Only return photos taken between two latitudes and two longitudes, in degrees."
    ),
    "min_side": _option(int, metavar="PIXELS", min=1, help="Minimum length of the shorter side in pixels."),
    "min_bytes": _option(int, metavar="BYTES", min=0, help="Minimum size of the file."),
    "max_bytes": _option(int, metavar="BYTES", min=0, help="Maximum size of the file."),
    "min_cosine": _option(float, min=-1, max=1, help="Minimum cosine between query and photo, -1 to 1."),
    "min_relevance": _option(float, min=0, max=1, help="Minimum predicted relevance, 0 to 1."),
}
"""Parameter of a command -> type and typer option. The names are those of the fields of `Filters`."""


def filter_options(*, without: tuple[str, ...] = ()) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that replaces the parameter `filters` of a command by the options that filter the results.

    Args:
        without: options that the command does not have.
    """
    options = {name: type_ for name, type_ in FILTER_OPTIONS.items() if name not in without}

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def run(**arguments: Any) -> None:
            values = {name: arguments.pop(name) for name in options}
            command(**arguments, filters=_make_filters(values))

        parameters: list[inspect.Parameter] = []
        for parameter in inspect.signature(command).parameters.values():
            if parameter.name == "filters":
                parameters += [
                    inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=type_)
                    for name, type_ in options.items()
                ]
            else:
                parameters.append(parameter)
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run

    return decorate


def _make_filters(values: dict[str, Any]) -> "Filters":
    """Convert the values of the options to filters.

    Raises:
        typer.BadParameter: a place or a box is not a list of numbers.
        SearchError: a filter is invalid.
    """
    from kadr.search import Box, Filters, Place

    near, box = values.pop("near", None), values.pop("box", None)
    others: dict[str, Any] = {
        name: value.date() if isinstance(value, datetime) else value for name, value in values.items()
    }
    return Filters(
        **others,
        near=None if near is None else Place(*_parse_numbers(near, 3, "--near", "LAT,LON,KM, e.g. 48.86,2.35,10")),
        box=None if box is None else Box(*_parse_numbers(box, 4, "--box", "S,W,N,E, e.g. 41,-5,51,10")),
    )


def _parse_numbers(text: str, n: int, option: str, expected: str) -> list[float]:
    """Parse n numbers that are separated by commas."""
    try:
        numbers = [float(number) for number in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != n:
        raise typer.BadParameter(f"{option} is {text!r}, expected {expected}.")
    return numbers
