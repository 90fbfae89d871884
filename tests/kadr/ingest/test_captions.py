"""Tests for the readers of captions files. Each file has the shape of a public file."""

import gzip
import json
import logging
from pathlib import Path

import pandas as pd
import pytest

from kadr.errors import InputError
from kadr.ingest.captions.caption_detection import read_captions


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def rows(path: Path) -> list[list[str]]:
    """Return the image, the ID and the text of each caption."""
    return read_captions(path).rows[["image_id", "caption_id", "text"]].values.tolist()


def test_flickr8k_tokens_keep_their_ids_and_quotation_marks(tmp_path: Path) -> None:
    lines = 'b#1.jpg#0\tA dog with a "hat" .\r\nb#1.jpg#1\t "Two" dogs | a ball\r\n\r\na.jpg#0\t\n'
    assert rows(write(tmp_path / "Flickr8k.token.txt", lines)) == [
        ["b#1.jpg", "b#1.jpg#0", 'A dog with a "hat" .'],
        ["b#1.jpg", "b#1.jpg#1", '"Two" dogs | a ball'],
        ["a.jpg", "a.jpg#0", ""],
    ]


def test_kaggle_captions_are_numbered_per_image(tmp_path: Path) -> None:
    content = 'image,caption\n1_a.jpg,A dog runs .\n2_b.jpg,"A dog , a ball ."\n1_a.jpg,"""Hey"" says a sign ."\n'
    captions = read_captions(write(tmp_path / "captions.txt", content))
    assert captions.rows.values.tolist() == [
        ["1_a.jpg", "A dog runs .", "1_a.jpg#0"],
        ["2_b.jpg", "A dog , a ball .", "2_b.jpg#0"],
        ["1_a.jpg", '"Hey" says a sign .', "1_a.jpg#1"],
    ]
    assert captions.rows.index.tolist() == [1, 2, 3]
    assert captions.column_names == {"image_id": "image", "caption_id": "image", "text": "caption"}


@pytest.mark.parametrize("header", ["image,caption", "image_name,comment_number,comment"])
def test_captions_with_unquoted_commas_are_read_to_the_end_of_the_line(tmp_path: Path, header: str) -> None:
    number = ",0" if "number" in header else ""
    content = f'{header}\n1.jpg{number},A dog , a cat , a ball\n2.jpg{number},A dog\n3.jpg{number},"A dog, a cat"\n'
    assert rows(write(tmp_path / "captions.txt", content)) == [
        ["1.jpg", "1.jpg#0", "A dog , a cat , a ball"],
        ["2.jpg", "2.jpg#0", "A dog"],
        ["3.jpg", "3.jpg#0", "A dog, a cat"],
    ]


@pytest.mark.parametrize("line", ['4.jpg,"A dog, a cat', "a second line", "4.jpg"])
def test_lines_that_are_not_complete_captions_are_an_error(tmp_path: Path, line: str) -> None:
    content = f"image,caption\n1.jpg,A dog , a cat\n{line}\n3.jpg,A cat\n"
    with pytest.raises(InputError, match=r"c\.csv.*row"):
        read_captions(write(tmp_path / "c.csv", content))


def test_flickr30k_results_are_read_and_the_row_without_a_delimiter_is_repaired(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = (
        "image_name| comment_number| comment\n"
        '1.jpg| 0| Two young guys , "buddies" | outside .\n'
        "1.jpg| 1| Two men .\n"
        "2.jpg| 4   A dog runs across the grass .\n"
        "3.jpg| 0\n"
    )
    with caplog.at_level(logging.WARNING):
        assert rows(write(tmp_path / "results.csv", content)) == [
            ["1.jpg", "1.jpg#0", 'Two young guys , "buddies" | outside .'],
            ["1.jpg", "1.jpg#1", "Two men ."],
            ["2.jpg", "2.jpg#4", "A dog runs across the grass ."],
            ["3.jpg", "3.jpg#0", ""],
        ]
    assert "in 1 rows, the delimiter between comment_number and comment is missing" in caplog.text
    assert "row 3 (2.jpg| 4| A dog runs across the grass .)" in caplog.text


COCO = {
    "info": {"year": 2014},
    "images": [{"id": 9, "file_name": "COCO_val2014_000000000009.jpg", "height": 4}, {"id": 7, "file_name": "7.jpg"}],
    "annotations": [
        {"image_id": 7, "id": 48, "caption": "A very clean\nbathroom"},
        {"image_id": 9, "id": 126, "caption": "A panoramic view "},
        {"image_id": 7, "id": 219, "caption": "A blue tub"},
        {"image_id": 5, "id": 220, "caption": "No such image"},
    ],
}


@pytest.mark.parametrize("name", ["captions_val2014.json", "captions_val2014.json.gz"])
def test_coco_captions_are_joined_to_the_file_names(tmp_path: Path, name: str) -> None:
    content = json.dumps(COCO).encode()
    path = write(tmp_path / name, gzip.compress(content) if name.endswith(".gz") else content)
    assert rows(path) == [
        ["7.jpg", "7.jpg#0", "A very clean bathroom"],
        ["COCO_val2014_000000000009.jpg", "COCO_val2014_000000000009.jpg#0", "A panoramic view"],
        ["7.jpg", "7.jpg#1", "A blue tub"],
        ["5", "5#0", "No such image"],
    ]
    assert read_captions(path).rows["source_id"].tolist() == ["48", "126", "219", "220"]


def test_boxes_are_no_captions(tmp_path: Path) -> None:
    boxes = {**COCO, "annotations": [{"image_id": 7, "id": 1, "bbox": [0, 0, 1, 1]}]}
    with pytest.raises(
        InputError, match=r"instances_val2014\.json: no annotation has a caption, expected the captions"
    ):
        read_captions(write(tmp_path / "instances_val2014.json", json.dumps(boxes)))


def test_karpathy_split_files_are_read(tmp_path: Path) -> None:
    image = {
        "sentids": [3, 4],
        "imgid": 0,
        "sentences": [
            {"tokens": ["a", "dog"], "raw": "A dog .", "imgid": 0, "sentid": 3},
            {"tokens": ["two", "dogs"], "imgid": 0, "sentid": 4},
        ],
        "split": "train",
        "filename": "a.jpg",
    }
    path = write(tmp_path / "dataset_flickr8k.json", json.dumps({"images": [image], "dataset": "flickr8k"}))
    assert rows(path) == [["a.jpg", "a.jpg#0", "A dog ."], ["a.jpg", "a.jpg#1", "two dogs"]]
    assert read_captions(path).rows["source_id"].tolist() == ["3", "4"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("wide.csv", 'file_name;Caption 1;Caption 2\na.jpg;A dog;"Two; dogs"\nb.jpg;;A cat\n'),
        (
            "lists.jsonl",
            '{"image": "a.jpg", "captions": ["A dog", "Two; dogs"]}\n{"image": "b.jpg", "captions": ["A cat"]}\n',
        ),
        ("lists.csv", "image,captions\na.jpg,\"['A dog', 'Two; dogs']\"\nb.jpg,['A cat']\n"),
        ("annotations.csv", 'raw,img_id,filename\n"[""A dog"", ""Two; dogs""]",0,a.jpg\n"[""A cat""]",1,b.jpg\n'),
        ("long.tsv", "photo\ttext\na.jpg\tA dog\na.jpg\tTwo; dogs\nb.jpg\tA cat\n"),
    ],
)
def test_any_table_with_images_and_captions_is_read(tmp_path: Path, name: str, content: str) -> None:
    assert rows(write(tmp_path / name, content)) == [
        ["a.jpg", "a.jpg#0", "A dog"],
        ["a.jpg", "a.jpg#1", "Two; dogs"],
        ["b.jpg", "b.jpg#0", "A cat"],
    ]


