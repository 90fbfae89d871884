"""Tests of the web page in Chromium: search, viewer, annotation, URLs, accessibility on a phone, and the access token.

If ../shared exists, the tests use its images, a CLIP model, and a relevance model trained on its ratings. Otherwise the
tests use synthetic images.
"""

import csv
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from fastapi import FastAPI
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from kadr.encoders import load_image_encoder
from kadr.encoders.open_clip import OpenClipParams, OpenClipTextEncoder
from kadr.errors import InputError
from kadr.features import Images, Texts
from kadr.index import Index, build_index
from kadr.ingest.formats.long import LongTable, training_query_ids
from kadr.ingest.ratings import check_ratings
from kadr.io.embeddings import Embeddings
from kadr.io.schemas import IMAGES
from kadr.model import FeatureBlocks, RelevanceModel
from kadr.model.lightgbm import Learner
from kadr.params import load_params
from kadr.search import Searcher
from kadr.serve import Annotation, HotReload, Limits, RatingsFile, ServerMetrics, Service, create_app

CHROMIUM = shutil.which("chromium")
MIN_CONTRAST = 4.5
MAX_TOOLS_TOP = 20  # pixels from the top of the page; a larger value means a second header row
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
Serve = Callable[[FastAPI], AbstractContextManager[str]]
MakeSearcher = Callable[[Index], Searcher]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed; run apt-get install chromium"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # the browser leaves pipes open
]


@dataclass(frozen=True)
class Collection:
    """A collection of images to search and to rate.

    Attributes:
        searcher: searcher for the images.
        pairs: pairs to rate as (image_id, text), the most informative pair first.
        text: query that fits some of the images.
    """

    searcher: Searcher
    pairs: list[tuple[str, str]]
    text: str

    def search(self, k: int = 100) -> list[str]:
        return [match.image_id for match in self.searcher.search(self.text, k)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=30_000)
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


@pytest.fixture(scope="module")
def collection(request: pytest.FixtureRequest, project: Path) -> Collection:
    """The collection of real images in ../shared, or of synthetic images if ../shared does not exist."""
    shared = project.parent / "shared"
    if shared.is_dir():
        return load_real_collection(shared, project)
    index: Index = request.getfixturevalue("index")
    pairs = [
        (image_id, f"a {image_id[:-8]}") for image_id in ("red dog 000.jpg", "green cat 004.jpg", "red sea 006.jpg")
    ]
    return Collection(request.getfixturevalue("make_searcher")(index), pairs, "red dog")


def load_real_collection(shared: Path, project: Path) -> Collection:
    """Index 100 train images and 40 test images of Flickr8k, and train a relevance model on expert ratings."""
    texts = (
        pd.read_csv(shared / "flickr8k" / "train_dataset.csv")
        .drop_duplicates("query_id")
        .set_index("query_id")["query_text"]
    )
    ratings = pd.read_csv(
        shared / "flickr8k" / "ExpertAnnotations.tsv", sep="\t", names=["image", "query_id", "a", "b", "c"]
    )
    paths = {"train": sorted((shared / "flickr8k" / "train_images").iterdir())[:100]}
    paths["test"] = sorted((shared / "flickr8k" / "test_images").iterdir())[:40]
    encoder_params = OpenClipParams(
        backend="open_clip", model=f"local-dir:{shared / 'encoders' / 'clip-mobilenetv2-flickr8k'}", pretrained=None
    )
    image_encoder = load_image_encoder(encoder_params, "fp32")
    text_encoder = OpenClipTextEncoder(encoder_params, "fp32")
    rows, decoded = [], []
    for split, split_paths in paths.items():
        for path in split_paths:
            with Image.open(path) as image:
                decoded.append(image.convert("RGB"))
            width, height = decoded[-1].size
            row = {"path": str(path), "split": split, "status": "ok", "width": width, "height": height}
            rows.append({"image_id": path.name, **row})
    image_ids = [row["image_id"] for row in rows]
    embeddings = Embeddings(image_ids, image_encoder.transform(decoded), image_encoder.identity.metadata)
    train_names = {path.name for path in paths["train"]}
    pairs = ratings[ratings["image"].isin(train_names) & ratings["query_id"].isin(texts.index)]
    query_ids = sorted(set(pairs["query_id"]))
    query_texts = texts[query_ids].tolist()
    blocks = FeatureBlocks(["cosine", "product"], None)
    features = blocks.build(
        Images(embeddings.ids, {"clip": embeddings.vectors}),
        Texts(query_ids, query_texts, {"clip": text_encoder.transform(query_texts)}),
        embeddings.rows(pairs["image"].tolist()),
        pd.Index(query_ids).get_indexer(pairs["query_id"]),
    )
    relevance = (pairs[["a", "b", "c"]].mean(axis=1).to_numpy() - 1) / 3
    params = load_params(project / "params.yaml").train.model_copy(update={"n_estimators": 60, "num_threads": 1})
    booster = Learner(features.values, relevance, np.ones(len(pairs)), params, 0).fit(np.arange(len(pairs)))
    index = build_index(pa.Table.from_pylist(rows, IMAGES), {"clip": embeddings}, "clip", 1000)
    searcher = Searcher(index, {"clip": text_encoder}, RelevanceModel(blocks, features.names, booster), 100)
    first_pairs = pairs[["image", "query_id"]].head(8).itertuples(index=False)
    return Collection(searcher, [(image, texts[query]) for image, query in first_pairs], "two dogs in the snow")


