"""Tests for the formats of Crisscrossed Captions, THumB and Label Studio. Each file has the shape of a public file."""

import json
import logging
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from kadr.errors import InputError
from kadr.ingest.formats.detection import detect_format, read_folder
from kadr.ingest.formats.single_file import hash_texts
from kadr.ingest.raw_input import RawInput, RawLongRatings


def ratings_of(raw: RawInput, *columns: str) -> list[list[str]]:
    """Return the given columns of all ratings."""
    assert all(isinstance(ratings, RawLongRatings) for ratings in raw.ratings)
    return pd.concat([ratings.rows for ratings in raw.ratings])[list(columns)].values.tolist()


def texts_of(raw: RawInput) -> dict[str, tuple[str, str, str]]:
    """Return the text, the image and the split of each query."""
    return {
        row["query_id"]: (row["text"], row["image_id"], queries.split)
        for queries in raw.queries
        for row in queries.rows.to_dict("records")
    }


def read(folder: Path, name: str) -> RawInput:
    assert detect_format(folder, "auto") == name
    return read_folder(folder, name)


THUMB = [
    ("Up-Down", "A group of people on an elephant.", 974, 3.5),
    ("VinVL-base", "A group of people on an elephant.", 974, 3.5),
    ("Human", "An elephant with a man in the jungle.", 974, 5.0),
    ("Human", "A bench near a bank of water.", 2453, 4.2),
]


def test_thumb_rates_the_caption_of_several_systems_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = [
        {"SYS": system, "seg_id": str(image), "set_id": 5, "hyp": hyp, "image": f"COCO_val2014_{image:012d}.jpg"}
        | {"P": 4.0, "R": 3.0, "Fl": -0.0, "Inc": -0.0, "Con": -0.0, "human_score": score}
        for system, hyp, image, score in THUMB
    ]
    content = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "mscoco_THumB-1.0.jsonl").write_text(content, encoding="utf-8")
    with caplog.at_level(logging.INFO):
        raw = read(tmp_path, "thumb")
    assert "1 rows repeat the rating of a caption that several systems wrote" in caplog.text
    ids = hash_texts(pd.Series([hyp for _, hyp, _, _ in THUMB])).tolist()
    assert ratings_of(raw, "image_id", "query_id", "rating", "source", "scale_min", "scale_max") == [
        ["COCO_val2014_000000000974.jpg", ids[0], "3.5", "expert", "1", "5"],
        ["COCO_val2014_000000000974.jpg", ids[2], "5", "expert", "1", "5"],
        ["COCO_val2014_000000002453.jpg", ids[3], "4.2", "expert", "1", "5"],
    ]
    assert raw.ratings[0].rows.index.tolist() == [1, 3, 4]
    assert raw.folders == {"train": "train_images"}


CAPTIONS = {
    "images": [{"id": n, "file_name": f"COCO_val2014_{n:012d}.jpg"} for n in (11, 12, 13)],
    "annotations": [{"image_id": n, "id": n * 10, "caption": f"Caption of {n} ."} for n in (11, 12, 13)],
}


def make_crisscrossed(folder: Path, *, has_test_images: bool) -> None:
    def row(caption: int, image: int, score: str, method: str) -> str:
        return f"COCO_val2014:sentid:{caption},COCO_val2014_{image:012d}.jpg,{score},{method}\n"

    header = "caption,image,agg_score,sampling_method\n"
    val = row(110, 11, "4.99", "c2i_original") + row(110, 12, "0.0", "c2i_intrasim") + row(999, 12, "1", "c2i_original")
    (folder / "sits_val.csv").write_text(header + val)
    test = row(130, 13, "5.0", "c2i_original") + row(120, 13, "1.8", "c2i_intrasim")
    (folder / "sits_test.csv").write_text(header + test)
    (folder / "sits_val_raw.csv").write_text("not read")
    (folder / "captions_val2014.json").write_text(json.dumps(CAPTIONS))
    for name in ("train_images", "test_images") if has_test_images else ("train_images",):
        (folder / name).mkdir()


