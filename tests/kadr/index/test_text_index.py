"""Tests of the full-text index over names, folders, descriptions and visible texts."""

import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from kadr.errors import SearchError
from kadr.index import TextIndex, find_words
from kadr.index.text_analysis import document_terms, query_terms

PATHS = [
    "/home/a/2019 Kamchatka/IMG_1234.jpg",
    "/home/a/2019 Kamchatka/IMG_1235.jpg",
    "C:\\Users\\a\\Katzen\\DSC01234.JPG",
    "x/собаки.png",
    "zip://東京タワー.png::/album.zip",
    "x/BeachParty_café.png",
]
DESCRIPTIONS = [None, "Two dogs in the snow", None, None, None, "كِتَاب on a table"]
TABLE = pa.table(
    {
        "row": range(len(PATHS)),
        "path": PATHS,
        "description": DESCRIPTIONS,
        "image_text": pa.array([None, None, None, "STOP", None, None], pa.string()),
    }
)


@pytest.fixture(scope="module")
def index() -> TextIndex:
    built = TextIndex.build(TABLE)
    assert built is not None
    return built


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("IMG_1234.jpg", [0, 1, 2]),  # the other images contain only img or jpg
        ("1234", [0]),
        ("kamchatka", [0, 1]),
        ("a dog", [1]),
        ("собака", [3]),
        ("東京", [4]),
        ("タ", [4]),
        ("京都", []),
        ("dsc01234", [2]),
        ("DSC 01234", [2]),
        ("beach", [5]),
        ("beachparty", [5]),
        ("PartyBeach", [5]),
        ("CAFE", [5]),
        ("كتاب", [5]),
        ("stop", [3]),
        ("the", [1]),  # a stop word alone
        ("the beach", [5]),
        ('") OR name:* NEAR(-^{', []),
        ("'; DROP TABLE texts; --", [5]),  # "on a table"
        ("", []),
        ("\x00\ud800", []),
    ],
)
def test_words_are_found_in_names_folders_and_texts(text: str, rows: list[int], index: TextIndex) -> None:
    assert index.search(text).rows.tolist() == rows


def test_rare_words_and_complete_matches_have_the_best_scores(index: TextIndex) -> None:
    matches = index.search("IMG_1234.jpg")
    assert matches.scores.argmax() == 0
    assert matches.coverages[0] == 1
    assert np.all(matches.coverages[1:] < 0.6)
    assert index.search("two unknown dogs").coverages.tolist() == pytest.approx([0.6], abs=0.1)


def test_only_allowed_rows_are_searched(index: TextIndex) -> None:
    assert index.search("kamchatka", np.array([1, 2])).rows.tolist() == [1]
    assert index.search("kamchatka", np.array([], dtype=np.int64)).rows.tolist() == []


def test_frequent_words_are_ignored_if_they_are_too_slow(index: TextIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kadr.index.text_index.MAX_OCCURRENCES", 3)
    assert index.search("IMG 1234").rows.tolist() == [0, 1]
    assert index.search("jpg IMG 1234").rows.tolist() == [0, 1]


def test_equal_indexes_are_written_as_equal_files(index: TextIndex, tmp_path: Path) -> None:
    again = TextIndex.build(TABLE)
    assert again is not None
    index.write(tmp_path / "one")
    again.write(tmp_path / "two")
    read = TextIndex.read(tmp_path / "one")
    read.write(tmp_path / "three")
    contents = [(tmp_path / name).read_bytes() for name in ("one", "two", "three")]
    assert contents[0] == contents[1] == contents[2]
    for text in ("kamchatka", "dog snow"):
        assert np.array_equal(read.search(text).scores, index.search(text).scores)
    with pytest.raises(OSError, match="File exists"):
        index.write(tmp_path / "one" / "below a file")


def test_a_read_only_folder_can_be_searched_by_many_threads(index: TextIndex, tmp_path: Path) -> None:
    path = tmp_path / "# 100%?.sqlite"
    index.write(path)
    path.chmod(0o400)
    tmp_path.chmod(0o500)
    read = TextIndex.read(path)
    found: list[list[int]] = []
    threads = [threading.Thread(target=lambda: found.append(read.search("dogs").rows.tolist())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tmp_path.chmod(0o700)
    assert found == [[1]] * 8


def test_a_damaged_file_is_an_error(index: TextIndex, tmp_path: Path) -> None:
    path = tmp_path / "texts.sqlite"
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(ValueError, match="cannot read"):
        TextIndex.read(path)
    path.unlink()
    index.write(path)
    content = path.read_bytes()
    path.write_bytes(content[:4096] + bytes(len(content) - 4096))
    with pytest.raises((ValueError, SearchError), match="cannot"):
        TextIndex.read(path).search("dogs")


def test_the_matched_words_are_named_by_field() -> None:
    image = TABLE.to_pylist()[1]
    assert find_words("Kamchatka dogs IMG_1235 cats", image) == {
        "name": ("IMG", "1235"),
        "folders": ("Kamchatka",),
        "description": ("dogs",),
    }
    assert find_words("beach", TABLE.to_pylist()[5]) == {"name": ("beach",)}


def test_scripts_without_spaces_are_split_into_pairs() -> None:
    assert list(document_terms("東京塔a")) == ["東", "京", "塔", "東京", "京塔", "a"]
    assert query_terms("東京塔") == {"東京": ("東京",), "京塔": ("京塔",)}
    assert query_terms("猫") == {"猫": ("猫",)}
    assert list(document_terms("हिन्दी")) == ["हिन्दी"]