@pytest.fixture
def service(collection: Collection, tmp_path: Path) -> Service:
    """A service for the collection that suggests its pairs and stores ratings in raw/ratings_long.csv."""
    (tmp_path / "raw").mkdir()
    with (tmp_path / "rate_next.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image_id", "text"), *collection.pairs])
    ratings = RatingsFile(tmp_path / "raw" / "ratings_long.csv")
    annotation = Annotation(ratings, tmp_path / "rate_next.csv", tmp_path / "queries.parquet")
    return Service(HotReload(lambda: collection.searcher, []), annotation, Limits(), ServerMetrics())


OpenPage = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, service: Service, serve: Serve) -> Iterator[OpenPage]:
    """A function that opens the page with a query string. The test fails if the page logs a script error."""
    errors: list[str] = []

    def record(message: ConsoleMessage) -> None:
        if message.type == "error" and "status of 422" not in message.text:
            errors.append(message.text)

    with serve(create_app(service)) as address:
        contexts = []

        def open_(query: str = "", **options: object) -> Page:
            contexts.append(browser.new_context(base_url=address, **options))  # type: ignore[arg-type]
            page = contexts[-1].new_page()
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("console", record)
            page.goto(f"/{query}")
            return page

        yield open_
        for context in contexts:
            context.close()
    assert errors == []


def tile_names(page: Page) -> list[str]:
    """Return the file names of the tiles in the grid."""
    expect(page.locator("#grid li").first).to_be_visible()
    labels = page.locator("#grid .tile").evaluate_all("tiles => tiles.map((tile) => tile.getAttribute('aria-label'))")
    return [re.sub(r"^\d+\. |, relevance .*", "", label) for label in labels]


def test_search_view_and_navigate_by_keyboard(open_page: OpenPage, collection: Collection) -> None:
    searcher, text = collection.searcher, collection.text
    page = open_page()
    expect(page.locator("#about")).to_contain_text(f"{len(searcher.index.table)} photos")
    page.keyboard.press("/")
    page.keyboard.type(text)
    page.keyboard.press("Enter")
    assert tile_names(page) == collection.search()
    first = page.locator("#grid .tile").first
    best = searcher.search(text, 1)[0]
    expect(first).to_contain_text(f"{best.relevance:.2f}")
    expect(first.locator("img")).to_have_class("loaded")
    expect(first).to_be_focused()
    for key in ("ArrowRight", "ArrowDown", "ArrowUp", "Home", "Enter"):
        page.keyboard.press(key)
    expect(page.locator("#viewer")).to_be_visible()
    expect(page.locator("#viewer h2")).to_have_text(best.image_id)
    similar = [match.image_id for match in searcher.similar(best.image_id, 12)]
    expect(page.locator("#viewer .strip img")).to_have_count(len(similar))
    page.keyboard.press("ArrowRight")
    second = collection.search()[1]
    expect(page.locator("#viewer h2")).to_have_text(second)
    page.keyboard.press("Escape")
    expect(page.locator("#viewer")).to_be_hidden()
    page.keyboard.press("s")
    expect(page).to_have_url(re.compile(r"\?plus="))
    expect(page.locator("#chips li")).to_have_count(1)
    assert tile_names(page)[:12] == [match.image_id for match in searcher.similar(second, 12)]
    page.go_back()
    expect(page.locator("#q")).to_have_value(text)
    assert tile_names(page) == collection.search()
    page.reload()
    assert tile_names(page) == collection.search()


