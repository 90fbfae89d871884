"""Tests of annotation mode in Chromium: layout, keys, progress, withdrawing, failures, and several raters."""

import csv
import io
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pyarrow as pa
import pytest
from fastapi import FastAPI
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, FloatRect, Page, Route, expect

from kadr.index import Index
from kadr.search import Searcher
from kadr.serve import Service, create_app
from tests.web.conftest import build_service

TOKEN = "0123456789abcdef"
TIMEOUT_S = 120
N_PAIRS = 240
N_TRAIN = 180  # images 3, 7, 11, ... belong to the test split
WINDOWS = [
    (1280, 800),
    (3840, 2160),
    (390, 844),
    (320, 568),
    (844, 390),
    (640, 400),  # 1280 x 800 at 200 %
    (320, 256),  # 1280 x 1024 at 400 %
    (320, 200),  # 1280 x 800 at 400 %
]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # the browser leaves pipes open
]


def write_suggestions(path: Path, index: Index) -> None:
    with path.open("w", newline="") as file:
        rows = [(image_id, f"a {image_id.removesuffix('.jpg')}") for image_id in index.table["image_id"].to_pylist()]
        csv.writer(file).writerows([("image_id", "text"), *rows])


def build_annotation_service(folder: Path, searcher: Searcher) -> Service:
    write_suggestions(folder / "rate_next.csv", searcher.index)
    return build_service(searcher, folder)


