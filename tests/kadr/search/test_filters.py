"""Tests of the filters on metadata, the orders of browsing, and the facets."""

from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pytest

from kadr.errors import SearchError
from kadr.io.schemas import INDEXED_IMAGES
from kadr.search import Box, Filters, Place, Query, Sort, Term
from kadr.search.facets import MAX_PLACES, FacetValue, count_facets
from kadr.search.filters import allowed_rows, sort_rows, sorted_rows

IMAGES: list[dict[str, Any]] = [
    {
        "path": "/photos/2023/Snow/IMG_10.jpg",
        "taken": datetime(2023, 1, 5),
        "taken_source": "exif",
        "camera": "Canon EOS 5D",
        "colours": ["white", "blue"],
        "bytes": 5000,
        "latitude": 48.8584,  # Eiffel Tower
        "longitude": 2.2945,
    },
    {
        "path": "/photos/2023/Snow/IMG_9.jpg",
        "taken": datetime(2023, 1, 4),
        "taken_source": "exif",
        "camera": "Apple iPhone 12",
        "colours": ["white"],
        "bytes": 1000,
        "latitude": 48.8606,  # Louvre, 3.2 km away
        "longitude": 2.3376,
    },
    {
        "path": "/photos/2024/e\u0301te\u0301 [1].JPG",  # decomposed, as on macOS
        "taken": datetime(2024, 7, 1),
        "taken_source": "file",
        "camera": None,
        "colours": [],
        "bytes": None,
        "latitude": -16.8,  # Fiji, on both sides of the date line
        "longitude": 179.9,
    },
    {
        "path": "/photos/2024/undated.png",
        "taken": None,
        "taken_source": None,
        "camera": "canon powershot",
        "colours": None,
        "bytes": 9000,
        "latitude": -16.7,
        "longitude": -179.9,
    },
]


@pytest.fixture(scope="module")
def table() -> pa.Table:
    rows = [image | {"row": row, "image_id": f"i{row}"} for row, image in enumerate(IMAGES)]
    complete = [{name: row.get(name) for name in INDEXED_IMAGES.names} for row in rows]
    return pa.Table.from_pylist(complete, INDEXED_IMAGES)


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (Filters(folder="Snow"), [0, 1]),
        (Filters(folder="/photos/2024/"), [2, 3]),
        (Filters(name="img"), [0, 1]),
        (Filters(name="IMG_?.jpg"), [1]),
        (Filters(name="*.jp[gG]"), [0, 1, 2]),
        (Filters(name="\u00e9t\u00e9"), [2]),  # composed
        (Filters(name="[1]"), []),  # a pattern for the whole name
        (Filters(name="2023"), []),  # a folder is not part of the name
        (Filters(camera="CANON"), [0, 3]),
        (Filters(colour="blue"), [0]),
        (Filters(colour="White"), [0, 1]),
        (Filters(after=date(2023, 1, 5)), [0, 2]),
        (Filters(dated=True), [0, 1]),
        (Filters(dated=False), [2, 3]),
        (Filters(near=Place(48.8584, 2.2945, 3)), [0]),
        (Filters(near=Place(48.8584, 2.2945, 3.3)), [0, 1]),
        (Filters(near=Place(-16.75, 180, 30)), [2, 3]),
        (Filters(box=Box(40, 2.3, 50, 3)), [1]),
        (Filters(box=Box(-20, 170, 0, -170)), [2, 3]),
        (Filters(box=Box(-20, -180, 0, 0)), [3]),
        (Filters(min_bytes=1001), [0, 3]),
        (Filters(max_bytes=5000), [0, 1]),
        (Filters(image_ids=frozenset({"i3", "i1", "gone"})), [1, 3]),
        (Filters(image_ids=frozenset()), []),
        (Filters(camera="canon", dated=False), [3]),
    ],
)
def test_a_filter_selects_images(table: pa.Table, filters: Filters, found: list[int]) -> None:
    rows = allowed_rows(table, filters)
    assert rows is not None
    assert rows.tolist() == found


