"""Tests of reading the text in images, with a fake engine and with RapidOCR."""

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image, ImageDraw, ImageFont

from kadr.collection import image_text
from kadr.collection.image_text import add_image_texts, check_ocr, read_image_texts
from kadr.errors import InputError
from kadr.index import Index
from kadr.io.bounded_decoding import FailedScan
from kadr.params import DecodingParams
from tests.kadr.collection.conftest import run, write


def table(*paths: Path) -> pd.DataFrame:
    rows = [(str(path), hashlib.sha256(path.read_bytes()).hexdigest()) for path in paths]
    return pd.DataFrame(rows, columns=["path", "sha256"])


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace the worker processes by a function that returns the file name as the text, and list the read files."""
    names: list[str] = []

    def scan_bounded(_scan: object, items: Sequence[tuple[str, str, bytes | None, str]], _limits: object) -> object:
        for path, _, _, script in items:
            names.append(Path(path).name)
            if names[-1] == "stop.png":
                raise KeyboardInterrupt
            failed = {"slow.png": FailedScan("too_slow"), "gone.png": None}
            yield failed.get(names[-1], "" if names[-1] == "blank.png" else f"{script} {names[-1]}")

    monkeypatch.setattr(image_text, "scan_bounded", scan_bounded)
    return names


def test_each_content_is_read_once(read: list[str], tmp_path: Path) -> None:
    for name, colour in (("a.png", "red"), ("copy.png", "red"), ("blank.png", "blue")):
        write(tmp_path / name, colour)
    images = table(*sorted(tmp_path.glob("*.png")))
    for _ in range(2):
        texts = add_image_texts(images, "latin", tmp_path / "home")["image_text"]
        assert texts.tolist() == ["latin a.png", None, "latin a.png"]
    assert read == ["a.png", "blank.png"]
    read_image_texts(images, "eslav", tmp_path / "home")
    assert len(read) == 4
    assert add_image_texts(images, None, tmp_path / "home")["image_text"].isna().all()


def test_failures_are_counted_and_only_changed_files_are_read_again(
    read: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name, colour in (("a.png", "red"), ("gone.png", "green"), ("slow.png", "blue")):
        write(tmp_path / name, colour)
    images = table(*sorted(tmp_path.glob("*.png"))).assign(image_text="of the index")
    for _ in range(2):
        texts = add_image_texts(images, "latin", tmp_path / "home")["image_text"].tolist()
        assert texts == ["latin a.png", "of the index", "of the index"]
    assert read == ["a.png", "gone.png", "slow.png", "gone.png"]
    assert "The text in 2 images could not be read (1 changed, 1 too_slow)." in caplog.text


def test_an_interrupted_run_resumes(read: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_text, "_CHUNK_SIZE", 1)
    monkeypatch.setattr(image_text, "_MAX_FILES", 2)
    for number in range(4):
        write(tmp_path / f"{number}.png", "red", (60, 40 + number))
    write(tmp_path / "stop.png", "blue")
    images, home = table(*sorted(tmp_path.glob("*.png"))), tmp_path / "home"
    with pytest.raises(KeyboardInterrupt):
        read_image_texts(images, "latin", home)
    folder = next((home / "image_texts").iterdir())
    (folder / "000009.parquet").write_bytes(b"half")
    read.clear()
    texts = read_image_texts(images[:4], "latin", home)
    assert read == []
    assert list(texts.values()) == [f"latin {number}.png" for number in range(4)]
    assert len(list(folder.iterdir())) == 1  # compacted
    assert read_image_texts(images[:4], "latin", home) == texts


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    with pytest.raises(InputError, match=r"pip install 'kadr\[ocr\]'"):
        check_ocr("latin")
    check_ocr(None)


def draw_text(path: Path, *lines: str) -> None:
    from matplotlib import get_data_path

    font = ImageFont.truetype(Path(get_data_path()) / "fonts/ttf/DejaVuSans.ttf", 36)
    image = Image.new("RGB", (640, 60 * len(lines) + 40), "white")
    for row, line in enumerate(lines):
        ImageDraw.Draw(image).text((30, 20 + 60 * row), line, font=font, fill="black")
    image.save(path)


@pytest.mark.slow
def test_text_in_images_is_read_and_found(photos: Path, tmp_path: Path) -> None:
    pytest.importorskip("rapidocr")
    pytest.importorskip("onnxruntime")
    draw_text(photos / "sign.png", "Straßenbahn nach Köln", "INVOICE 2024-118")
    (photos / "long.png").write_bytes(b"")
    out = tmp_path / "index"
    update = run(out, photos, max_pixels=5_000_000, ocr="latin")
    texts = dict(zip(update.index.table["path"].to_pylist(), update.index.table["image_text"].to_pylist(), strict=True))
    assert {Path(path).name: text for path, text in texts.items() if text} == {
        "sign.png": "Straßenbahn nach Köln\nINVOICE 2024-118"
    }
    assert update.index.details["ocr"] == "latin"
    text_index = Index.load(out).text_index
    assert text_index is not None
    found = text_index.search("strassenbahn invoice").rows.tolist()
    assert [Path(update.index.table["path"][row].as_py()).name for row in found] == ["sign.png"]
    assert not run(out, max_pixels=5_000_000, ocr="latin").published
    assert run(out, max_pixels=5_000_000).index.table["image_text"].null_count == 4


def test_files_that_cannot_be_decoded_have_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no image")
    write(tmp_path / "b.png", "red", (600, 400))
    for path in tmp_path.iterdir():
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        limits = DecodingParams(max_pixels=1000)
        assert image_text._read_item((str(path), sha256, None, "latin"), limits) == ""
        assert image_text._read_item((str(path), "0" * 64, None, "latin"), limits) is None
    assert image_text._read_item((str(tmp_path / "none.png"), "0" * 64, None, "latin"), limits) is None
