"""Tests for image names: which file each name in a table refers to, and which names stay unmatched."""

import re
import unicodedata
from pathlib import Path

import pytest

from kadr.ingest.image_names import KINDS, NameMatches, resolve_names


def nfd(name: str) -> str:
    return unicodedata.normalize("NFD", name)


@pytest.mark.parametrize(
    ("name", "file", "kind"),
    [
        ("a.jpg", "a.jpg", "exact"),
        ("summer/a.jpg", "summer/a.jpg", "exact"),
        ("a#1 50%.jpg", "a#1 50%.jpg", "exact"),
        ("https:a.jpg", "https:a.jpg", "exact"),
        # folders
        ("train_images/a.jpg", "a.jpg", "folder"),
        ("./data/raw/mine/train_images/summer/a.jpg", "summer/a.jpg", "folder"),
        ("/home/ann/photos/a.jpg", "a.jpg", "folder"),
        (r"C:\Users\ann\photos\a.jpg", "a.jpg", "folder"),
        (r"\\server\share\summer\a.jpg", "summer/a.jpg", "folder"),
        ("a.jpg", "summer/a.jpg", "folder"),
        ("summer/a.jpg", "2020/summer/a.jpg", "folder"),
        # URLs
        ("https://example.org/upload/7/a.jpg?d=1", "a.jpg", "url"),
        ("http://example.org/Caf%C3%A9%20a.jpg#top", "Café a.jpg", "url"),
        ("http://example.org/red+car.jpg", "red car.jpg", "url"),
        ("http://example.org/a%20b.jpg", "a%20b.jpg", "url"),
        ("s3://bucket/2020/summer/a.jpg", "summer/a.jpg", "url"),
        ("file:///C:/photos/a.jpg", "a.jpg", "url"),
        ("/data/local-files/?d=photos%2Fsummer%2Fa.jpg", "summer/a.jpg", "url"),
        ("https://example.org/view?file=a.jpg&size=2", "a.jpg", "url"),
        ("a%20b.jpg", "a b.jpg", "url"),
        ("a.jpg?raw=true", "a.jpg", "url"),
        # Unicode forms and invisible characters
        ("йога.jpg", nfd("йога.jpg"), "unicode_form"),
        (nfd("Café.jpg"), "Café.jpg", "unicode_form"),
        ("shot 3.00 PM.png", "shot 3.00\u202fPM.png", "unicode_form"),
        ("a\u200b.jpg", "a.jpg", "unicode_form"),
        ("a.jpg", " a.jpg", "unicode_form"),
        ("\u2764.jpg", "\u2764\ufe0f.jpg", "unicode_form"),
        ("a b.jpg", "a\u3164b.jpg", "unicode_form"),
        # case, extension, zeros
        ("A.JPG", "a.jpg", "case"),
        ("TRAIN_IMAGES/Summer/A.jpg", "summer/a.jpg", "case"),
        ("ÄRGER.jpg", nfd("ärger.jpg"), "case"),
        ("a", "a.jpg", "extension"),
        ("A.png", "a.jpeg", "extension"),
        ("a.jpg", "a", "extension"),
        ("a.jpg", "a.jpg.jpg", "extension"),
        ("a.v2", "a.v2.webp", "extension"),
        ("42", "000000000042.jpg", "leading_zeros"),
        ("42.0", "000000000042.jpg", "leading_zeros"),
        ("42.jpg", "000000000042.jpg", "leading_zeros"),
        ("0", "000.jpg", "leading_zeros"),
        # Label Studio
        ("/data/upload/3/3f2a1b4c-a.jpg", "a.jpg", "upload_prefix"),
        ("/data/upload/3/3f2a1b4c-My_photo_1.jpg", "My photo (1).jpg", "upload_prefix"),
    ],
)
def test_a_name_matches_the_only_file_that_fits(name: str, file: str, kind: str) -> None:
    files = [file, "other.jpg", "summer/other.jpg"]
    assert resolve_names([name], files, folder="train_images") == NameMatches({name: file}, {name: kind}, {})


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("", ["a.jpg"]),
        ("b.jpg", ["a.jpg"]),
        ("a.jpg.txt", ["a.jpg"]),
        ("beach#2.jpg", ["beach.jpg"]),
        ("x:a.jpg", ["a.jpg"]),
        ("1 42", ["42.jpg"]),
        ("img_1.jpg", ["img_001.jpg"]),
        ("42", ["COCO_val2014_000000000042.jpg"]),
        ("test_images/a.jpg", ["a.jpg"]),
        ("https://example.org/test_images/a.jpg", ["a.jpg"]),
        ("dogs/1.jpg", ["cats/1.jpg", "dogs/2.jpg"]),  # the folder dogs exists without 1.jpg
        ("https://[broken/a.jpg", ["a.jpg"]),
        ("https://example.org/", ["a.jpg"]),
        ("3f2a1b4c-", ["3f2a1b4c.jpg"]),
    ],
)
def test_a_name_that_fits_no_file_is_not_matched(name: str, files: list[str]) -> None:
    assert resolve_names([name], files, "train_images", ["test_images"]) == NameMatches()


