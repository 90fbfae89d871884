"""Tests of the page in Chromium: failed requests, the token dialog, blocked storage, and an index that changes."""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace

import pyarrow as pa
import pytest
from fastapi import FastAPI
from playwright.sync_api import Page, Route, expect

from kadr.index import Index
from kadr.serve import Service, create_app

OpenPhotos = Callable[..., Page]
Serve = Callable[[FastAPI], AbstractContextManager[str]]
TOKEN = "0123456789abcdef"

BLOCK_STORAGE = """
for (const name of ["localStorage", "sessionStorage"]) {
  const get = () => { throw new DOMException("The storage is blocked.", "SecurityError"); };
  Object.defineProperty(window, name, { get });
}
"""
"""Script that makes each use of the storage of the browser an error, as private windows do."""

MIDDLE_TILE = """
() => document.elementFromPoint(600, 400).closest(".cell")?.dataset.imageId.match(/IMG_(\\d+)/)[1]
"""
"""Script that returns the number of the photo in the middle of the window."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # the browser leaves pipes open
]


def without_dates(index: Index, n_images: int) -> Index:
    """Return an index in which the first images have no date."""
    field = index.table.schema.field("taken")
    dates = [None] * n_images + index.table[field.name].to_pylist()[n_images:]
    column = index.table.schema.get_field_index(field.name)
    return replace(index, table=index.table.set_column(column, field, pa.chunked_array([dates], field.type)))


def expect_photos(page: Page) -> None:
    expect(page.locator("#status")).to_have_text("1,500 photos, newest first")
    expect(page.locator("#grid .cell").first).to_be_visible()


def test_a_server_that_does_not_respond_is_asked_again(open_photos: OpenPhotos) -> None:
    page = open_photos("?q=dog")
    expect(page.locator("#grid .cell").first).to_be_visible()
    page.clock.install()
    page.route("**/search", lambda route: route.abort())
    page.locator("#q").fill("")
    page.keyboard.press("Enter")
    message = page.locator("#status .error")
    expect(message).to_have_text("The server is not responding. Check that kadr serve is running.")
    with page.expect_request("**/search"):
        page.clock.fast_forward(2_500)
    expect(message).to_be_visible()
    with page.expect_request("**/search"):
        page.clock.fast_forward(4_500)
    expect(message).to_be_visible()
    page.unroute("**/search")
    page.clock.fast_forward(8_500)
    expect_photos(page)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.clock.fast_forward(55_000)
    page.wait_for_timeout(100)
    assert [url for url in requests if url.endswith("/search")] == []


@pytest.mark.parametrize("way", ["button", "enter", "online"])
def test_a_failed_search_can_be_repeated(open_photos: OpenPhotos, way: str) -> None:
    page = open_photos("?q=dog")
    expect(page.locator("#grid .cell").first).to_be_visible()
    page.clock.install()
    detail = {"detail": "The model cannot be loaded."}
    page.route("**/search", lambda route: route.fulfill(status=503, json=detail))
    page.locator("#q").fill("")
    page.keyboard.press("Enter")
    expect(page.locator("#status .error")).to_have_text("The model cannot be loaded.")
    page.unroute("**/search")
    if way == "button":
        page.get_by_role("button", name="Try again").click()
    elif way == "enter":
        page.locator("#q").press("Enter")
    else:
        page.evaluate("dispatchEvent(new Event('online'))")
    expect_photos(page)


def test_an_invalid_filter_is_explained_and_not_repeated(open_photos: OpenPhotos) -> None:
    page = open_photos("?q=dog&colour=mauve")
    expect(page.locator("#status .error")).to_contain_text("mauve")
    page.get_by_role("button", name="Remove filter Colour: mauve").click()
    expect(page.locator("#grid .cell").first).to_be_visible()


def test_a_failed_page_is_reported_where_it_is_missing(open_photos: OpenPhotos) -> None:
    def fail_second_page(route: Route) -> None:
        if route.request.post_data_json["offset"]:
            route.fulfill(status=500, json={"detail": "The disk failed."})
        else:
            route.continue_()

    page = open_photos("?q=dog")
    expect(page.locator("#grid .cell").first).to_be_visible()
    page.route("**/search", fail_second_page)
    page.goto("/")
    expect_photos(page)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("End")
    alert = page.locator("#end [role=alert]")
    expect(alert).to_contain_text("Cannot load more photos. The disk failed.")
    expect(alert).to_be_in_viewport()
    expect(page.locator("#status")).to_have_text("1,500 photos, newest first")
    page.unroute("**/search")
    alert.get_by_role("button", name="Try again").click()
    expect(alert).to_have_count(0)
    expect(page.locator("#grid [data-index='100'] .tile")).to_be_focused()
    expect(page.locator("#grid .cell").last).to_have_attribute("data-index", re.compile(r"^[12]\d\d$"))


def test_a_closed_token_dialog_can_be_opened_again(
    open_photos: OpenPhotos, serve: Serve, photo_service: Service
) -> None:
    with serve(create_app(photo_service, TOKEN)) as address:
        page = open_photos(address=address)
        dialog = page.locator("#token")
        expect(dialog).to_be_visible()
        page.keyboard.press("Escape")
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        expect(page.locator("#status")).to_contain_text("The server requires an access token.")
        page.get_by_role("button", name="Sign in").click()
        expect(dialog).to_be_visible()
        page.get_by_role("button", name="Cancel").click()
        page.locator("#q").press("Enter")
        page.get_by_label("Token", exact=True).fill("a wrong token")
        page.keyboard.press("Enter")
        expect(dialog.get_by_role("alert")).to_contain_text("token")
        page.get_by_label("Token", exact=True).fill(TOKEN)
        page.keyboard.press("Enter")
        expect_photos(page)
        expect(page.locator("#grid img.loaded").first).to_be_visible()
        page.reload()
        expect_photos(page)
        expect(dialog).to_be_hidden()


def test_the_page_works_with_blocked_storage(open_photos: OpenPhotos) -> None:
    page = open_photos(script=BLOCK_STORAGE)
    expect_photos(page)
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("button", name="Theme: system").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.get_by_role("button", name="Theme: light").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_a_new_index_is_shown_on_demand_without_a_jump(
    open_photos: OpenPhotos, serve: Serve, photo_service: Service
) -> None:
    hot_reload = photo_service.hot_reload
    with serve(create_app(photo_service)) as address:
        page = open_photos(address=address, viewport={"width": 1280, "height": 800})
        expect_photos(page)
        page.evaluate("scrollTo(0, 1500)")
        page.wait_for_function(f"({MIDDLE_TILE})() > 20")
        number = page.evaluate(MIDDLE_TILE)
        anchor = page.locator(f"#grid [data-image-id$='IMG_{number}.jpg']")
        before = anchor.bounding_box()
        version = hot_reload.current
        changed = replace(version.searcher, index=without_dates(version.searcher.index, 10))
        hot_reload.current = replace(version, searcher=changed, loaded_at=version.loaded_at + 1)
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        button = page.get_by_role("button", name="Show the changes")
        expect(button).to_have_count(1)
        with page.expect_response("**/search"):
            button.evaluate("button => button.click()")
        expect(page.locator("#notice")).to_be_hidden()
        after = anchor.bounding_box()
        assert before is not None
        assert after is not None
        assert abs(after["y"] - before["y"]) < 250  # less than two rows: the rows break in other places
        expect(page.locator("#announcer")).to_have_text("The photos are up to date.")


def test_a_vanished_image_leaves_a_marked_tile(open_photos: OpenPhotos) -> None:
    page = open_photos("?q=dog")
    page.route("**/thumbnails/**", lambda route: route.fulfill(status=404, json={"detail": "gone"}))
    page.goto("/")
    expect_photos(page)
    expect(page.locator("#grid .tile.missing").first).to_be_visible()


def test_the_progress_of_indexing_is_shown(open_photos: OpenPhotos) -> None:
    states = iter([(1200, 0.0), (1800, 60.0), (3000, 120.0)])

    def respond(route: Route) -> None:
        response = route.fetch()
        n_done, seconds = next(states, (3000, 120.0))
        indexing = {"n_done": n_done, "n_total": 6000, "updated_at": seconds}
        route.fulfill(response=response, json=response.json() | {"indexing": indexing})

    page = open_photos("?q=dog")
    page.clock.install()
    page.route("**/health", respond)
    page.goto("/")
    expect(page.locator("#notice")).to_have_text("1,200 of 6,000 images are searchable so far.")
    page.clock.fast_forward(6_000)
    expect(page.locator("#notice")).to_have_text("1,800 of 6,000 images are searchable so far, 7 min left.")
    page.clock.fast_forward(6_000)
    expect(page.locator("#notice")).to_have_text("3,000 of 6,000 images are searchable so far, 3 min left.")


def test_a_slow_server_is_announced(open_photos: OpenPhotos) -> None:
    page = open_photos("?q=dog")
    expect(page.locator("#grid .cell").first).to_be_visible()
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/search", hold)
    page.locator("#q").fill("sea")
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_have_text("Searching…")
    expect(page.locator("#main")).to_have_attribute("aria-busy", "true")
    held[-1].continue_()
    expect(page.locator("#status")).to_contain_text("Best first")
