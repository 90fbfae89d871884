"""Tests of the page in Chromium: browsing, filters, sorting, the endless grid, and saved searches."""

import json
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

OpenPhotos = Callable[..., Page]
N_PHOTOS = 1500
MAX_ELEMENTS = 250  # tiles and headings in the document

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # the browser leaves pipes open
]


def image_ids(page: Page) -> list[str]:
    """Return the IDs of the images whose tiles are in the document."""
    expect(page.locator("#grid .cell").first).to_be_visible()
    return page.locator("#grid .cell").evaluate_all("cells => cells.map((cell) => cell.dataset.imageId)")


def open_filters(page: Page) -> None:
    page.get_by_role("button", name="Filters").click()
    expect(page.locator("#filter-panel .choice").first).to_be_visible()


def test_the_page_opens_on_the_newest_images_by_month(open_photos: OpenPhotos) -> None:
    page = open_photos()
    expect(page.locator("#status")).to_have_text("1,500 photos, newest first")
    expect(page.locator("#grid h2").first).to_have_text("May 2024")
    expect(page.locator("#grid img.loaded").first).to_be_visible()
    assert image_ids(page)[0] == "2019/Lisbon/IMG_0000.jpg"
    first = page.locator("#grid .tile").first
    expect(first).to_have_accessible_name("IMG_0000.jpg 2019/Lisbon")
    first.hover()
    expect(first.locator(".caption")).to_have_css("opacity", "1")


def test_sorting_by_name_shows_folders_and_stays_in_the_url(open_photos: OpenPhotos) -> None:
    page = open_photos()
    page.get_by_label("Sort").select_option("name")
    expect(page).to_have_url(re.compile(r"sort=name"))
    expect(page.locator("#grid h2").first).to_have_text("2019/Lisbon")
    page.get_by_label("Sort").select_option("oldest")
    expect(page.locator("#grid h2").first).to_have_text("May 2023")
    page.go_back()
    expect(page.get_by_label("Sort")).to_have_value("name")
    page.goto("/?q=dog")
    expect(page.get_by_label("Sort")).to_have_value("relevance")


def test_filters_alone_browse_and_their_counts_are_choices(open_photos: OpenPhotos) -> None:
    page = open_photos("?colour=red")
    expect(page.locator("#status")).to_have_text("500 photos, newest first")
    open_filters(page)
    page.get_by_role("button", name="2019 125").click()
    expect(page.locator("#status")).to_have_text("125 photos, newest first")
    expect(page.locator("#grid .cell")).not_to_have_count(0)
    page.get_by_role("button", name="Lisbon 125").click()
    expect(page).to_have_url(re.compile("folder=.*Lisbon"))
    page.get_by_role("button", name=re.compile("^2024 ")).click()
    expect(page.get_by_role("button", name=re.compile("^Jan "))).to_be_visible()
    page.get_by_role("button", name="Remove filter Folder").click()
    page.get_by_role("button", name="Remove filter Colour").click()
    expect(page.get_by_role("button", name="Remove filter 2024")).to_be_visible()
    expect(page.locator("#n-filters")).to_have_text("1")
    page.get_by_role("button", name="Clear all").click()
    expect(page.locator("#status")).to_have_text("1,500 photos, newest first")
    expect(page.locator("#active-filters")).to_be_hidden()


def test_every_filter_of_the_url_reaches_the_server(open_photos: OpenPhotos) -> None:
    page = open_photos()
    url = (
        "/?q=dog&folder=2019&name=IMG&camera=canon&colour=red&after=2023-01-01&before=2025-01-01&dated=1"
        "&near=38.7,-9.1,25&box=-10,170,10,-170&min_side=10&min_bytes=1&max_bytes=1000000&min_relevance=0&min_cosine=-1"
        "&favourites=1&sort=oldest&duplicates=1"
    )
    with page.expect_request("**/search") as search:
        page.goto(url)
    assert search.value.post_data_json == {
        "text": "dog",
        "terms": [],
        "filters": {
            "folder": "2019",
            "name": "IMG",
            "camera": "canon",
            "colour": "red",
            "after": "2023-01-01",
            "before": "2025-01-01",
            "dated": True,
            "near": {"latitude": 38.7, "longitude": -9.1, "km": 25},
            "box": {"south": -10, "west": 170, "north": 10, "east": -170},
            "min_side": 10,
            "min_bytes": 1,
            "max_bytes": 1_000_000,
            "min_relevance": 0,
            "min_cosine": -1,
            "favourites": True,
        },
        "sort": "oldest",
        "fold_duplicates": False,
        "k": 100,
        "offset": 0,
    }
    expect(page.locator("#status")).to_contain_text("No photos found")
    page.get_by_role("button", name="Clear the filters").click()
    expect(page.locator("#grid .cell").first).to_be_visible()
    expect(page).to_have_url(re.compile(r"\?q=dog&sort=oldest&duplicates=1$"))


