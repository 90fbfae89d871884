"""Count the images of an index by folder, month, camera, colour and place, with DuckDB."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kadr.search.filters import HAS_CAPTURE_DATE, allowed_rows, query_table
from kadr.search.query import Filters

if TYPE_CHECKING:
    import pyarrow as pa

MAX_VALUES = 1000
"""Maximum number of values of a facet. The values with the most images are kept."""

MAX_PLACES = 2000
"""Maximum number of places. A coarser grid is used if a finer grid has more places."""

_DECIMALS = (0, 1, 2, 3, 4)  # of the degrees of a grid point, from a cell of 111 km to a cell of 11 m
_COLUMNS = ["row", "image_id", "path", "taken", "taken_source", "latitude", "longitude", "colours", "camera"]
_HAS_PLACE = "latitude IS NOT NULL AND longitude IS NOT NULL"


@dataclass(frozen=True)
class FacetValue:
    """A value of a property, and the number of images that have it."""

    value: str
    count: int


@dataclass(frozen=True)
class PlaceCount:
    """A cell of the grid of places.

    Attributes:
        latitude: mean latitude of the images, in degrees north.
        longitude: mean longitude of the images, in degrees east.
        count: number of images in the cell.
        image_id: ID of one of the images.
    """

    latitude: float
    longitude: float
    count: int
    image_id: str


@dataclass(frozen=True)
class Facets:
    """Numbers of images by property.

    The counts of a property are under all filters except the filter on this property, so that they say how many images
    another value of this filter would return. Places are counted under all filters.

    Attributes:
        n_images: number of images that pass all filters.
        folders: folders and their subfolders, sorted by path. A folder counts the images in its subfolders, too.
        months: months such as 2024-05, newest first. They include the months of images whose only date is the
            modification time of the file.
        cameras: makes and models of the cameras, most frequent first.
        colours: dominant colours, most frequent first.
        n_undated: number of images without a capture date. The modification time of a file is not a capture date.
        n_with_place: number of images with a place.
        places: places, most images first.
    """

    n_images: int
    folders: list[FacetValue]
    months: list[FacetValue]
    cameras: list[FacetValue]
    colours: list[FacetValue]
    n_undated: int
    n_with_place: int
    places: list[PlaceCount]


def count_facets(table: "pa.Table", filters: Filters) -> Facets:
    """Count images by property.

    Args:
        table: image metadata of an index, schema INDEXED_IMAGES.
        filters: filters on the metadata. The filters `min_relevance` and `min_cosine` are ignored.
    """
    selected: dict[Filters, pa.Table] = {}

    def select(**without: None) -> "pa.Table":
        """Return the images that pass the filters, except for the named filters."""
        others = replace(filters, **without)
        if others not in selected:
            rows = allowed_rows(table, others)
            selected[others] = table.select(_COLUMNS) if rows is None else table.select(_COLUMNS).take(rows)
        return selected[others]

    months = _count(select(after=None, before=None), "strftime(taken, '%Y-%m')", "taken")
    n_with_place = _count_images(select(), _HAS_PLACE)
    return Facets(
        n_images=len(select()),
        folders=_count_folders(select(folder=None)),
        months=sorted(months, key=lambda month: month.value, reverse=True),
        cameras=_count(select(camera=None), "camera", "camera"),
        colours=_count(select(colour=None), "unnest(colours)", "colours"),
        n_undated=_count_images(select(dated=None), f"NOT {HAS_CAPTURE_DATE}"),
        n_with_place=n_with_place,
        places=_count_places(select(), n_with_place),
    )


def _count_images(table: "pa.Table", condition: str) -> int:
    return int(_run(table, f"SELECT count(*) FROM images WHERE {condition}")[0][0])  # noqa: S608


def _count(table: "pa.Table", expression: str, column: str) -> list[FacetValue]:
    """Count the values of an SQL expression, most frequent first. Images without a value in a column are ignored."""
    sql = (
        f"SELECT value, count(*) FROM (SELECT {expression} AS value FROM images WHERE {column} IS NOT NULL) "  # noqa: S608
        f"GROUP BY value ORDER BY count(*) DESC, value LIMIT {MAX_VALUES}"
    )
    return [FacetValue(*row) for row in _run(table, sql)]


def _count_folders(table: "pa.Table") -> list[FacetValue]:
    """Count the images in each folder and its subfolders, from the common folder of all images downwards."""
    rows = _run(table, "SELECT parse_dirpath(path), count(*) FROM images GROUP BY 1")
    direct = [(folder, n) for folder, n in rows if folder]
    root = _common_folder([folder for folder, _ in direct])
    counts: Counter[str] = Counter()
    for folder, n in direct:
        for ancestor in _ancestors(folder, root):
            counts[ancestor] += n
    largest = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MAX_VALUES]
    return [FacetValue(folder, n) for folder, n in sorted(largest)]


def _common_folder(folders: Sequence[str]) -> str:
    """Return the longest path that contains all folders, e.g. /home/me. It is empty if there is none."""
    if not folders:
        return ""
    split = [folder.split("/") for folder in folders]
    parts, others = min(split), max(split)
    n = next((i for i, pair in enumerate(zip(parts, others, strict=False)) if pair[0] != pair[1]), len(parts))
    return "/".join(parts[:n])


def _ancestors(folder: str, root: str) -> Iterator[str]:
    """Yield a folder and the folders that contain it, up to the common folder."""
    while folder and len(folder) >= len(root):
        yield folder
        folder = folder.rpartition("/")[0].rstrip("/:")


def _count_places(table: "pa.Table", n_with_place: int) -> list[PlaceCount]:
    """Count the images in the cells of a grid, the finest grid with at most MAX_PLACES cells."""
    if n_with_place <= MAX_PLACES:
        return _count_cells(table, _DECIMALS[-1])
    best = _count_cells(table, _DECIMALS[0])
    for decimals in _DECIMALS[1:]:
        finer = _count_cells(table, decimals)
        if len(finer) > MAX_PLACES:
            break
        best = finer
    return best[:MAX_PLACES]


def _count_cells(table: "pa.Table", decimals: int) -> list[PlaceCount]:
    """Count the images in the cells of a grid, the largest cells first. At most MAX_PLACES + 1 cells are returned."""
    sql = (
        f"SELECT avg(latitude), avg(longitude), count(*), arg_min(image_id, row) FROM images WHERE {_HAS_PLACE} "  # noqa: S608
        f"GROUP BY round(latitude, {decimals}), round(longitude, {decimals}) "
        f"ORDER BY count(*) DESC, min(row) LIMIT {MAX_PLACES + 1}"
    )
    return [PlaceCount(*row) for row in _run(table, sql)]


def _run(table: "pa.Table", sql: str) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = query_table(table, sql, {}).fetchall()
    return rows
