"""Tests of the web page in Chromium on real images: search, viewer, annotation, and URLs.

If ../shared exists, the tests use its images, a CLIP model, and a relevance model trained on its ratings. Otherwise the
tests use synthetic images.
"""

import csv
import hashlib
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
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
from kadr.ingest.rating_scale import RatingScale
from kadr.ingest.ratings import check_ratings
from kadr.ingest.source_scales import ChosenScale
from kadr.io.embeddings import Embeddings
from kadr.io.schemas import IMAGES
from kadr.model import FeatureBlocks, RelevanceModel
from kadr.model.lightgbm import Learner
from kadr.params import load_params
from kadr.search import Searcher
from kadr.serve import Annotation, Collections, HotReload, Limits, RatingsFile, ServerMetrics, Service, create_app

CHROMIUM = shutil.which("chromium")
N_SHOWN = 12  # images of a search that every window shows
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
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
            row = {
                "path": str(path),
                "split": split,
                "sha256": sha256,
                "status": "ok",
                "width": width,
                "height": height,
            }
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
    collections = Collections(tmp_path / "collections.sqlite")
    return Service(HotReload(lambda: collection.searcher, []), annotation, Limits(), ServerMetrics(), collections)


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


def expect_results(page: Page, expected: list[str]) -> None:
    """Check the images at the start of the grid. The document contains only the tiles near the window."""
    expect(page.locator("#grid .cell").first).to_have_attribute("data-image-id", expected[0])
    shown = page.locator("#grid .cell").evaluate_all("cells => cells.map((cell) => cell.dataset.imageId)")
    assert len(shown) >= min(N_SHOWN, len(expected))
    assert shown == expected[: len(shown)]


def test_search_view_and_navigate_by_keyboard(open_page: OpenPage, collection: Collection) -> None:
    searcher, text = collection.searcher, collection.text
    page = open_page()
    expect(page.locator("#status")).to_contain_text(f"{len(searcher.index.table)} photos")
    page.keyboard.press("/")
    page.keyboard.type(text)
    page.keyboard.press("Enter")
    expect_results(page, collection.search())
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
    similar_to_second = searcher.similar(second, 12)
    expect(page.locator("#grid .cell").first).to_have_attribute("data-image-id", similar_to_second[0].image_id)
    page.go_back()
    expect(page.locator("#q")).to_have_value(text)
    expect_results(page, collection.search())
    page.reload()
    expect_results(page, collection.search())


def test_subtracted_photos_appear_in_the_url(open_page: OpenPage, collection: Collection) -> None:
    page = open_page(f"?q={collection.text}")
    expect_results(page, collection.search())
    first = page.locator("#grid .cell").first
    first.hover()
    first.get_by_role("button", name="Subtract photo").click()
    expect(page.locator("#chips .minus")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"minus="))
    page.get_by_role("button", name="Remove subtracted photo").click()
    expect_results(page, collection.search())


def test_filters_and_the_open_photo_appear_in_the_url(open_page: OpenPage, collection: Collection) -> None:
    page = open_page(f"?q={collection.text}")
    expect_results(page, collection.search())
    relevances = [match.relevance or 0 for match in collection.searcher.search(collection.text, 100)]
    second_name, minimum = collection.search()[1], f"{int(20 * relevances[1]) / 20:g}"
    page.get_by_role("button", name="Filters", exact=True).click()
    page.get_by_text("How well photos match").click()
    page.get_by_label("Minimum relevance").fill(minimum)
    page.get_by_label("Minimum relevance").press("Tab")
    expect(page).to_have_url(re.compile(rf"min_relevance={minimum}"))
    n_matches = sum(relevance >= float(minimum) for relevance in relevances)
    assert 2 <= n_matches < len(relevances)
    expect(page.locator("#status")).to_contain_text(f"{n_matches} photo")
    page.go_back()
    expect(page.locator("#status")).not_to_contain_text(f"{n_matches} photo")
    linked = open_page(f"?q={collection.text}&min_relevance={minimum}&image={second_name}")
    expect(linked.locator("#viewer h2")).to_have_text(second_name)
    expect(linked.locator("#n-filters")).to_have_text("1")


FIRST_COLOUR = """
() => {
  const context = document.createElement("canvas").getContext("2d");
  context.drawImage(document.querySelector("#grid img"), 0, 0, 1, 1);
  return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3).map((value) => (value > 127 ? 1 : 0));
}
"""
"""Script that returns the colour of the first image in the grid: whether red, green and blue are bright."""