def test_crisscrossed_captions_use_the_test_file_for_queries_if_there_are_test_images(tmp_path: Path) -> None:
    make_crisscrossed(tmp_path, has_test_images=True)
    raw = read(tmp_path, "crisscrossed")
    assert [ratings.file for ratings in raw.ratings] == ["sits_val.csv"]
    assert ratings_of(raw, "image_id", "query_id", "rater", "rating", "source", "scale_min", "scale_max") == [
        ["COCO_val2014_000000000011.jpg", "COCO_val2014:sentid:110", "", "4.99", "expert", "0", "5"],
        ["COCO_val2014_000000000012.jpg", "COCO_val2014:sentid:110", "", "0.0", "expert", "0", "5"],
        ["COCO_val2014_000000000012.jpg", "COCO_val2014:sentid:999", "", "1", "expert", "0", "5"],
    ]
    assert texts_of(raw) == {
        "COCO_val2014:sentid:110": ("Caption of 11 .", "COCO_val2014_000000000011.jpg", "train"),
        "COCO_val2014:sentid:130": ("Caption of 13 .", "COCO_val2014_000000000013.jpg", "test"),
    }


def test_crisscrossed_captions_use_all_ratings_if_there_are_no_test_images(tmp_path: Path) -> None:
    make_crisscrossed(tmp_path, has_test_images=False)
    raw = read(tmp_path, "crisscrossed")
    assert [ratings.file for ratings in raw.ratings] == ["sits_test.csv", "sits_val.csv"]
    assert ratings_of(raw, "rating") == [["5.0"], ["1.8"], ["4.99"], ["0.0"], ["1"]]
    assert {split for _, _, split in texts_of(raw).values()} == {"train"}


def test_crisscrossed_captions_need_the_captions_of_coco(tmp_path: Path) -> None:
    make_crisscrossed(tmp_path, has_test_images=False)
    (tmp_path / "captions_val2014.json").unlink()
    with pytest.raises(
        InputError, match=r"the captions of COCO are missing, expected captions_val2014\.json or dataset_"
    ):
        read_folder(tmp_path, "crisscrossed")


def test_crisscrossed_captions_find_the_captions_among_the_annotations_of_coco(tmp_path: Path) -> None:
    make_crisscrossed(tmp_path, has_test_images=False)
    expected = texts_of(read(tmp_path, "crisscrossed"))
    (tmp_path / "annotations").mkdir()
    (tmp_path / "captions_val2014.json").rename(tmp_path / "annotations" / "captions_val2014.json")
    boxes = {"images": CAPTIONS["images"], "annotations": [{"id": 1, "image_id": 11, "bbox": [1, 2, 3, 4]}]}
    for name in ("instances_val2014.json", "person_keypoints_val2014.json"):
        (tmp_path / "annotations" / name).write_text(json.dumps(boxes))
    assert texts_of(read(tmp_path, "crisscrossed")) == expected


def annotation(rater: int | dict[str, Any], value: dict[str, Any], type_: str, **fields: Any) -> dict[str, Any]:
    result = [{"id": "x1", "from_name": "rating", "to_name": "image", "type": type_, "value": value}]
    return {"id": 5, "completed_by": rater, "result": result, "was_cancelled": False, "lead_time": 4.2} | fields


def task(image: str, text: str, *annotations: dict[str, Any]) -> dict[str, Any]:
    data = {"image": image, "text": text, "boxes": [1, 2]}
    return {"id": 1, "annotations": list(annotations), "predictions": [], "data": data, "project": 3}


