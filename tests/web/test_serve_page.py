"""The page in a real browser: type, see, walk, click, go back, filter, rate, reload; on a phone; with a token.

With ../shared the photos, the CLIP and the ratings behind the relevance model are real; elsewhere they are drawn.
"""

import csv
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from fastapi import FastAPI
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from kadr.encoders import load_image_encoder
from kadr.encoders.open_clip import OpenClipTextEncoder
from kadr.features import Images, Texts
from kadr.index import Index, build_index
from kadr.ingest.formats import long
from kadr.ingest.long_ratings import check_long
from kadr.io.embeddings import Embeddings
from kadr.io.schemas import IMAGES
from kadr.model import FeatureBlocks, RelevanceModel
from kadr.model.lightgbm import Learner
from kadr.params import OpenClipParams, load_params
from kadr.search import Searcher
from kadr.serve import Judging, Limits, Live, Metrics, RatingsFile, Service, create_app

CHROMIUM = shutil.which("chromium")
Serve = Callable[[FastAPI], AbstractContextManager[str]]
SearcherOf = Callable[[Index], Searcher]
Album = tuple[Searcher, list[tuple[str, str]], str]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # of the browser's pipes
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=30_000)
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


@pytest.fixture(scope="module")
def album(request: pytest.FixtureRequest, project: Path) -> Album:
    """A searcher, pairs to rate next, and a text that some photos fit."""
    shared = project.parent / "shared"
    if shared.is_dir():
        return real_album(shared, project)
    index: Index = request.getfixturevalue("index")
    pairs = [(name, f"a {name[:-8]}") for name in ("red dog 000.jpg", "green cat 004.jpg", "red sea 006.jpg")]
    return request.getfixturevalue("searcher_over")(index), pairs, "red dog"


def real_album(shared: Path, project: Path) -> Album:
    """100 rated photos and 40 others, by the CLIP of ../shared; the model is learned from their expert ratings."""
    texts = (
        pd.read_csv(shared / "flickr8k" / "train_dataset.csv")
        .drop_duplicates("query_id")
        .set_index("query_id")["query_text"]
    )
    rated = pd.read_csv(
        shared / "flickr8k" / "ExpertAnnotations.tsv", sep="\t", names=["image", "query_id", "a", "b", "c"]
    )
    paths = {"train": sorted((shared / "flickr8k" / "train_images").iterdir())[:100]}
    paths["test"] = sorted((shared / "flickr8k" / "test_images").iterdir())[:40]
    spec = OpenClipParams(
        backend="open_clip", model=f"local-dir:{shared / 'encoders' / 'clip-mobilenetv2-flickr8k'}", pretrained=None
    )
    encoder, words = load_image_encoder(spec, "fp32"), OpenClipTextEncoder(spec, "fp32")
    rows, photos = [], []
    for split, found in paths.items():
        for path in found:
            with Image.open(path) as photo:
                photos.append(photo.convert("RGB"))
            size = {"width": photos[-1].width, "height": photos[-1].height}
            rows.append({"image_id": path.name, "path": str(path), "split": split, "status": "ok", **size})
    vectors = Embeddings([row["image_id"] for row in rows], encoder.transform(photos), encoder.identity.metadata)
    pairs = rated[rated["image"].isin({path.name for path in paths["train"]}) & rated["query_id"].isin(texts.index)]
    query_ids = sorted(set(pairs["query_id"]))
    blocks = FeatureBlocks(["cosine", "product"], None)
    images = Images(vectors.ids, {"clip": vectors.vectors})
    queries = Texts(query_ids, texts[query_ids].tolist(), {"clip": words.transform(texts[query_ids].tolist())})
    matrix = blocks.build(
        images, queries, vectors.rows(pairs["image"].tolist()), pd.Index(query_ids).get_indexer(pairs["query_id"])
    )
    relevance = (pairs[["a", "b", "c"]].mean(axis=1).to_numpy() - 1) / 3
    params = load_params(project / "params.yaml").train.model_copy(update={"n_estimators": 60, "num_threads": 1})
    booster = Learner(matrix.values, relevance, np.ones(len(pairs)), params, 0).fit(np.arange(len(pairs)))
    index = build_index(pa.Table.from_pylist(rows, IMAGES), {"clip": vectors}, "clip", 1000)
    searcher = Searcher(index, {"clip": words}, RelevanceModel(blocks, matrix.names, booster), 100)
    asked = [(image, texts[query]) for image, query in pairs[["image", "query_id"]].head(8).itertuples(index=False)]
    return searcher, asked, "two dogs in the snow"


@pytest.fixture
def service(album: Album, tmp_path: Path) -> Service:
    """The album's service; ratings go to tmp_path/raw/ratings_long.csv, rate_next.csv has its pairs."""
    searcher, pairs, _ = album
    (tmp_path / "raw").mkdir()
    with (tmp_path / "rate_next.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image_id", "text"), *pairs])
    ratings = RatingsFile(tmp_path / "raw" / "ratings_long.csv")
    judging = Judging(ratings, tmp_path / "rate_next.csv", tmp_path / "queries.parquet")
    return Service(Live(lambda: searcher, []), judging, Limits(), Metrics())


