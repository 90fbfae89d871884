"""Forms: a folder is recognised, and read into the same raw input whatever its layout."""

import logging
from pathlib import Path

import pytest

from kadr.errors import InputError
from kadr.ingest import FORMS, flickr8k, single_file
from kadr.ingest.forms import choose_form
from kadr.params import IngestParams


def write(folder: Path, **files: str) -> Path:
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(content, encoding="utf-8")
    return folder


def single(folder: Path, header: str = "img_id,text,rate_1,rate_2,crowd_rates") -> Path:
    return write(
        folder, train_dataset__csv=f"{header}\na.jpg,A  red ball ,1,4,0.5\nb.jpg,A red ball,2,,\nb.jpg,,2,2,\n"
    )


def flickr(folder: Path) -> Path:
    return write(
        folder,
        train_dataset__csv="image,query_id,query_text\n"
        + "".join(f'{n}.jpg,b#1.jpg#2,"A dog, running"\n' for n in "ab"),
        ExpertAnnotations__tsv="a.jpg\tb#1.jpg#2\t1\t1\t2\n",
        CrowdAnnotations__tsv="a.jpg\tb#1.jpg#2\t0.33\t1\t2\n",
        test_queries__csv='|query_id|query_text|image\n0|t.jpg#0|a sign " sale " here |t.jpg\n',
        test_images__csv="image\nt.jpg\n",
    )


def test_the_forms_are_those_of_the_params() -> None:
    named = IngestParams.model_fields["form"].annotation
    assert named is not None
    assert set(named.__args__) == {"auto", *FORMS}


@pytest.mark.parametrize(("name", "make"), [("single_file", single), ("flickr8k", flickr)])
def test_a_folder_is_recognised_as_one_form(tmp_path: Path, name: str, make: object) -> None:
    assert choose_form(make(tmp_path), "auto") == name
    assert [form for form, known in FORMS.items() if known.recognises(tmp_path)] == [name]


def test_an_unknown_folder_is_told_what_forms_there_are(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"like no known form; it holds notes\.txt") as error:
        choose_form(write(tmp_path, notes__txt=""), "auto")
    assert all(f"\n  {name}: " in str(error.value) for name in FORMS)


def test_a_missing_folder_is_told_where_to_name_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ingest\.source: .*nowhere is not a folder"):
        choose_form(tmp_path / "nowhere", "single_file")


def test_single_file_gives_equal_texts_one_query(tmp_path: Path) -> None:
    raw = single_file.read(single(tmp_path))
    (ratings,), (queries,) = raw.ratings, raw.queries
    assert (ratings.experts, ratings.crowd, ratings.votes) == (("rate_1", "rate_2"), "crowd_rates", None)
    assert ratings.rows["query_id"].tolist() == ["t816159e27379", "t816159e27379", ""]
    assert ratings.rows["rate_2"].tolist() == ["4", "", "2"]
    assert queries.rows[["query_id", "text"]].values.tolist() == [["t816159e27379", "A red ball"]]


def test_single_file_takes_any_number_of_raters_in_their_order(tmp_path: Path) -> None:
    write(tmp_path, train_dataset__csv="img_id,rate_10,rate_2,text\na.jpg,1,2,x\n")
    (ratings,) = single_file.read(tmp_path).ratings
    assert (ratings.experts, ratings.crowd) == (("rate_2", "rate_10"), None)


def test_single_file_says_what_it_does_not_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        single_file.read(single(tmp_path, "img_id,text,rate_1,rate2,crowd_rates"))
    assert "columns not read: rate2" in caplog.text


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("img_id,caption,rate_1,rate_2,crowd_rates", "no column text"),
        ("image,text,rate_1,rate_2,crowd_rates", "no column img_id"),
        ("img_id,text,r1,r2,crowd", "no column of ratings"),
    ],
)
def test_single_file_names_missing_columns(tmp_path: Path, header: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        single_file.read(single(tmp_path, header))


def test_flickr8k_joins_nothing_and_keeps_all(tmp_path: Path) -> None:
    raw = flickr8k.read(flickr(tmp_path))
    experts, crowd = raw.ratings
    assert experts.rows.values.tolist() == [["a.jpg", "b#1.jpg#2", "1", "1", "2"]]
    assert (crowd.crowd, crowd.votes) == ("share_yes", ("yes", "no"))
    training, test = raw.queries
    assert training.rows[["query_id", "text", "image_id"]].values.tolist() == [
        ["b#1.jpg#2", "A dog, running", "b#1.jpg"]
    ]
    assert test.rows[["query_id", "text", "image_id"]].values.tolist() == [["t.jpg#0", 'a sign " sale " here', "t.jpg"]]
    assert raw.listed == {"test": ["t.jpg"]}


@pytest.mark.parametrize("name", ["train_dataset.csv", "ExpertAnnotations.tsv", "CrowdAnnotations.tsv"])
def test_flickr8k_wants_all_three_files(tmp_path: Path, name: str) -> None:
    (flickr(tmp_path) / name).unlink()
    assert choose_form(tmp_path, "auto") == "flickr8k"
    with pytest.raises(InputError, match=f"{name}: no such file"):
        flickr8k.read(tmp_path)


def test_the_test_part_is_optional(tmp_path: Path) -> None:
    raw = single_file.read(single(tmp_path))
    assert [texts.split for texts in raw.queries] == ["train"]
    assert raw.listed == {}
