"""Tests of the page in Chromium: search by an image file that the user picks, drops or pastes."""

import base64
import io
import re
from collections.abc import Callable

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

OpenPhotos = Callable[..., Page]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # the browser leaves pipes open
]

SEND_FILE = """
([event, name, type, content, nZeros]) => {
  const bytes = Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes, new Uint8Array(nZeros)], name, { type }));
  const options = { bubbles: true, cancelable: true };
  if (event === "paste") {
    document.dispatchEvent(new ClipboardEvent("paste", { ...options, clipboardData: transfer }));
    return;
  }
  for (const name of ["dragenter", "dragover"]) {
    document.body.dispatchEvent(new DragEvent(name, { ...options, dataTransfer: transfer }));
  }
  window.wasDropShown = !document.getElementById("drop").hidden;
  document.body.dispatchEvent(new DragEvent("drop", { ...options, dataTransfer: transfer }));
}
"""
"""Script that dispatches the events of a paste or of a drop of a file, whose content ends with a number of zeros."""


def encode_image(size: tuple[int, int] = (60, 40), image_format: str = "PNG") -> bytes:
    content = io.BytesIO()
    Image.new("RGB", size, "red").save(content, image_format)
    return content.getvalue()


def send_file(page: Page, event: str, name: str, media_type: str, content: bytes, n_zeros: int = 0) -> None:
    expect(page.locator("#grid .cell").first).to_be_visible()
    page.evaluate(SEND_FILE, [event, name, media_type, base64.b64encode(content).decode(), n_zeros])


def pick_file(page: Page, name: str, media_type: str, content: bytes) -> None:
    expect(page.locator("#grid .cell").first).to_be_visible()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Search by an image").click()
    chooser.value.set_files({"name": name, "mimeType": media_type, "buffer": content})


def expect_similar(page: Page, name: str) -> None:
    expect(page).to_have_url(re.compile(r"\?upload=\w+$"))
    expect(page.locator("#status")).to_contain_text("est first")
    expect(page.get_by_role("img", name=name)).to_be_visible()
    expect(page.get_by_role("button", name=f"Remove {name}")).to_be_visible()


@pytest.mark.parametrize("way", ["pick", "drop", "paste"])
def test_an_image_file_starts_a_search(open_photos: OpenPhotos, way: str) -> None:
    page = open_photos()
    if way == "pick":
        pick_file(page, "mine.png", "image/png", encode_image())
    else:
        send_file(page, way, "mine.png", "image/png", encode_image())
    expect_similar(page, "mine.png")
    if way == "drop":
        assert page.evaluate("wasDropShown")
        expect(page.locator("#drop")).to_be_hidden()
    expect(page.locator("#grid .tile").first).to_be_focused()
    page.get_by_role("button", name="Remove mine.png").click()
    expect(page.locator("#status")).to_have_text("1,500 photos, newest first")
    page.go_back()
    expect_similar(page, "mine.png")


def test_an_image_combines_with_words_photos_and_filters(open_photos: OpenPhotos) -> None:
    page = open_photos("?colour=red")
    pick_file(page, "mine.jpg", "image/jpeg", encode_image(image_format="JPEG"))
    expect(page.locator("#status")).to_contain_text("from 500 photos")
    page.locator("#q").fill("dog")
    page.keyboard.press("Enter")
    image = {"name": "mine.jpg", "mimeType": "image/jpeg", "buffer": encode_image(image_format="JPEG")}
    form = {"image": image, "text": "dog", "filters": '{"colour": "red"}'}
    best = page.request.post("/similar", multipart=form).json()["matches"][0]["image_id"]
    expect(page.locator("#grid .cell").first).to_have_attribute("data-image-id", best)
    expect(page.locator("#grid .tile").first).to_be_focused()
    with page.expect_response("**/similar") as photos:
        page.keyboard.press("-")
    assert photos.value.ok
    expect(page.locator("#chips li")).to_have_count(2)
    expect(page).to_have_url(re.compile("q=dog&minus=.*&upload="))


@pytest.mark.parametrize(
    ("name", "media_type", "n_bytes", "message"),
    [
        ("notes.txt", "text/plain", 10, "notes.txt is not an image."),
        ("empty.png", "image/png", 0, "empty.png is empty."),
        ("broken.raf", "", 20_000_000, "broken.raf has 20 MB, expected at most 20 MB."),
    ],
    ids=["text", "empty", "large"],
)
def test_a_file_that_cannot_be_searched_is_explained(
    open_photos: OpenPhotos, name: str, media_type: str, n_bytes: int, message: str
) -> None:
    page = open_photos()
    send_file(page, "drop", name, media_type, b"", n_bytes)
    expect(page.locator("#notice")).to_contain_text(message)
    expect(page.locator("#announcer")).to_contain_text(message)
    expect(page.locator("#grid .cell").first).to_be_visible()


def test_the_server_explains_an_undecodable_image(open_photos: OpenPhotos) -> None:
    page = open_photos()
    pick_file(page, "broken.jpg", "image/jpeg", b"not a JPEG file")
    expect(page.locator("#status .error")).not_to_be_empty()
    expect(page.locator("#chips")).to_contain_text("broken.jpg")
    page.get_by_role("button", name="Remove broken.jpg").click()
    expect(page.locator("#grid .cell").first).to_be_visible()


def test_a_large_image_is_reduced_before_it_is_sent(open_photos: OpenPhotos) -> None:
    page = open_photos()
    send_file(page, "drop", "large.png", "image/png", encode_image(), 20_000_000)
    expect_similar(page, "large.png")


def test_a_reloaded_page_asks_for_the_image_again(open_photos: OpenPhotos) -> None:
    page = open_photos("?upload=unknown")
    expect(page.locator("#status")).to_contain_text("Drop, paste or pick the image again")
    page.get_by_role("button", name="Remove image").click()
    expect(page.locator("#status")).to_have_text("1,500 photos, newest first")
