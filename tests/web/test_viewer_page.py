"""Tests of the viewer, the selection and the favourites of the page in Chromium."""

import csv
import io
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi import FastAPI
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect

from kadr.index import Index
from kadr.search import Searcher
from kadr.serve import create_app
from tests.web.conftest import build_service

N_IMAGES = 130  # two pages of results

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # the browser leaves pipes open
]


@pytest.fixture(scope="module")
def searcher(
    tmp_path_factory: pytest.TempPathFactory,
    make_index: Callable[[Path, int], Index],
    make_searcher: Callable[[Index], Searcher],
) -> Searcher:
    return replace(make_searcher(make_index(tmp_path_factory.mktemp("images"), N_IMAGES)), rerank=0, model=None)


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
    """A browser context with a touch screen. The test fails if a page raises a script error."""
    context = browser.new_context(base_url=address, viewport={"width": 1280, "height": 800}, has_touch=True)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    errors: list[str] = []
    context.on("weberror", lambda error: errors.append(str(error.error)))
    yield context
    context.close()
    assert errors == []


def open_results(context: BrowserContext, query: str = "?q=red") -> Page:
    """Open search results, and wait until the tiles have their ticks and hearts."""
    page = context.new_page()
    page.goto(f"/{query}")
    expect(page.locator("#grid .tick").first).to_be_attached()
    return page


def open_viewer(context: BrowserContext, index: int = 0) -> Page:
    page = open_results(context)
    page.locator("#grid .tile").nth(index).click()
    expect(page.locator("#viewer .large")).to_be_visible()
    return page


def results(searcher: Searcher, k: int = N_IMAGES) -> list[str]:
    return [match.image_id for match in searcher.search("red", k)]


def test_the_viewer_goes_on_beyond_the_loaded_results(context: BrowserContext, searcher: Searcher) -> None:
    image_ids = results(searcher)
    page = open_results(context)
    page.goto(page.url + f"&image={image_ids[98].replace(' ', '%20')}")
    for position in range(98, 103):
        expect(page.locator("#viewer h2")).to_have_text(image_ids[position])
        expect(page.locator("#viewer .next")).to_be_enabled()
        page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#viewer h2")).to_have_text(image_ids[102])
    page.reload()
    expect(page.locator("#viewer h2")).to_have_text(image_ids[102])


def test_the_buttons_end_at_the_first_and_at_the_last_image(context: BrowserContext) -> None:
    page = open_viewer(context)
    expect(page.locator("#viewer .previous")).to_be_disabled()
    expect(page.locator("#viewer .next")).to_be_enabled()
    page.keyboard.press("Escape")
    expect(page.locator("#viewer")).to_be_hidden()
    expect(page.locator("#grid .tile").first).to_be_focused()


def test_the_sidebar_shows_where_the_image_is(context: BrowserContext, searcher: Searcher) -> None:
    page = open_viewer(context)
    first = searcher.search("red", 1)[0]
    expect(page.locator("#viewer dl")).to_contain_text(first.path)
    expect(page.locator("#viewer dl")).to_contain_text(f"{first.width} × {first.height}")
    expect(page.locator("#viewer dl")).to_contain_text(f"Cosine{first.score:.3f}")
    page.get_by_role("button", name="Copy path").click()
    expect(page.locator(".toast")).to_have_text("Copied the path.")
    assert page.evaluate("navigator.clipboard.readText()") == first.path
    page.get_by_title("Show the photos of this folder").click()
    expect(page.locator("#viewer")).to_be_hidden()
    expect(page).to_have_url(re.compile("folder="))


def test_the_path_can_be_copied_without_the_clipboard_api(context: BrowserContext, searcher: Searcher) -> None:
    context.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page = open_viewer(context)
    page.keyboard.press("c")
    expect(page.locator(".toast")).to_have_text("Copied the path.")