def test_a_replaced_image_is_shown_at_the_next_visit(
    open_page: OpenPage, service: Service, make_index: Callable[..., Index], make_searcher: MakeSearcher, tmp_path: Path
) -> None:
    def publish(colour: str, sha256: str) -> None:
        index = make_index(tmp_path / "images", 1)
        (path,) = index.table["path"].to_pylist()
        Image.new("RGB", (320, 240), colour).save(path)
        table = index.table.set_column(index.table.column_names.index("sha256"), "sha256", [[sha256 * 64]])
        searcher = make_searcher(replace(index, table=table))
        service.hot_reload.current = replace(service.hot_reload.current, searcher=searcher)

    publish("red", "a")
    page = open_page("?q=colour")
    expect(page.locator("#grid img.loaded")).to_be_visible()
    assert page.evaluate(FIRST_COLOUR) == [1, 0, 0]
    publish("blue", "b")
    address = page.url
    page.goto("about:blank")
    for visit in (partial(page.goto, address), page.reload):
        visit()
        expect(page.locator("#grid img.loaded")).to_be_visible()
        assert page.evaluate(FIRST_COLOUR) == [0, 0, 1]


def rate(page: Page, key: str) -> None:
    """Rate the shown pair as soon as its image is visible."""
    expect(page.locator(".annotation figure:not(.loading) img")).to_be_visible()
    page.keyboard.press(key)


def test_ratings_by_keyboard_reach_ingest(open_page: OpenPage, collection: Collection, tmp_path: Path) -> None:
    pairs = collection.pairs
    page = open_page("?annotate=1")
    page.get_by_label("Your name").fill("Ann, B.")
    page.keyboard.press("Enter")
    expect(page.locator("blockquote")).to_have_text(pairs[0][1])
    rate(page, "2")
    expect(page.locator("blockquote")).to_have_text(pairs[1][1])
    page.keyboard.press("ArrowLeft")
    expect(page.locator("[data-rating='2']")).to_have_attribute("aria-pressed", "true")
    rate(page, "4")
    expect(page.locator("blockquote")).to_have_text(pairs[1][1])
    rate(page, "1")
    expect(page.locator(".count")).to_contain_text("2 ratings by Ann, B.")
    expect(page.locator("#annotation")).to_have_attribute("data-unsent", "0")
    page.reload()
    expect(page.locator("blockquote")).to_have_text(pairs[2][1])

    raw = LongTable().read(tmp_path / "raw")
    (raw_ratings,) = raw.ratings
    images = dict.fromkeys((image_id for image_id, _ in pairs), "ok")
    scales = {source: ChosenScale(RatingScale(source, 1, 4), "default", "") for source in ("expert", "crowd")}
    checked = check_ratings(raw_ratings, images, dict.fromkeys(raw_ratings.rows["query_id"], "train"), scales)
    assert checked.ratings[["image_id", "rater", "rating", "source"]].astype(str).values.tolist() == [
        [pairs[0][0], "Ann, B.", "4.0", "expert"],
        [pairs[1][0], "Ann, B.", "1.0", "expert"],
    ]
    assert checked.quarantine["rule"].tolist() == ["rated_again"]
    assert set(training_query_ids(raw)) == {" ".join(text.split()) for _, text in pairs[:2]}


def test_search_results_can_be_rated(open_page: OpenPage, collection: Collection, tmp_path: Path) -> None:
    page = open_page(f"?annotate=1&q={collection.text}")
    page.get_by_label("Your name").fill("bob")
    page.get_by_role("button", name="Start").click()
    expect(page.locator("blockquote")).to_have_text(collection.text)
    rate(page, "3")
    expect(page.locator(".count")).to_contain_text("1 rating by bob")
    expect(page.locator("#annotation")).to_have_attribute("data-unsent", "0")
    rows = (tmp_path / "raw" / "ratings_long.csv").read_text().splitlines()
    images = collection.searcher.index.table.to_pylist()
    train_ids = {image["image_id"] for image in images if image["split"] == "train"}
    first = next(image_id for image_id in collection.search() if image_id in train_ids)
    assert rows[1] == f"{first},{collection.text},bob,3,expert,1,4"


def test_annotation_mode_explains_why_ratings_cannot_be_stored(
    open_page: OpenPage, service: Service, tmp_path: Path
) -> None:
    service.annotation = Annotation(InputError("The disk is read-only."), tmp_path / "none", tmp_path / "none")
    page = open_page("?annotate=1")
    expect(page.locator("#annotation h1")).to_have_text("These photos cannot be rated")
    expect(page.locator("#annotation")).to_contain_text("The disk is read-only.")