def test_a_parquet_file_with_lists_of_captions_is_read(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {"filename": ["a.jpg", "b.jpg"], "caption": [["A dog", "A [big] dog"], ["A cat"]], "n": [1, 2]}
    )
    table.to_parquet(tmp_path / "captions.parquet")
    assert rows(tmp_path / "captions.parquet") == [
        ["a.jpg", "a.jpg#0", "A dog"],
        ["a.jpg", "a.jpg#1", "A [big] dog"],
        ["b.jpg", "b.jpg#0", "A cat"],
    ]


def test_texts_in_brackets_are_no_lists(tmp_path: Path) -> None:
    assert rows(write(tmp_path / "c.csv", "image,caption\na.jpg,[sic] A dog [cut]\nb.jpg,[A cat]\n")) == [
        ["a.jpg", "a.jpg#0", "[sic] A dog [cut]"],
        ["b.jpg", "b.jpg#0", "[A cat]"],
    ]


def test_caption_ids_in_the_file_are_kept(tmp_path: Path) -> None:
    content = "image,caption_id,caption\na.jpg,17,A dog\nb.jpg,18,A cat\nb.jpg,,Two cats\n"
    assert rows(write(tmp_path / "c.csv", content)) == [
        ["a.jpg", "17", "A dog"],
        ["b.jpg", "18", "A cat"],
        ["b.jpg", "b.jpg#1", "Two cats"],
    ]


def test_a_table_of_caption_ids_needs_no_image_column(tmp_path: Path) -> None:
    captions = read_captions(write(tmp_path / "c.csv", "caption_id,text\na.jpg#0,A dog\nno number,A cat\n"))
    assert captions.image_from_id
    assert captions.rows["image_id"].tolist() == ["a.jpg", "no number"]


@pytest.mark.parametrize("one", ["A dog", ["A dog"]])
def test_a_json_map_from_images_to_captions_is_read(tmp_path: Path, one: str | list[str]) -> None:
    content = {"b.jpg": ["Two dogs", " A  ball "], "a.png": one, "42": []}
    captions = read_captions(write(tmp_path / "captions.json", json.dumps(content)))
    assert captions.rows[["image_id", "caption_id", "text"]].values.tolist() == [
        ["b.jpg", "b.jpg#0", "Two dogs"],
        ["b.jpg", "b.jpg#1", "A ball"],
        ["a.png", "a.png#0", "A dog"],
    ]
    assert captions.rows.index.tolist() == [1, 1, 2]


def test_a_json_object_of_columns_is_a_table(tmp_path: Path) -> None:
    content = {"image": ["a.jpg", "b.jpg"], "caption": ["A dog", "A cat"]}
    assert rows(write(tmp_path / "captions.json", json.dumps(content))) == [
        ["a.jpg", "a.jpg#0", "A dog"],
        ["b.jpg", "b.jpg#0", "A cat"],
    ]


def test_the_error_for_an_unknown_file_lists_the_formats(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"notes\.csv: .*missing column") as error:
        read_captions(write(tmp_path / "notes.csv", "author,remark\nann,hello\n"))
    for layout in ("COCO captions:", "Flickr8k tokens:", "Flickr30k results.csv:", "Karpathy split:", "table (CSV"):
        assert f"\n  {layout}" in str(error.value)


def test_a_folder_is_no_captions_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is a folder\. Expected one of these formats[^$]*Give the path of the file"):
        read_captions(tmp_path)


def test_an_empty_captions_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"c\.csv"):
        read_captions(write(tmp_path / "c.csv", "image,caption\n"))


def test_damaged_json_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"captions\.json: the file is not valid JSON"):
        read_captions(write(tmp_path / "captions.json", json.dumps(COCO)[:-40]))