@pytest.fixture(scope="module")
def searcher(
    tmp_path_factory: pytest.TempPathFactory,
    make_index: Callable[[Path, int], Index],
    make_searcher: Callable[[Index], Searcher],
) -> Searcher:
    return make_searcher(make_index(tmp_path_factory.mktemp("images"), N_PAIRS))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that contains the ratings of all tests of this module. Each test rates under its own name."""
    return tmp_path_factory.mktemp("ratings")


@pytest.fixture(scope="module")
def address(serve: Callable[[FastAPI], AbstractContextManager[str]], folder: Path, searcher: Searcher) -> Iterator[str]:
    with serve(create_app(build_annotation_service(folder, searcher))) as address:
        yield address


@pytest.fixture
def context(browser: Browser, address: str) -> Iterator[BrowserContext]:
    """A browser context with a touch screen. The test fails if a page raises a script error."""
    context = browser.new_context(base_url=address, viewport={"width": 1280, "height": 800}, has_touch=True)
    errors: list[str] = []
    context.on("weberror", lambda error: errors.append(str(error.error)))
    yield context
    context.close()
    assert errors == []


def start(context: BrowserContext, rater: str, query: str = "") -> Page:
    """Open annotation mode and enter the name of the rater."""
    page = context.new_page()
    page.goto(f"/?annotate=1{query}")
    page.get_by_label("Your name").fill(rater)
    page.keyboard.press("Enter")
    expect_image(page)
    return page


def expect_image(page: Page) -> None:
    """Wait until the image of the pair is visible, because only then it can be rated."""
    expect(page.locator(".annotation figure:not(.loading) img")).to_be_visible()


def rate(page: Page, key: str) -> None:
    """Rate the shown pair, and wait until the next pair can be rated."""
    text = page.locator("blockquote").inner_text()
    page.keyboard.press(key)
    expect(page.locator("blockquote")).not_to_have_text(text)
    expect_image(page)


def ratings_of(folder: Path, rater: str) -> list[tuple[str, str]]:
    with (folder / "ratings_long.csv").open(newline="") as file:
        return [(row["image"], row["rating"]) for row in csv.DictReader(file) if row["rater"] == rater]


def expect_saved(page: Page, n_ratings: int) -> None:
    noun = "rating" if n_ratings == 1 else "ratings"
    expect(page.locator(".count")).to_contain_text(f"{n_ratings} {noun} by")
    expect(page.locator("#annotation")).to_have_attribute("data-unsent", "0")


def test_a_portrait_image_the_text_and_the_buttons_fit_into_every_window(context: BrowserContext) -> None:
    content = io.BytesIO()
    Image.new("RGB", (300, 400), "green").save(content, "PNG")
    context.route("**/images/**", lambda route: route.fulfill(body=content.getvalue(), content_type="image/png"))
    page = start(context, "layout")
    for width, height in WINDOWS:
        page.set_viewport_size({"width": width, "height": height})
        selectors = {"image": "figure img", "text": "blockquote", "ratings": ".ratings", "steps": ".steps"}
        boxes = {name: page.locator(f".annotation {css}").bounding_box() for name, css in selectors.items()}
        for name, box in boxes.items():
            assert box is not None
            assert box["x"] >= 0, (name, width, height)
            assert box["y"] >= 0, (name, width, height)
            assert box["x"] + box["width"] <= width, (name, width, height)
            assert box["y"] + box["height"] <= height, (name, width, height)
            for other, other_box in boxes.items():
                assert other_box is not None
                assert name == other or not _overlap(box, other_box), (name, other, width, height)
        image, last = boxes["image"], page.locator(".rating").last.bounding_box()
        assert image is not None
        assert last is not None
        assert image["height"] >= min(120, 0.4 * height)
        assert last["y"] + last["height"] <= height
        assert last["height"] >= 24, "the smallest size of a touch target"


def _overlap(a: FloatRect, b: FloatRect) -> bool:
    return (
        a["x"] < b["x"] + b["width"]
        and b["x"] < a["x"] + a["width"]
        and a["y"] < b["y"] + b["height"]
        and b["y"] < a["y"] + a["height"]
    )


def test_a_held_key_rates_one_pair(context: BrowserContext, folder: Path) -> None:
    page = start(context, "held")
    session = context.new_cdp_session(page)
    for number in range(12):
        key = {"key": "3", "code": "Digit3", "text": "3", "windowsVirtualKeyCode": 51}
        session.send("Input.dispatchKeyEvent", {"type": "keyDown", "autoRepeat": number > 0, **key})
        expect_image(page)
    expect_saved(page, 1)
    assert len(ratings_of(folder, "held")) == 1


def test_skipping_on_a_slow_network_reaches_every_pair_and_never_ends_early(context: BrowserContext) -> None:
    page = start(context, "skip")
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    network = {"offline": False, "latency": 200, "downloadThroughput": -1, "uploadThroughput": -1}
    session.send("Network.emulateNetworkConditions", network)
    message = page.locator(".annotation .message h1")
    deadline = time.monotonic() + TIMEOUT_S
    while not message.filter(has_text="left").is_visible():
        assert time.monotonic() < deadline, page.locator(".annotation").inner_text()
        assert not message.filter(has_text="Done").is_visible()
        for _ in range(15):
            page.keyboard.press("ArrowRight")
    expect(message).to_have_text(f"{N_TRAIN} pairs left")
    session.send("Network.emulateNetworkConditions", {**network, "latency": 0})
    page.get_by_role("button", name="Rate the skipped pairs").click()
    expect_image(page)
    expect(page.locator(".count")).to_contain_text(f"{N_TRAIN} pairs left")


def test_the_end_says_done_after_the_last_rating(context: BrowserContext, folder: Path) -> None:
    page = start(context, "all", "&q=red")
    n_pairs = int(re.findall(r"(\d+) pairs? left", page.locator(".count").inner_text())[0])
    assert n_pairs == N_TRAIN
    page.evaluate(
        """async (n) => {
          const query = new URLSearchParams({ rater: "all", text: "red", k: 200 });
          const { pairs } = await (await fetch(`annotation/pairs?${query}`)).json();
          const headers = { "Content-Type": "application/json" };
          await Promise.all(pairs.slice(0, n - 1).map(({ image_id, text }) => {
            const body = JSON.stringify({ image_id, text, rater: "all", rating: 2 });
            return fetch("annotation/ratings", { method: "POST", headers, body });
          }));
        }""",
        n_pairs,
    )
    page.reload()
    expect_image(page)
    expect(page.locator(".count")).to_contain_text("1 pair left")
    page.keyboard.press("4")
    expect(page.locator(".message h1")).to_have_text("Done")
    expect(page.locator(".message")).to_contain_text(f"You have rated all {n_pairs} pairs")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("blockquote")).to_be_visible()
    expect(page.locator(".count")).to_contain_text("1 pair left")
    expect(page.locator("#annotation")).to_have_attribute("data-unsent", "0")
    assert len(ratings_of(folder, "all")) == n_pairs - 1


def test_progress_and_undo_survive_a_reload(context: BrowserContext, folder: Path) -> None:
    page = start(context, "ann")
    first = page.locator("blockquote").inner_text()
    rate(page, "2")
    second = page.locator("blockquote").inner_text()
    rate(page, "4")
    third = page.locator("blockquote").inner_text()
    expect_saved(page, 2)
    page.reload()
    expect(page.locator("blockquote")).to_have_text(third)
    expect(page.locator(".count")).to_contain_text(f"2 ratings by ann · {N_TRAIN - 2} pairs left")
    page.keyboard.press("u")
    expect(page.locator("blockquote")).to_have_text(second)
    expect(page.locator(".rating[aria-pressed=true]")).to_have_count(0)
    expect_saved(page, 1)
    page.keyboard.press("ArrowLeft")
    expect(page.locator("blockquote")).to_have_text(first)
    expect(page.locator("[data-rating='2']")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Withdraw").click()
    expect_saved(page, 0)
    assert ratings_of(folder, "ann") == []
    expect_image(page)
    page.get_by_role("button", name="Partly fits").click()
    expect(page.locator("blockquote")).to_have_text(second)
    expect_saved(page, 1)


def test_new_text_is_announced_and_the_focus_stays_on_the_button(context: BrowserContext) -> None:
    page = start(context, "reader")
    button = page.get_by_role("button", name="Nearly fits")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".count")).to_contain_text("1 rating by")
    expect(button).to_be_focused()
    status = page.locator(".annotation").get_by_role("status")
    expect(status).to_have_text(f"{page.locator('blockquote').inner_text()}. {N_TRAIN - 1} pairs left.")


@pytest.mark.parametrize("failure", ["no connection", "status 503"])
def test_a_rating_is_sent_again_after_a_failure(context: BrowserContext, folder: Path, failure: str) -> None:
    def fail(route: Route) -> None:
        if failure == "no connection":
            route.abort()
        else:
            route.fulfill(status=503, json={"detail": "The disk is full."})

    page = start(context, failure)
    context.route("**/annotation/ratings", fail)
    rate(page, "3")
    rate(page, "1")
    expect(page.locator(".unsent")).to_contain_text("2 ratings not saved.")
    assert ratings_of(folder, failure) == []
    page.reload()
    expect_image(page)
    expect(page.locator(".unsent")).to_contain_text("2 ratings not saved.")
    expect(page.locator(".count")).to_contain_text(f"{N_TRAIN - 2} pairs left")
    context.unroute("**/annotation/ratings")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".unsent")).to_be_hidden()
    expect_saved(page, 2)
    assert [rating for _, rating in ratings_of(folder, failure)] == ["3", "1"]


def test_a_rejected_rating_is_shown_until_the_rater_discards_it(context: BrowserContext) -> None:
    page = start(context, "rejected")
    context.route(
        "**/annotation/ratings", lambda route: route.fulfill(status=422, json={"detail": "The rating 3 is too high."})
    )
    rate(page, "3")
    expect(page.locator(".unsent")).to_contain_text("1 rating not saved. The rating 3 is too high.")
    page.get_by_role("button", name="Discard").click()
    expect(page.locator(".unsent")).to_be_hidden()
    assert page.evaluate("localStorage.getItem('kadr.unsent-ratings')") == "[]"


def test_pairs_are_loaded_again_after_a_failure(context: BrowserContext) -> None:
    context.route("**/annotation/pairs?**", lambda route: route.abort())
    page = context.new_page()
    page.goto("/?annotate=1")
    page.get_by_label("Your name").fill("pairs")
    page.keyboard.press("Enter")
    expect(page.locator(".message h1")).to_have_text("The pairs cannot be loaded")
    context.unroute("**/annotation/pairs?**")
    page.get_by_role("button", name="Try again").click()
    expect_image(page)


def test_an_image_that_cannot_be_loaded_cannot_be_rated(context: BrowserContext) -> None:
    context.route("**/images/**", lambda route: route.abort())
    page = context.new_page()
    page.goto("/?annotate=1")
    page.get_by_label("Your name").fill("broken")
    page.keyboard.press("Enter")
    expect(page.locator("figure")).to_contain_text("This photo cannot be loaded.")
    text = page.locator("blockquote").inner_text()
    page.keyboard.press("2")
    expect(page.locator("blockquote")).to_have_text(text)
    context.unroute("**/images/**")
    page.get_by_role("button", name="Try again").click()
    expect_image(page)
    rate(page, "2")


def test_a_swipe_shows_another_pair(context: BrowserContext) -> None:
    page = start(context, "swipe")
    first = page.locator("blockquote").inner_text()
    swipe(context, page, ".annotation figure", -200)
    expect(page.locator("blockquote")).not_to_have_text(first)
    swipe(context, page, ".annotation figure", 200)
    expect(page.locator("blockquote")).to_have_text(first)


def swipe(context: BrowserContext, page: Page, selector: str, distance: int) -> None:
    """Move one finger horizontally over an element."""
    box = page.locator(selector).bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    session = context.new_cdp_session(page)
    session.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
    for share in (0.3, 0.7, 1):
        point = {"x": x + share * distance, "y": y}
        session.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_two_raters_rate_the_same_pair_at_once(browser: Browser, address: str, folder: Path) -> None:
    contexts = [browser.new_context(base_url=address) for _ in range(2)]
    pages = [start(context, rater) for context, rater in zip(contexts, ("eva", "max"), strict=True)]
    texts = {page.locator("blockquote").inner_text() for page in pages}
    assert len(texts) == 1
    for page, key in zip(pages, "14", strict=True):
        page.keyboard.press(key)
    for page in pages:
        expect_saved(page, 1)
    assert [ratings_of(folder, rater)[0][1] for rater in ("eva", "max")] == ["1", "4"]
    for context in contexts:
        context.close()


def test_a_rating_waits_for_the_token(
    browser: Browser, serve: Callable[[FastAPI], AbstractContextManager[str]], searcher: Searcher, tmp_path: Path
) -> None:
    with serve(create_app(build_annotation_service(tmp_path, searcher), TOKEN)) as address:
        context = browser.new_context(base_url=address)
        page = context.new_page()
        page.goto("/?annotate=1")
        page.get_by_label("Your name").fill("ann")
        page.keyboard.press("Enter")
        page.get_by_label("Token", exact=True).fill(TOKEN)
        page.keyboard.press("Enter")
        expect_image(page)
        context.clear_cookies()
        page.keyboard.press("2")
        expect(page.locator("#token")).to_be_visible()
        page.get_by_label("Token", exact=True).fill(TOKEN)
        page.keyboard.press("Enter")
        expect_saved(page, 1)
        assert len(ratings_of(tmp_path, "ann")) == 1
        context.close()


def test_photos_of_kadr_index_cannot_be_rated(
    browser: Browser,
    serve: Callable[[FastAPI], AbstractContextManager[str]],
    make_index: Callable[[Path, int], Index],
    make_searcher: Callable[[Index], Searcher],
    tmp_path: Path,
) -> None:
    index = make_index(tmp_path / "images", 6)
    position = index.table.column_names.index("split")
    table = index.table.set_column(position, index.table.schema.field("split"), pa.nulls(6, pa.string()))
    searcher = make_searcher(Index(**{**vars(index), "table": table}))
    with serve(create_app(build_annotation_service(tmp_path, searcher))) as address:
        page = browser.new_page(base_url=address)
        page.goto("/?annotate=1&q=dog")
        expect(page.locator("#annotation h1")).to_have_text("These photos cannot be rated")
        expect(page.locator("#annotation")).to_contain_text("because `kadr index` made the index")
        health = json.loads(page.request.get("/health").text())
        assert "`kadr index` made the index" in health["annotation_error"]
        page.close()
