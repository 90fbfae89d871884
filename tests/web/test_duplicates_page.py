"""Tests of the views of near-duplicates and of the map in Chromium."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from kadr.index import Index
from kadr.search import Searcher
from kadr.serve import create_app
from tests.web.conftest import build_service

N_IMAGES = 24
BERLIN, PARIS, SYDNEY = (52.52, 13.4), (48.86, 2.35), (-33.87, 151.21)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # the browser leaves pipes open
]


def set_column(index: Index, name: str, values: Sequence[object]) -> Index:
    table = index.table
    position = table.column_names.index(name)
    column = pa.array(values, table.schema.field(name).type)
    return replace(index, table=table.set_column(position, table.schema.field(name), column))


@pytest.fixture(scope="module")
def searcher(
    tmp_path_factory: pytest.TempPathFactory,
    make_index: Callable[[Path, int], Index],
    make_searcher: Callable[[Index], Searcher],
) -> Searcher:
    """A collection with two groups of near-duplicates (of 3 and 2 images), and with 8 images of known places."""
    index = make_index(tmp_path_factory.mktemp("images"), N_IMAGES)
    hashes = [f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}" for number in range(N_IMAGES)]
    hashes[1] = hashes[2] = hashes[0]
    hashes[5] = hashes[4]
    index = set_column(index, "phash", hashes)
    index = set_column(index, "blur", [float(number) for number in range(N_IMAGES)])
    index = set_column(index, "width", [100 + number % 3 for number in range(N_IMAGES)])
    places = [BERLIN] * 4 + [PARIS] * 3 + [SYDNEY]
    unknown = [None] * (N_IMAGES - len(places))
    for name, column in (("latitude", 0), ("longitude", 1)):
        index = set_column(index, name, [*(place[column] for place in places), *unknown])
    return make_searcher(index)


@pytest.fixture(scope="module")
def address(
    serve: Callable[[FastAPI], AbstractContextManager[str]],
    tmp_path_factory: pytest.TempPathFactory,
    searcher: Searcher,
) -> Iterator[str]:
    with serve(create_app(build_service(searcher, tmp_path_factory.mktemp("state")))) as address:
        yield address


@pytest.fixture
def context(browser: Browser, address: str) -> Iterator[BrowserContext]:
    """A browser context. The test fails if a page raises a script error."""
    context = browser.new_context(base_url=address, viewport={"width": 1280, "height": 800})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    errors: list[str] = []
    context.on("weberror", lambda error: errors.append(str(error.error)))
    yield context
    context.close()
    assert errors == []


def open_view(context: BrowserContext, name: str) -> Page:
    page = context.new_page()
    page.goto(f"/?view={name}")
    return page


def test_keep_the_best_marks_the_other_copies(context: BrowserContext, searcher: Searcher) -> None:
    paths = searcher.index.table["path"].to_pylist()
    page = open_view(context, "duplicates")
    expect(page.locator(".duplicates .status")).to_have_text("2 groups of near-duplicates")
    group = page.locator(".duplicate-group").first
    expect(group.locator(".copy")).to_have_count(3)
    expect(group.locator(".copy").first).to_contain_text("Best")
    expect(group.locator(".copy").first.locator(".better")).to_contain_text(["102 × ", "2sharpest"])
    group.get_by_role("button", name="Keep the best").click()
    expect(group.get_by_role("checkbox")).to_have_count(3)
    assert [box.is_checked() for box in group.get_by_role("checkbox").all()] == [False, True, True]
    page.get_by_role("button", name="Keep the best of every group").click()
    bar = page.get_by_role("region", name="Marked copies")
    expect(bar).to_contain_text("3 copies")
    bar.get_by_role("button", name="Copy paths").click()
    expect(page.locator(".toast")).to_have_text("Copied 3 paths.")
    copied = page.evaluate("navigator.clipboard.readText()").split()
    assert len(" ".join(copied).split(".jpg")) == 4
    with page.expect_download() as download:
        bar.get_by_role("button", name="Download list").click()
    listed = Path(download.value.path()).read_text().splitlines()
    assert sorted(listed) == sorted([paths[0], paths[1], paths[4]])
    assert all(Path(path).is_file() for path in paths), "the page never deletes files"
    bar.get_by_role("button", name="Unmark all").click()
    expect(bar).to_be_hidden()


def test_two_copies_are_compared_with_the_same_zoom(context: BrowserContext) -> None:
    page = open_view(context, "duplicates")
    page.get_by_role("button", name="Compare").first.click()
    dialog = page.get_by_role("dialog", name="Compare two photos")
    images = dialog.locator("img.large")
    expect(images).to_have_count(2)
    page.keyboard.press("z")
    scale = re.compile(r"scale\((?!1\))")
    for image in images.all():
        expect(image).to_have_attribute("style", scale)
    styles = [image.get_attribute("style") for image in images.all()]
    assert styles[0] == styles[1]
    dialog.get_by_label("Right photo").select_option(index=2)
    expect(dialog.locator(".facts").nth(1)).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_a_copy_opens_in_the_viewer_with_its_group(context: BrowserContext) -> None:
    page = open_view(context, "duplicates")
    page.locator(".copy-image").first.click()
    expect(page.locator("#viewer .near-duplicates h3")).to_have_text("Near-duplicates (2)")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#viewer .previous")).to_be_enabled()
    page.keyboard.press("Escape")
    expect(page.locator(".duplicate-group").first).to_be_visible()


def test_groups_are_loaded_again_after_a_failure(context: BrowserContext) -> None:
    context.route("**/duplicates?**", lambda route: route.fulfill(status=503, json={"detail": "Try again later."}))
    page = open_view(context, "duplicates")
    expect(page.locator(".duplicates [role=alert]")).to_contain_text("Try again later.")
    context.unroute("**/duplicates?**")
    page.locator(".duplicates").get_by_role("button", name="Try again").click()
    expect(page.locator(".duplicate-group")).to_have_count(2)


def test_the_map_shows_places_and_filters_by_them(context: BrowserContext) -> None:
    page = open_view(context, "map")
    expect(page.locator(".map .status")).to_have_text("8 photos with a known place")
    labels = page.locator(".marker").evaluate_all("markers => markers.map((marker) => marker.ariaLabel)")
    assert sorted(label.split()[0] for label in labels) == ["1", "3", "4"] or sorted(
        label.split()[0] for label in labels
    ) == ["1", "7"]
    page.get_by_role("button", name=re.compile(r"^1 photo near 33\.87")).click()
    card = page.get_by_role("dialog", name="Place")
    expect(card).to_contain_text("33.8700° S, 151.2100° E")
    expect(card.get_by_role("button", name="Show the photos here")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"box=-3"))
    expect(page.locator("#grid .tile")).to_have_count(1)
    page.go_back()
    expect(page.locator(".marker").first).to_be_visible()


def test_the_map_moves_by_keyboard_and_wheel(context: BrowserContext) -> None:
    page = open_view(context, "map")
    expect(page.locator(".marker").first).to_be_visible()
    stage = page.locator(".map-stage")
    stage.focus()
    svg = page.locator(".map-stage svg")
    views = [svg.get_attribute("viewBox")]
    for key in ("+", "ArrowLeft", "-", "0"):
        page.keyboard.press(key)
        expect(svg).not_to_have_attribute("viewBox", views[-1] or "")
        views.append(svg.get_attribute("viewBox"))
    assert views[-1] == views[0], "the key 0 shows all places again"
    stage.hover()
    page.mouse.wheel(0, -400)
    expect(svg).not_to_have_attribute("viewBox", views[-1] or "")


def test_a_collection_without_places_says_so(context: BrowserContext) -> None:
    def answer(route: Route) -> None:
        response = route.fetch()
        route.fulfill(response=response, json={**response.json(), "places": [], "n_with_place": 0})

    context.route("**/facets", answer)
    page = open_view(context, "map")
    expect(page.locator(".map .status")).to_contain_text("No photo has a known place.")
    expect(page.locator(".marker")).to_have_count(0)


@pytest.mark.parametrize("view", ["duplicates", "map"])
def test_the_views_fit_a_phone(context: BrowserContext, view: str) -> None:
    page = open_view(context, view)
    page.set_viewport_size({"width": 320, "height": 568})
    expect(page.locator(".copy, .marker").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 320