def test_subtracted_photos_appear_in_the_url(open_page: OpenPage, collection: Collection) -> None:
    page = open_page(f"?q={collection.text}")
    first_name = tile_names(page)[0]
    first = page.locator("#grid li").first
    first.hover()
    first.get_by_role("button", name="Subtract photo").click()
    expect(page.locator("#chips .minus")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"minus="))
    tile_names(page)
    page.get_by_role("button", name="Remove subtracted photo").click()
    expect(page.locator("#grid .tile").first).to_have_attribute("aria-label", re.compile(re.escape(first_name)))


def test_filters_and_the_open_photo_appear_in_the_url(open_page: OpenPage, collection: Collection) -> None:
    page = open_page(f"?q={collection.text}")
    second_name = tile_names(page)[1]
    page.get_by_role("button", name="Filters", exact=True).click()
    page.get_by_label("Minimum relevance").fill("0.55")
    page.get_by_label("Minimum relevance").press("Tab")
    expect(page).to_have_url(re.compile(r"min_relevance=0\.55"))
    n_matches = sum((match.relevance or 0) >= 0.55 for match in collection.searcher.search(collection.text, 100))
    expect(page.locator("#grid li")).to_have_count(n_matches)
    page.go_back()
    expect(page.locator("#grid li")).not_to_have_count(n_matches)
    linked = open_page(f"?q={collection.text}&min_relevance=0.55&image={second_name}")
    expect(linked.locator("#viewer h2")).to_have_text(second_name)
    expect(linked.locator("#n-filters")).to_have_text("1")


def test_the_page_shows_the_error_of_the_server(open_page: OpenPage) -> None:
    page = open_page("?q=dog&colour=mauve")
    expect(page.locator("#status .error")).to_contain_text("mauve")


