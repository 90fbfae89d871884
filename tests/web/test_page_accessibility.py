"""Check the states of the page with the rules of axe-core in Chromium, light and dark, on wide and narrow windows."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from fastapi import FastAPI
from playwright.sync_api import Page, Route, expect

from kadr.serve import Service, create_app

axe_module = pytest.importorskip("axe_playwright_python.sync_playwright")

OpenPhotos = Callable[..., Page]
Serve = Callable[[FastAPI], AbstractContextManager[str]]
WINDOWS: dict[str, dict[str, object]] = {
    "desktop": {"viewport": {"width": 1280, "height": 800}},
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True},
    "zoom": {"viewport": {"width": 640, "height": 400}, "device_scale_factor": 2},  # 1280 x 800 at 200 %
}
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SEARCH = "?q=dog - sea&folder=2019&camera=canon&after=2023-06-01&near=38.7,-9.1,20000"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # the browser leaves pipes open
]


def check(page: Page) -> None:
    """Fail if the page violates a rule or is wider than its window, in the light or the dark theme."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        options = {"runOnly": RULES, "resultTypes": ["violations"]}
        results = axe_module.Axe().run(page, options=options)
        assert results.violations_count == 0, results.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.fixture(params=list(WINDOWS))
def window(request: pytest.FixtureRequest) -> dict[str, object]:
    return WINDOWS[request.param]


def test_browsing_filters_and_menus(open_photos: OpenPhotos, window: dict[str, object]) -> None:
    page = open_photos(**window)
    expect(page.locator("#grid .cell").first).to_be_visible()
    check(page)
    page.get_by_role("button", name="Filters").click()
    expect(page.locator("#filter-panel .choice").first).to_be_visible()
    for details in page.locator("#filter-panel summary").all():
        details.click()
    check(page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Filters")).to_be_focused()
    page.get_by_role("button", name="Menu").click()
    check(page)
    page.get_by_role("button", name="Help and keys").click()
    check(page)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("button", name="Saved searches").click()
    expect(page.locator("#saved")).to_be_visible()
    check(page)


def test_search_results_and_messages(open_photos: OpenPhotos, window: dict[str, object]) -> None:
    page = open_photos(SEARCH, **window)
    expect(page.locator("#grid .cell").first).to_be_visible()
    page.keyboard.press("ArrowDown")
    check(page)
    page.goto("/?name=nothing")
    expect(page.get_by_role("button", name="Clear the filters")).to_be_visible()
    check(page)
    page.goto("/?q=dog&colour=mauve")
    expect(page.locator("#status .error")).to_be_visible()
    check(page)


def test_errors_and_progress(open_photos: OpenPhotos, window: dict[str, object]) -> None:
    def respond(route: Route) -> None:
        if route.request.post_data_json["offset"]:
            route.fulfill(status=500, json={"detail": "The disk failed."})
        else:
            route.continue_()

    def show_progress(route: Route) -> None:
        response = route.fetch()
        indexing = {"n_done": 10, "n_total": 20, "updated_at": 0}
        route.fulfill(response=response, json=response.json() | {"indexing": indexing})

    page = open_photos("?name=nothing", **window)
    page.route("**/search", respond)
    page.route("**/health", show_progress)
    page.goto("/")
    expect(page.locator("#notice")).to_contain_text("10 of 20 images")
    expect(page.locator("#grid .tile").first).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("End")
    expect(page.locator("#end .error")).to_be_in_viewport()
    check(page)


def test_token_dialog(open_photos: OpenPhotos, window: dict[str, object], serve: Serve, photo_service: Service) -> None:
    with serve(create_app(photo_service, "0123456789abcdef")) as address:
        page = open_photos(address=address, **window)
        expect(page.locator("#token")).to_be_visible()
        check(page)
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()
        check(page)