Open = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, service: Service, serve: Serve) -> Iterator[Open]:
    """Open an address of the page; an error in its script fails the test."""
    wrong: list[str] = []
    with serve(create_app(service)) as address:
        contexts = []

        def open_(search: str = "", **options: object) -> Page:
            contexts.append(browser.new_context(base_url=address, **options))  # type: ignore[arg-type]
            page = contexts[-1].new_page()
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.on(
                "console",
                lambda said: said.type == "error" and "status of 422" not in said.text and wrong.append(said.text),
            )
            page.goto(f"/{search}")
            return page

        yield open_
        for context in contexts:
            context.close()
    assert wrong == []


def tiles(page: Page) -> list[str]:
    """Names of the photos in the grid."""
    expect(page.locator("#grid li").first).to_be_visible()
    labels = page.locator("#grid .tile").evaluate_all("tiles => tiles.map((tile) => tile.getAttribute('aria-label'))")
    return [re.sub(r"^\d+\. |, relevance .*", "", label) for label in labels]


def wanted(searcher: Searcher, text: str) -> list[str]:
    return [match.image_id for match in searcher.search(text, 100)]


def test_type_see_walk_look_and_go_back(open_page: Open, album: Album) -> None:
    searcher, _, text = album
    page = open_page()
    expect(page.locator("#about")).to_contain_text(f"{len(searcher.index.photos)} photos")
    page.keyboard.press("/")
    page.keyboard.type(text)
    page.keyboard.press("Enter")
    assert tiles(page) == wanted(searcher, text)
    first = page.locator("#grid .tile").first
    best = searcher.search(text, 1)[0]
    expect(first).to_contain_text(f"{best.relevance:.2f}")
    expect(first.locator("img")).to_have_class("there")
    expect(first).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(page.locator("#viewer")).to_be_visible()
    expect(page.locator("#viewer h2")).to_have_text(best.image_id)
    similar = [match.image_id for match in searcher.similar(best.image_id, 12)]
    expect(page.locator("#viewer .strip img")).to_have_count(len(similar))
    page.keyboard.press("ArrowRight")
    second = wanted(searcher, text)[1]
    expect(page.locator("#viewer h2")).to_have_text(second)
    page.keyboard.press("Escape")
    expect(page.locator("#viewer")).to_be_hidden()
    page.keyboard.press("s")
    expect(page).to_have_url(re.compile(r"\?plus="))
    expect(page.locator("#chips li")).to_have_count(1)
    assert tiles(page)[:12] == [match.image_id for match in searcher.similar(second, 12)]
    page.go_back()
    expect(page.locator("#q")).to_have_value(text)
    assert tiles(page) == wanted(searcher, text)
    page.reload()
    assert tiles(page) == wanted(searcher, text)


def test_photos_are_added_and_subtracted_and_filters_stand_in_the_address(open_page: Open, album: Album) -> None:
    searcher, _, text = album
    page = open_page(f"?q={text}")
    one, other = tiles(page)[:2]
    page.locator("#grid li").first.hover()
    page.locator("#grid li").first.get_by_role("button", name="Subtract the photo").click()
    expect(page.locator("#chips .minus")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"minus="))
    tiles(page)
    page.get_by_role("button", name="Remove subtracted photo").click()
    expect(page.locator("#grid .tile").first).to_have_attribute("aria-label", re.compile(re.escape(one)))
    page.get_by_role("button", name="Filters").click()
    page.get_by_label("Relevance, at least").fill("0.55")
    page.get_by_label("Relevance, at least").press("Tab")
    expect(page).to_have_url(re.compile(r"min_relevance=0\.55"))
    n = sum((match.relevance or 0) >= 0.55 for match in searcher.search(text, 100))
    expect(page.locator("#grid li")).to_have_count(n)
    page.go_back()
    expect(page.locator("#grid li")).not_to_have_count(n)
    again = open_page(f"?q={text}&min_relevance=0.55&photo={other}")
    expect(again.locator("#viewer h2")).to_have_text(other)
    expect(again.locator("#n-filters")).to_have_text("1")
    failing = open_page("?q=dog&colour=mauve")
    expect(failing.locator("#status")).to_contain_text("the colour 'mauve' is unknown")