def test_without_a_filter_no_row_is_selected(table: pa.Table) -> None:
    assert allowed_rows(table, Filters(min_cosine=0.5, min_relevance=0.5)) is None


@pytest.mark.parametrize(
    ("sort", "order"), [("newest", [2, 0, 1, 3]), ("oldest", [1, 0, 2, 3]), ("name", [1, 0, 2, 3])]
)
def test_images_without_a_date_are_last_and_numbers_are_sorted_by_value(
    table: pa.Table, sort: Sort, order: list[int]
) -> None:
    assert sorted_rows(table, Filters(), sort).tolist() == order
    selected = allowed_rows(table, Filters(dated=True))
    assert selected is not None
    assert selected[sort_rows(table, selected, sort)].tolist() == [row for row in order if row in (0, 1)]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Place(91, 0, 1), "latitude of the place is 91, expected -90 to 90"),
        (lambda: Place(0, 0, 0), "distance from the place is 0 km, expected more than 0"),
        (lambda: Place(0, float("nan"), 1), "longitude of the place is nan"),
        (lambda: Box(10, 0, -10, 1), "south side of the box is 10 and the north side is -10"),
        (lambda: Box(0, -181, 1, 1), "west side of the box is -181, expected -180 to 180"),
        (lambda: Filters(colour="mauve"), "colour is 'mauve', expected one of black, "),
        (lambda: Filters(name=" "), "The filter name is empty"),
        (lambda: Filters(min_cosine=2), "minimum cosine is 2, expected -1 to 1"),
        (lambda: Query((), Filters(min_cosine=0.2)), "min_cosine needs a query"),
        (lambda: Query((), sort="cosine"), "cannot be sorted by cosine"),
        (lambda: Query((Term(1, text="a"),) * 65), "has 65 terms, expected at most 64"),
    ],
)
def test_an_invalid_value_is_explained(make: Any, message: str) -> None:
    with pytest.raises(SearchError, match=message):
        make()


def test_facets_count_under_the_other_filters(table: pa.Table) -> None:
    facets = count_facets(table, Filters(folder="2023", camera="canon"))
    assert facets.n_images == 1
    assert facets.folders == [  # of the cameras that match
        FacetValue("/photos", 2),
        FacetValue("/photos/2023", 1),
        FacetValue("/photos/2023/Snow", 1),
        FacetValue("/photos/2024", 1),
    ]
    assert facets.cameras == [FacetValue("Apple iPhone 12", 1), FacetValue("Canon EOS 5D", 1)]  # in the folder
    assert facets.colours == [FacetValue("blue", 1), FacetValue("white", 1)]
    assert facets.months == [FacetValue("2023-01", 1)]
    assert (facets.n_undated, facets.n_with_place) == (0, 1)


def test_a_folder_of_the_facets_is_a_filter(table: pa.Table) -> None:
    facets = count_facets(table, Filters())
    assert [month.value for month in facets.months] == ["2024-07", "2023-01"]
    assert (facets.n_undated, facets.n_with_place, len(facets.places)) == (2, 4, 4)
    for folder in facets.folders:
        rows = allowed_rows(table, Filters(folder=folder.value))
        assert rows is not None
        assert len(rows) == folder.count


def test_places_are_counted_on_the_finest_grid_that_is_small_enough(table: pa.Table) -> None:
    n = MAX_PLACES + 500
    columns = {
        "row": range(n),
        "image_id": [f"{row:04d}" for row in range(n)],
        "path": ["/a.jpg"] * n,
        "latitude": [row % 50 + row * 1e-5 for row in range(n)],
        "longitude": [10.0] * n,
    }
    many = pa.Table.from_pydict(
        {field.name: columns.get(field.name, [None] * n) for field in INDEXED_IMAGES}, INDEXED_IMAGES
    )
    places = count_facets(many, Filters()).places
    assert sum(place.count for place in places) == n
    assert 50 <= len(places) <= MAX_PLACES
    assert count_facets(table, Filters(box=Box(-20, 170, 0, -170))).n_with_place == 2