def test_the_original_file_can_be_downloaded(context: BrowserContext, searcher: Searcher) -> None:
    page = open_viewer(context)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    first = searcher.search("red", 1)[0]
    assert download.value.suggested_filename == first.image_id
    assert Path(download.value.path()).read_bytes() == Path(first.path).read_bytes()


def zoom_of(page: Page, selector: str = "#viewer .large") -> float:
    return float(page.locator(selector).evaluate("(image) => new DOMMatrix(getComputedStyle(image).transform).a"))


def test_wheel_keys_and_fingers_zoom(context: BrowserContext) -> None:
    page = open_viewer(context)
    image = page.locator("#viewer .large")
    page.keyboard.press("z")
    expect(image).to_have_attribute("style", re.compile(r"scale\((?!1\))"))
    page.keyboard.press("z")
    assert zoom_of(page) == 1
    box = page.locator("#viewer .stage").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.wheel(0, -300)
    expect(image).to_have_attribute("style", re.compile(r"scale\((?!1\))"))
    page.mouse.wheel(0, 3000)
    expect(image).not_to_have_attribute("style", re.compile(r"scale\("))
    touch(context, page, [[(x - 40, y), (x + 40, y)], [(x - 80, y), (x + 80, y)], [(x - 120, y), (x + 120, y)]])
    assert zoom_of(page) == pytest.approx(3, abs=0.2)
    before = page.locator("#viewer h2").inner_text()
    touch(context, page, [[(x + 150, y)], [(x, y)], [(x - 150, y)]])  # moves the zoomed image
    expect(page.locator("#viewer h2")).to_have_text(before)


def touch(context: BrowserContext, page: Page, frames: list[list[tuple[float, float]]]) -> None:
    """Move fingers over the page. Each frame contains the positions of all fingers."""
    session = context.new_cdp_session(page)
    for number, frame in enumerate(frames):
        points = [{"x": x, "y": y, "id": finger} for finger, (x, y) in enumerate(frame)]
        session.send(
            "Input.dispatchTouchEvent", {"type": "touchMove" if number else "touchStart", "touchPoints": points}
        )
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_a_swipe_shows_the_next_image(context: BrowserContext, searcher: Searcher) -> None:
    image_ids = results(searcher, 2)
    page = open_viewer(context)
    touch(context, page, [[(700, 400)], [(600, 400)], [(450, 400)]])
    expect(page.locator("#viewer h2")).to_have_text(image_ids[1])
    touch(context, page, [[(450, 400)], [(600, 400)], [(700, 400)]])
    expect(page.locator("#viewer h2")).to_have_text(image_ids[0])


def test_a_failed_image_says_why_and_can_be_tried_again(context: BrowserContext) -> None:
    context.route(
        "**/images/**", lambda route: route.fulfill(status=404, json={"detail": "The image file cannot be read."})
    )
    page = open_results(context)
    page.locator("#grid .tile").first.click()
    expect(page.locator("#viewer .failure")).to_contain_text("The image file cannot be read.")
    context.unroute("**/images/**")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#viewer .large")).to_be_visible()


def test_the_focus_stays_in_the_viewer(context: BrowserContext) -> None:
    page = open_viewer(context)
    expect(page.locator("#viewer .strip button").first).to_be_visible()
    for _ in range(40):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('#viewer, body').id") in {"viewer", ""}


def test_images_are_selected_by_mouse_and_keyboard(context: BrowserContext, searcher: Searcher) -> None:
    image_ids = results(searcher)
    page = open_results(context)
    page.locator("#grid .cell").nth(1).hover()
    page.locator("#grid .tick").nth(1).click()
    bar = page.locator(".selection-bar")
    expect(bar).to_contain_text("1 selected")
    page.locator("#grid .tile").nth(4).click(modifiers=["Shift"])
    expect(bar).to_contain_text("4 selected")
    page.keyboard.press("Space")
    expect(bar).to_contain_text("3 selected")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    expect(bar).to_contain_text("6 selected")
    bar.get_by_role("button", name="Copy paths").click()
    expect(page.locator(".toast")).to_have_text("Copied 6 paths.")
    paths = page.evaluate("navigator.clipboard.readText()").split("\n")
    assert [Path(path).name for path in paths] == [*image_ids[1:4], *image_ids[4:7]]
    page.locator("#grid .tile").first.focus()
    page.keyboard.press("Control+a")
    expect(bar).to_contain_text("100 selected")
    page.keyboard.press("Escape")
    expect(bar).to_be_hidden()
    expect(page.locator("#announcer")).to_have_text("No photo is selected.")