def test_ratings_are_given_by_keys_kept_and_read_by_ingest(open_page: Open, album: Album, tmp_path: Path) -> None:
    _, pairs, _ = album
    page = open_page("?judge=1")
    page.get_by_label("Name").fill("Ann, B.")
    page.keyboard.press("Enter")
    expect(page.locator("blockquote")).to_have_text(pairs[0][1])
    page.keyboard.press("2")
    expect(page.locator("blockquote")).to_have_text(pairs[1][1])
    page.keyboard.press("ArrowLeft")
    expect(page.locator("[data-mark='2']")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("4")
    expect(page.locator("blockquote")).to_have_text(pairs[1][1])
    page.get_by_role("button", name="Does not fit").click()
    expect(page.locator(".count")).to_contain_text("3 in the file")
    page.reload()
    expect(page.locator("blockquote")).to_have_text(pairs[2][1])
    raw = long.read(tmp_path / "raw")
    (ratings,) = raw.ratings
    photos, queries = (
        dict.fromkeys((image for image, _ in pairs), "ok"),
        dict.fromkeys(ratings.rows["query_id"], "train"),
    )
    checked = check_long(ratings, photos, queries)
    assert checked.ratings[["image_id", "rater", "rating", "source"]].astype(str).values.tolist() == [
        [pairs[0][0], "Ann, B.", "4.0", "expert"],
        [pairs[1][0], "Ann, B.", "1.0", "expert"],
    ]
    assert checked.quarantine["rule"].tolist() == ["rated_again"]
    assert set(long.known_texts(raw)) == {" ".join(text.split()) for _, text in pairs[:2]}


def test_what_a_text_finds_is_rated_too(open_page: Open, album: Album, tmp_path: Path) -> None:
    searcher, _, text = album
    page = open_page(f"?judge=1&q={text}")
    page.get_by_label("Name").fill("bob")
    page.get_by_role("button", name="Begin").click()
    expect(page.locator("blockquote")).to_have_text(text)
    page.keyboard.press("3")
    expect(page.locator(".count")).to_contain_text("1 rated now, 1 in the file")
    rows = (tmp_path / "raw" / "ratings_long.csv").read_text().splitlines()
    first = next(name for name in wanted(searcher, text) if searcher.photo(name)["split"] == "train")
    assert rows[1] == f"{first},{text},bob,3,expert"


CONTRASTS = """
() => {
  const light = (color) => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
    const parts = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map((part) => part / 255);
    const [r, g, b] = parts.map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if (!/rgba\\(.*, 0(\\.\\d+)?\\)|transparent|color\\(/.test(color)) return color;
    }
    return "white";
  };
  const texts = [...document.querySelectorAll("h1, p, a, button, kbd, dd, label, blockquote, small, b")];
  const isRead = (one) => one.checkVisibility() && !one.disabled && one.innerText.trim() && !one.closest(".tile");
  return texts.filter(isRead).map((element) => {
    const [a, b] = [light(getComputedStyle(element).color), light(behind(element))].sort();
    return [element.outerHTML.slice(0, 80), (b + 0.05) / (a + 0.05)];
  });
}
"""
NAMELESS = """
() => {
  const shown = [...document.querySelectorAll("a, button, input, select, img")].filter((one) => one.checkVisibility());
  const isNamed = (one) => one.innerText?.trim() || one.ariaLabel || one.labels?.length || one.hasAttribute("alt");
  return shown.filter((one) => !isNamed(one)).map((one) => one.outerHTML);
}
"""


@pytest.mark.parametrize("address", ["", "?q={}", "?judge=1"])
def test_on_a_phone_nothing_is_cut_all_is_named_and_can_be_read(open_page: Open, album: Album, address: str) -> None:
    page = open_page(address.format(album[2]), viewport={"width": 390, "height": 844}, has_touch=True)
    if "judge" in address:
        page.get_by_label("Name").fill("ann")
        page.keyboard.press("Enter")
        expect(page.locator("blockquote")).to_be_visible()
    elif address:
        tiles(page)
        page.get_by_role("button", name="Filters").click()
    else:
        expect(page.locator("#about")).to_contain_text("photos")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.evaluate(NAMELESS) == []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        assert [found for found in page.evaluate(CONTRASTS) if found[1] < 4.5] == []


def test_a_thousand_photos_come_as_they_are_looked_at(
    browser: Browser, serve: Serve, draw: Callable[..., Index], searcher_over: SearcherOf, tmp_path: Path
) -> None:
    searcher = replace(searcher_over(draw(tmp_path / "photos", 1000)), rerank=0, model=None)
    judging = Judging(RatingsFile(tmp_path / "ratings_long.csv"), tmp_path / "none", tmp_path / "none")
    with serve(create_app(Service(Live(lambda: searcher, []), judging, Limits(), Metrics()))) as address:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{address}/?q=sea")
        expect(page.locator("#grid img.there").first).to_be_visible()
        page.wait_for_timeout(300)
        assert sum("/thumbnails/" in url for url in asked) < 300
        for n in range(200, 1001, 100):
            page.keyboard.press("End")
            expect(page.locator("#grid li")).to_have_count(n)
        expect(page.locator("#status")).to_have_text("1,000 photos, the best first")
        assert sum(url.endswith("/search") for url in asked) == 10
        assert len(set(tiles(page))) == 1000
        page.close()


def test_the_token_is_asked_for_once(browser: Browser, serve: Serve, service: Service, album: Album) -> None:
    with serve(create_app(service, "0123456789abcdef")) as address:
        page = browser.new_page()
        page.goto(f"{address}/?q={album[2]}")
        page.get_by_label("Token", exact=True).fill("not the token at all")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_have_text("That is not the token.")
        page.get_by_label("Token", exact=True).fill("0123456789abcdef")
        page.keyboard.press("Enter")
        tiles(page)
        expect(page.locator("#grid img.there").first).to_be_visible()
        page.reload()
        tiles(page)
        expect(page.locator("#token")).to_be_hidden()
        page.close()