def test_label_studio_json_has_one_rating_per_annotation(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    upload = "/data/upload/1/0a1b2c3d-beach.jpg"
    ann = {"id": 7, "email": "ann@example.org", "first_name": "Ann"}
    tasks = [
        task(
            upload,
            "Two  dogs",
            annotation(ann, {"rating": 4}, "rating", created_at="2024-05-01T10:00:00Z"),
            annotation(2, {"rating": 5}, "rating", created_at="2024-05-02T10:00:00Z"),
            annotation(3, {}, "rating", was_cancelled=True),
        ),
        task("s3://bucket/street.jpg", "A man", annotation(2, {"rating": 1}, "rating")),
        task("s3://bucket/street.jpg", "Nobody"),
    ]
    (tmp_path / "project-1-at-2024-05-03.json").write_text(json.dumps(tasks))
    with caplog.at_level(logging.INFO):
        raw = read(tmp_path, "label_studio")
    assert "1 skipped annotations are not used" in caplog.text
    assert ratings_of(raw, "image_id", "rater", "rating", "source", "time") == [
        [upload, "ann@example.org", "4", "expert", "2024-05-01T10:00:00Z"],
        [upload, "2", "5", "expert", "2024-05-02T10:00:00Z"],
        ["s3://bucket/street.jpg", "2", "1", "expert", ""],
    ]
    assert [text for text, _, _ in texts_of(raw).values()] == ["Two dogs", "A man"]


def test_label_studio_json_min_choices_become_votes(tmp_path: Path) -> None:
    records = [
        {"image": "a.jpg", "text": "A dog", "id": 1, "matches": "yes", "annotator": 1, "annotation_id": 4}
        | {"created_at": "2024-05-01T10:00:00Z", "updated_at": "2024-05-01T10:00:09Z", "lead_time": 2.5},
        {"image": "b.jpg", "text": "A dog", "id": 2, "matches": {"choices": ["no"]}, "annotator": 2, "annotation_id": 5}
        | {"created_at": "2024-05-01T11:00:00Z", "updated_at": "2024-05-01T11:00:09Z", "lead_time": 2.5},
    ]
    (tmp_path / "export.json").write_text(json.dumps(records))
    assert ratings_of(read(tmp_path, "label_studio"), "image_id", "rater", "rating", "source") == [
        ["a.jpg", "1", "yes", "crowd"],
        ["b.jpg", "2", "no", "crowd"],
    ]


@pytest.mark.parametrize("cell", ['"[{""rating"": 4}]"', "4"])
def test_label_studio_csv_ratings_are_numbers(tmp_path: Path, cell: str) -> None:
    header = '"annotation_id","annotator","caption","created_at","id","image","lead_time","stars","updated_at"\n'
    row = f'9,"test@example.org","A dog, a cat","2022-11-04T18:50:53Z",4,"a.jpg",10.7,{cell},"2022-11-04T18:50:54Z"\n'
    (tmp_path / "project-1.csv").write_text(header + row)
    raw = read(tmp_path, "label_studio")
    assert ratings_of(raw, "image_id", "rater", "rating", "source") == [["a.jpg", "test@example.org", "4", "expert"]]
    assert [text for text, _, _ in texts_of(raw).values()] == ["A dog, a cat"]


def test_label_studio_exports_with_the_same_texts_share_the_queries(tmp_path: Path) -> None:
    for rater in (1, 2):
        tasks = [task("a.jpg", "A dog", annotation(rater, {"rating": rater}, "rating"))]
        (tmp_path / f"project-{rater}.json").write_text(json.dumps(tasks))
    raw = read(tmp_path, "label_studio")
    assert ratings_of(raw, "rater", "rating") == [["1", "1"], ["2", "2"]]
    assert [len(queries.rows) for queries in raw.queries] == [1, 0]


def test_label_studio_annotations_in_several_exports_are_used_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def export(name: str, *ratings: tuple[int, int, str]) -> None:
        created = "2024-05-01T10:00:00Z"
        tasks = [
            task("a.jpg", f"Dog {id_}", annotation(1, {"rating": rating}, "rating", id=id_, created_at=created)
                 | {"updated_at": updated})
            for id_, rating, updated in ratings
        ]  # fmt: skip
        (tmp_path / name).write_text(json.dumps(tasks))

    export("project-1-at-2024-05-02.json", (1, 3, "2024-05-01T10:00:00Z"), (2, 1, "2024-05-01T10:00:00Z"))
    export("project-1-at-2024-05-09.json", (1, 3, "2024-05-01T10:00:00Z"), (2, 5, "2024-05-08T10:00:00Z"))
    raw = read(tmp_path, "label_studio")
    assert [ratings.rows["rating"].to_dict() for ratings in raw.ratings] == [{1: "3"}, {2: "5"}]
    assert "2 annotations are in several exports, and are used once" in caplog.text


def test_label_studio_names_the_tags_if_the_rating_is_ambiguous(tmp_path: Path) -> None:
    both = annotation(1, {"rating": 4}, "rating")
    both["result"] = [
        {"from_name": name, "type": "rating", "value": {"rating": 4}} for name in ("quality", "relation", "fit")
    ]
    (tmp_path / "export.json").write_text(json.dumps([task("a.jpg", "A dog", both)]))
    with pytest.raises(
        InputError, match=r"the rating cannot be identified.*The tags are quality, relation, fit\. Expected"
    ):
        read_folder(tmp_path, "label_studio")


def test_other_json_and_csv_files_are_no_exports(tmp_path: Path) -> None:
    (tmp_path / "captions_val2014.json").write_text(json.dumps(CAPTIONS))
    (tmp_path / "results.csv").write_text("image_name| comment_number| comment\n")
    with pytest.raises(InputError, match="matches no known format"):
        detect_format(tmp_path, "auto")