def test_the_folder_of_a_name_decides_between_files_with_the_same_name() -> None:
    files = ["1.jpg", "cats/1.jpg", "dogs/1.jpg", "old/cats/1.jpg"]
    names = {"train_images/1.jpg": "1.jpg", "/x/dogs/1.jpg": "dogs/1.jpg", "http://e.org/cats/1.jpg": "cats/1.jpg"}
    assert resolve_names(names, files, "train_images").files == names


@pytest.mark.parametrize(
    ("name", "files", "reason"),
    [
        ("1.jpg", ["cats/1.jpg", "dogs/1.jpg"], "'1.jpg' could be the file 'cats/1.jpg' or 'dogs/1.jpg'"),
        ("a", ["a.jpg", "a.png"], "'a' could be the file 'a.jpg' or 'a.png'"),
        ("A.jpg", ["a.jpg", "a.JPG"], "'A.jpg' could be the file 'a.JPG' or 'a.jpg'"),
        ("7", ["07.jpg", "007.jpg"], "'7' could be the file '007.jpg' or '07.jpg'"),
    ],
)
def test_a_name_that_fits_several_files_is_ambiguous(name: str, files: list[str], reason: str) -> None:
    assert resolve_names([name], files) == NameMatches(ambiguous={name: reason})


@pytest.mark.parametrize(
    ("names", "file", "matched"),
    [
        (["cats/1.jpg", "dogs/1.jpg"], "1.jpg", []),
        (["cats/1.jpg", "dogs/1.jpg", "1.jpg"], "1.jpg", ["1.jpg"]),
        (["1.jpg", "1.png", "1", "1.JPG"], "1.jpg", ["1", "1.JPG", "1.jpg"]),
        (["1.gif", "1.png"], "1.jpg", []),
        (["1.jpeg", "1.JPG"], "1.jpg", ["1.JPG", "1.jpeg"]),
        (["1.jpg", "001.jpg"], "1.jpg", ["1.jpg"]),
        (["1", "01"], "001.jpg", []),
        (["1", "001.jpg"], "001.jpg", ["001.jpg", "1"]),
        (["/home/ann/set/1.jpg", r"C:\Users\bob\set\1.jpg", "set/1.jpg"], "1.jpg", None),
        (["http://a.org/x/1.jpg?w=1", "https://b.org/x/1.jpg"], "1.jpg", None),
        (["train_images/1.jpg", "/mnt/d/raw/train_images/1.jpg"], "1.jpg", None),
    ],
)
def test_names_that_contradict_each_other_do_not_share_a_file(
    names: list[str], file: str, matched: list[str] | None
) -> None:
    result = resolve_names(names, [file], "train_images")
    assert sorted(result.files) == sorted(names if matched is None else matched)
    assert set(result.ambiguous) == set(names) - set(result.files)
    assert set(result.kinds) == set(result.files)


def test_a_collision_names_both_names_and_the_file() -> None:
    result = resolve_names(["cats/1.jpg", "dogs/1.jpg"], ["1.jpg"])
    assert result.ambiguous["cats/1.jpg"] == "'cats/1.jpg' and 'dogs/1.jpg' could both be the file '1.jpg'"


def test_matches_are_counted_and_described_by_kind_in_order() -> None:
    result = resolve_names(["7", "8", "B.JPG", "c.jpg"], ["007.jpg", "008.jpg", "b.jpg", "c.jpg"])
    assert list(result.count_kinds().items()) == [("exact", 1), ("case", 1), ("leading_zeros", 2)]
    assert result.describe()[1] == (
        "matched 2 image names although the leading zeros differ, such as '7' with the file '007.jpg'"
    )
    assert len(result.describe()) == 2
    assert set(result.kinds.values()) <= KINDS.keys()


def test_the_examples_of_the_docs_match(project: Path) -> None:
    page = (project / "docs" / "data.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| `(\w+)` \| `(.+?)`.* \| `(.+?)`.* \|$", page.partition("## Names of images")[2], re.MULTILINE
    )
    examples = {kind: (name, file) for kind, name, file in rows if kind in KINDS}
    assert examples.keys() == KINDS.keys() - {"exact"}
    composed, decomposed = examples["unicode_form"]
    examples["unicode_form"] = (composed, nfd(decomposed))
    for kind, (name, file) in examples.items():
        assert resolve_names([name], [file]).kinds == {name: kind}