def test_ratings_by_keyboard_reach_ingest(open_page: OpenPage, collection: Collection, tmp_path: Path) -> None:
    pairs = collection.pairs
    page = open_page("?annotate=1")
    page.get_by_label("Name").fill("Ann, B.")
    page.keyboard.press("Enter")
    expect(page.locator("blockquote")).to_have_text(pairs[0][1])
    page.keyboard.press("2")
    expect(page.locator("blockquote")).to_have_text(pairs[1][1])
    page.keyboard.press("ArrowLeft")
    expect(page.locator("[data-rating='2']")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("4")
    expect(page.locator("blockquote")).to_have_text(pairs[1][1])
    page.get_by_role("button", name="Does not fit").click()
    expect(page.locator(".count")).to_contain_text("3 in the file")
    page.reload()
    expect(page.locator("blockquote")).to_have_text(pairs[2][1])

    raw = LongTable().read(tmp_path / "raw")
    (raw_ratings,) = raw.ratings
    images = dict.fromkeys((image_id for image_id, _ in pairs), "ok")
    checked = check_ratings(raw_ratings, images, dict.fromkeys(raw_ratings.rows["query_id"], "train"))
    assert checked.ratings[["image_id", "rater", "rating", "source"]].astype(str).values.tolist() == [
        [pairs[0][0], "Ann, B.", "4.0", "expert"],
        [pairs[1][0], "Ann, B.", "1.0", "expert"],
    ]
    assert checked.quarantine["rule"].tolist() == ["rated_again"]
    assert set(training_query_ids(raw)) == {" ".join(text.split()) for _, text in pairs[:2]}


def test_search_results_can_be_rated(open_page: OpenPage, collection: Collection, tmp_path: Path) -> None:
    page = open_page(f"?annotate=1&q={collection.text}")
    page.get_by_label("Name").fill("bob")
    page.get_by_role("button", name="Start").click()
    expect(page.locator("blockquote")).to_have_text(collection.text)
    page.keyboard.press("3")
    expect(page.locator(".count")).to_contain_text("1 rated in this session, 1 in the file")
    rows = (tmp_path / "raw" / "ratings_long.csv").read_text().splitlines()
    images = collection.searcher.index.table.to_pylist()
    train_ids = {image["image_id"] for image in images if image["split"] == "train"}
    first = next(image_id for image_id in collection.search() if image_id in train_ids)
    assert rows[1] == f"{first},{collection.text},bob,3,expert"


def test_annotation_mode_explains_why_ratings_cannot_be_stored(
    open_page: OpenPage, service: Service, tmp_path: Path
) -> None:
    service.annotation = Annotation(InputError("The disk is read-only."), tmp_path / "none", tmp_path / "none")
    page = open_page("?annotate=1")
    expect(page.locator("#annotation h1")).to_have_text("Annotation is not available")
    expect(page.locator("#annotation")).to_contain_text("The disk is read-only.")


CONTRASTS = """
() => {
  const luminance = (color) => {
    const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    context.fillStyle = color; context.fillRect(0, 0, 1, 1);
    const channels = [...context.getImageData(0, 0, 1, 1).data].slice(0, 3).map((channel) => channel / 255);
    const linear = (channel) => (channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = channels.map(linear);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const background = (element) => {
    for (let ancestor = element; ancestor; ancestor = ancestor.parentElement) {
      const color = getComputedStyle(ancestor).backgroundColor;
      if (!/rgba\\(.*, 0(\\.\\d+)?\\)|transparent|color\\(/.test(color)) return color;
    }
    return "white";
  };
  const elements = [...document.querySelectorAll("h1, p, a, button, kbd, dd, label, blockquote, small, b")];
  const hasText = (element) =>
    element.checkVisibility() && !element.disabled && element.innerText.trim() && !element.closest(".tile");
  return elements.filter(hasText).map((element) => {
    const [a, b] = [luminance(getComputedStyle(element).color), luminance(background(element))].sort();
    return [element.outerHTML.slice(0, 80), (b + 0.05) / (a + 0.05)];
  });
}
"""
"""Script that returns [HTML, contrast ratio] for every visible text element."""

UNNAMED = """
() => {
  const elements = [...document.querySelectorAll("a, button, input, select, img")];
  const hasName = (element) =>
    element.innerText?.trim() || element.ariaLabel || element.labels?.length || element.hasAttribute("alt");
  const unnamed = elements.filter((element) => element.checkVisibility() && !hasName(element));
  return unnamed.map((element) => element.outerHTML);
}
"""
"""Script that returns the HTML of every visible control or image without an accessible name."""


@pytest.mark.parametrize("query", ["", "?q={}&min_side=1", "?annotate=1"], ids=["start", "search", "annotation"])
def test_on_a_phone_the_page_fits_and_is_accessible(open_page: OpenPage, collection: Collection, query: str) -> None:
    page = open_page(query.format(collection.text), **PHONE)
    if "annotate" in query:
        page.get_by_label("Name").fill("ann")
        page.keyboard.press("Enter")
        expect(page.locator("blockquote")).to_be_visible()
    elif query:
        tile_names(page)
        expect(page.locator("#filters")).to_be_visible()
    else:
        expect(page.locator("#about")).to_contain_text("photos")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.evaluate("document.querySelector('.tools').offsetTop") < MAX_TOOLS_TOP
    assert page.evaluate(UNNAMED) == []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        assert [entry for entry in page.evaluate(CONTRASTS) if entry[1] < MIN_CONTRAST] == []


def test_a_thousand_results_load_page_by_page(
    browser: Browser, serve: Serve, make_index: Callable[..., Index], make_searcher: MakeSearcher, tmp_path: Path
) -> None:
    searcher = replace(make_searcher(make_index(tmp_path / "images", 1000)), rerank=0, model=None)
    annotation = Annotation(RatingsFile(tmp_path / "ratings_long.csv"), tmp_path / "none", tmp_path / "none")
    service = Service(HotReload(lambda: searcher, []), annotation, Limits(), ServerMetrics())
    with serve(create_app(service)) as address:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        urls: list[str] = []
        page.on("request", lambda request: urls.append(request.url))
        page.goto(f"{address}/?q=sea")
        expect(page.locator("#grid img.loaded").first).to_be_visible()
        page.wait_for_timeout(300)
        assert sum("/thumbnails/" in url for url in urls) < 300
        page.keyboard.press("ArrowDown")
        expect(page.locator("#grid .tile").first).to_be_focused()
        for n_results in range(200, 1001, 100):
            page.keyboard.press("End")
            expect(page.locator("#grid li")).to_have_count(n_results)
        expect(page.locator("#status")).to_have_text("1,000 photos, best first")
        assert sum(url.endswith("/search") for url in urls) == 10
        assert len(set(tile_names(page))) == 1000
        page.close()


def test_the_page_requests_the_token_once(
    browser: Browser, serve: Serve, service: Service, collection: Collection
) -> None:
    with serve(create_app(service, "0123456789abcdef")) as address:
        page = browser.new_page()
        page.goto(f"{address}/?q={collection.text}")
        page.get_by_label("Token", exact=True).fill("a wrong token")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_have_text("The token is incorrect.")
        page.get_by_label("Token", exact=True).fill("0123456789abcdef")
        page.keyboard.press("Enter")
        tile_names(page)
        expect(page.locator("#grid img.loaded").first).to_be_visible()
        page.reload()
        tile_names(page)
        expect(page.locator("#token")).to_be_hidden()
        page.close()