def test_the_fields_of_the_filter_panel_set_filters(open_photos: OpenPhotos) -> None:
    page = open_photos()
    open_filters(page)
    page.get_by_label("Latitude, longitude").fill("nowhere")
    page.get_by_label("Latitude, longitude").press("Enter")
    expect(page).not_to_have_url(re.compile("near="))
    page.get_by_label("Latitude, longitude").fill("38.72, -9.14")
    page.get_by_label("Within (km)").fill("5")
    page.get_by_label("Within (km)").press("Enter")
    expect(page).to_have_url(re.compile(r"near=38\.72%2C-9\.14%2C5"))
    expect(page.locator("#status")).to_contain_text("375 photos")
    page.get_by_role("button", name="Remove filter Within 5 km").click()
    page.get_by_role("button", name="Within 10 km of 38.72").click()
    expect(page).to_have_url(re.compile(r"near=38\.72%2C-9\.14%2C10"))
    page.get_by_role("button", name="Clear all").click()
    page.get_by_label("Without a date").check()
    expect(page.locator("#status")).to_contain_text("150 photos")
    page.get_by_text("File name and size").click()
    page.get_by_label("At most (MB)").fill("0.1")
    page.get_by_label("At most (MB)").press("Enter")
    expect(page.locator("#status")).to_contain_text("10 photos")
    expect(page).to_have_url(re.compile("max_bytes=100000"))


def test_the_grid_has_no_end_and_keeps_few_elements(open_photos: OpenPhotos) -> None:
    page = open_photos(viewport={"width": 1280, "height": 800})
    expect(page.locator("#grid img.loaded").first).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#grid .tile").first).to_be_focused()
    last = page.locator(f"#grid [data-index='{N_PHOTOS - 1}']")
    for _ in range(N_PHOTOS // 100):
        page.keyboard.press("End")
        expect(page.locator("#main")).not_to_have_attribute("aria-busy", "true")
        if last.count():
            break
    expect(last.locator("a")).to_be_focused()
    assert last.get_attribute("aria-posinset") == last.get_attribute("aria-setsize") == str(N_PHOTOS)
    assert page.locator("#grid li").count() < MAX_ELEMENTS
    page.keyboard.press("Home")
    expect(page.locator("#grid .tile").first).to_be_focused()
    assert page.evaluate("scrollY") == 0


@pytest.mark.parametrize("way", ["back", "reload"])
def test_the_scroll_position_is_restored(open_photos: OpenPhotos, way: str) -> None:
    page = open_photos(viewport={"width": 1280, "height": 800})
    expect(page.locator("#grid img.loaded").first).to_be_visible()
    for _ in range(4):
        page.keyboard.press("End")
        page.mouse.wheel(0, 3000)
        expect(page.locator("#main")).not_to_have_attribute("aria-busy", "true")
    page.wait_for_function("scrollY > 5000")
    page.wait_for_function("history.state?.anchor?.index > 100")
    position = page.evaluate("scrollY")
    if way == "back":
        page.locator("#q").fill("dog")
        page.keyboard.press("Enter")
        expect(page.locator("#status")).to_contain_text("Best first")
        assert page.evaluate("scrollY") == 0
        page.go_back()
    else:
        page.reload()
    page.wait_for_function("position => Math.abs(scrollY - position) < 3", arg=position)
    expect(page.locator("#status")).to_have_text("1,500 photos, newest first")


def test_images_keep_their_place_while_they_load(open_photos: OpenPhotos) -> None:
    script = """
    window.shifts = 0;
    new PerformanceObserver((list) => list.getEntries().forEach((entry) => (window.shifts += entry.value)))
      .observe({ type: "layout-shift", buffered: true });
    """
    page = open_photos(script=script)
    expect(page.locator("#grid img.loaded").first).to_be_visible()
    page.mouse.move(600, 400)
    page.mouse.wheel(0, 2000)
    for _ in range(300):  # the browser scrolls after the call
        if page.evaluate("scrollY") > 1500:
            break
        page.wait_for_timeout(100)
    assert page.evaluate("scrollY") > 1500
    expect(page.locator("#grid img.loaded").nth(20)).to_be_attached()
    assert page.evaluate("shifts") < 0.02


def test_searches_can_be_saved_opened_exported_and_deleted(open_photos: OpenPhotos) -> None:
    page = open_photos("?q=dog&plus=2022/IMG_0002.jpg&folder=2023&dated=0&near=1,2,3&sort=newest&duplicates=1")
    expect(page.locator("#status")).not_to_be_empty()
    url = page.url
    page.get_by_role("button", name="Save search").click()
    page.get_by_label("Save the current search as").fill("dogs / 2023?")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#saved-message")).to_have_text('Saved "dogs / 2023?".')
    with page.expect_download() as download:
        page.get_by_role("button", name="Export as JSON").click()
    (exported,) = json.loads(download.value.path().read_text())
    assert (exported["name"], exported["text"], exported["sort"]) == ("dogs / 2023?", "dog", "newest")
    page.goto("/")
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("button", name="Saved searches").click()
    page.get_by_role("link", name="dogs / 2023?").click()
    expect(page).to_have_url(url.replace("2022/", "2022%2F").replace(",", "%2C"))
    page.get_by_role("button", name="Save search").click()
    page.get_by_role("button", name="Delete dogs / 2023?").click()
    expect(page.locator("#no-saved")).to_be_visible()


def test_the_answer_says_how_the_query_was_read(open_photos: OpenPhotos) -> None:
    page = open_photos("?q=dog –sea")
    expect(page.locator("#status")).to_contain_text("Read as: dog - sea")
    page.locator("#q").fill("dog- sea")
    page.keyboard.press("Enter")
    expect(page.locator("#status .note").first).to_contain_text("The sign in 'dog-' is part of the text")
    page.locator("#q").fill("dog")
    page.keyboard.press("Enter")
    expect(page.locator("#status .note")).to_have_count(0)