def test_selected_images_are_downloaded_and_searched(context: BrowserContext, searcher: Searcher) -> None:
    image_ids = results(searcher, 2)
    page = open_results(context)
    page.locator("#grid .tile").first.focus()
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    bar = page.locator(".selection-bar")
    with page.expect_download() as download:
        bar.get_by_role("button", name="Download").click()
    with zipfile.ZipFile(io.BytesIO(Path(download.value.path()).read_bytes())) as archive:
        assert sorted(Path(name).name for name in archive.namelist()) == sorted(image_ids)
    bar.get_by_role("button", name="Find similar").click()
    expect(page.locator("#chips .plus")).to_have_count(2)
    expect(bar).to_be_hidden()


def test_a_long_press_selects_an_image(context: BrowserContext) -> None:
    page = open_results(context)
    box = page.locator("#grid .tile").nth(2).bounding_box()
    assert box is not None
    session = context.new_cdp_session(page)
    point = {"x": box["x"] + 60, "y": box["y"] + 60}
    session.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [point]})
    expect(page.locator(".selection-bar")).to_contain_text("1 selected")
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    expect(page.locator("#viewer")).to_be_hidden()
    page.locator("#grid .tile").nth(3).tap()
    expect(page.locator(".selection-bar")).to_contain_text("2 selected")


def test_favourites_survive_a_reload_and_are_exported(context: BrowserContext, searcher: Searcher) -> None:
    first, second = searcher.search("red", 2)
    page = open_results(context)
    page.locator("#grid .tile").first.focus()
    page.keyboard.press("f")
    expect(page.locator("#grid .heart").first).to_have_attribute("aria-pressed", "true")
    page.locator("#grid .tile").nth(1).click()
    page.locator("#viewer .heart").click()
    expect(page.locator("#viewer .heart")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#announcer")).to_have_text(f"{second.image_id} is a favourite.")
    page.goto("/?view=favourites")
    expect(page.locator(".favourites-header")).to_contain_text("2 favourites.")
    expect(page.locator("#grid .tile")).to_have_count(2)
    with page.expect_download() as download:
        page.get_by_role("link", name="Export as CSV").click()
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text())))
    assert sorted(row["path"] for row in rows) == sorted([first.path, second.path])
    page.locator("#grid .tile").first.focus()
    page.keyboard.press("f")
    expect(page.locator(".favourites-header")).to_contain_text("1 favourite.")


def test_a_favourite_that_is_not_saved_is_taken_back(context: BrowserContext) -> None:
    page = open_results(context)
    context.route("**/favourites/**", lambda route: route.fulfill(status=503, json={"detail": "The disk is full."}))
    page.locator("#grid .tile").nth(5).focus()
    page.keyboard.press("f")
    expect(page.get_by_role("alert")).to_have_text("The disk is full.")
    expect(page.locator("#grid .heart").nth(5)).to_have_attribute("aria-pressed", "false")


def test_the_viewer_fits_a_phone(context: BrowserContext, tmp_path: Path) -> None:
    content = io.BytesIO()
    Image.new("RGB", (900, 300), "navy").save(content, "PNG")
    context.route("**/images/**", lambda route: route.fulfill(body=content.getvalue(), content_type="image/png"))
    page = open_viewer(context)
    for width, height in ((390, 844), (320, 568), (844, 390)):
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("document.querySelector('#viewer').scrollWidth") <= width
        box = page.locator("#viewer .large").bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= height
        assert box["width"] <= width
