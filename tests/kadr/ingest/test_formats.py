"""Forms: a folder is recognised, and read into the same raw input whatever its layout."""

import logging
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kadr.errors import InputError
from kadr.ingest import FORMS
from kadr.ingest.corpus import add_caption_texts
from kadr.ingest.formats import flickr8k, long, single_file
from kadr.ingest.formats.registry import choose_form, read_form
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


def rated_long(folder: Path) -> Path:
    return write(
        folder,
        ratings_long__csv="image,text,rater,rating\na.jpg,A dog,ann,4\na.jpg,A  dog,bob,3\nb.jpg,Кот,,1\n",
    )


@pytest.mark.parametrize(("name", "make"), [("single_file", single), ("flickr8k", flickr), ("long", rated_long)])
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


@pytest.mark.parametrize("name", ["ExpertAnnotations.tsv", "CrowdAnnotations.tsv"])
def test_flickr8k_wants_both_files_of_ratings(tmp_path: Path, name: str) -> None:
    (flickr(tmp_path) / name).unlink()
    assert choose_form(tmp_path, "auto") == "flickr8k"
    with pytest.raises(InputError, match=f"{name}: no such file"):
        flickr8k.read(tmp_path)


@pytest.mark.parametrize(
    ("experts", "crowd"),
    [
        ("a.jpg|b#1.jpg#2|1|1|2\n", "a.jpg|b#1.jpg#2|0.33|1|2\n"),
        ("a.jpg,b#1.jpg#2,1,1,2\n", "a.jpg,b#1.jpg#2,0.33,1,2\n"),
        ("image,query_id,first,second,third\na.jpg,b#1.jpg#2,1,1,2\n", "a.jpg\tb#1.jpg#2\t0.33\t1\t2\n"),
        (
            '|query_id|image|query_text|a|b|c\n0|b#1.jpg#2|a.jpg|"A dog, running"|1|1|2\n',
            "image\tquery_id\tshare\tup\tdown\na.jpg\tb#1.jpg#2\t0.33\t1\t2\n",
        ),
    ],
)
def test_flickr8k_is_read_by_looking(tmp_path: Path, experts: str, crowd: str) -> None:
    write(flickr(tmp_path), ExpertAnnotations__txt=experts, CrowdFlowerAnnotations__csv=crowd)
    (tmp_path / "ExpertAnnotations.tsv").unlink()
    (tmp_path / "CrowdAnnotations.tsv").unlink()
    assert choose_form(tmp_path, "auto") == "flickr8k"
    raw = flickr8k.read(tmp_path)
    ratings, votes = raw.ratings
    assert (ratings.file, votes.file) == ("ExpertAnnotations.txt", "CrowdFlowerAnnotations.csv")
    assert ratings.rows[["image_id", "query_id", *ratings.experts]].values.tolist() == [
        ["a.jpg", "b#1.jpg#2", "1", "1", "2"]
    ]
    assert votes.rows[[votes.crowd, *votes.votes]].values.tolist() == [["0.33", "1", "2"]]
    texts = [text for queries in raw.queries if queries.split == "train" for text in queries.rows["text"]]
    assert texts == ["A dog, running"]


def test_flickr8k_takes_texts_from_where_they_stand(tmp_path: Path) -> None:
    (flickr(tmp_path) / "train_dataset.csv").unlink()
    write(
        tmp_path,
        ExpertAnnotations__tsv="image\tquery_id\tquery_text\tr1\na.jpg\tq#1\tone\t1\nb.jpg\tq#1\tone\t2\n",
        CrowdAnnotations__tsv="a.jpg\tc.jpg#0\t1\t1\t0\n",
    )
    raw = flickr8k.read(tmp_path)
    captions = pd.DataFrame({"caption_id": ["c.jpg#0", "c.jpg#1"], "text": ["two", "three"], "image_id": "c.jpg"})
    raw = add_caption_texts(raw, "captions.tsv", captions)
    assert [(queries.file, queries.split) for queries in raw.queries] == [
        ("ExpertAnnotations.tsv", "train"),
        ("captions.tsv", "train"),
        ("test_queries.csv", "test"),
    ]
    assert [queries.rows["text"].tolist() for queries in raw.queries[:2]] == [["one"], ["two"]]


def test_flickr8k_wants_three_columns_of_the_crowd(tmp_path: Path) -> None:
    write(flickr(tmp_path), CrowdAnnotations__tsv="image\tquery_id\tshare\na.jpg\tb#1.jpg#2\t0.33\n")
    with pytest.raises(InputError, match=r"are 1 columns \(share\), wanted 3"):
        flickr8k.read(tmp_path)


@pytest.mark.parametrize(
    ("header", "crowd", "votes"),
    [
        ("crowd_rates", "crowd_rates", None),
        ("crowd_yes,crowd_no", None, ("crowd_yes", "crowd_no")),
        ("crowd_no,crowd_rates,crowd_yes", "crowd_rates", ("crowd_yes", "crowd_no")),
    ],
)
def test_single_file_finds_the_crowd(
    tmp_path: Path, header: str, crowd: str | None, votes: tuple[str, str] | None
) -> None:
    cells = ",".join(["0"] * len(header.split(",")))
    write(tmp_path, train_dataset__csv=f"img_id,text,{header}\na.jpg,x,{cells}\n")
    (ratings,) = single_file.read(tmp_path).ratings
    assert (ratings.experts, ratings.crowd, ratings.votes) == ((), crowd, votes)


def test_long_ratings_stand_alone(tmp_path: Path) -> None:
    raw = long.read(rated_long(tmp_path))
    (ratings,), (queries,) = raw.ratings, raw.queries
    dog, cat = single_file.query_ids(pd.Series(["A dog", "Кот"]))
    assert ratings.rows.values.tolist() == [
        ["a.jpg", dog, "ann", "4", "expert"],
        ["a.jpg", dog, "bob", "3", "expert"],
        ["b.jpg", cat, "", "1", "expert"],
    ]
    assert queries.rows[["query_id", "text"]].values.tolist() == [[dog, "A dog"], [cat, "Кот"]]


def test_parquet_and_csv_are_the_same_long_ratings(tmp_path: Path) -> None:
    (tmp_path / "csv").mkdir()
    (tmp_path / "parquet").mkdir()
    columns = {"image": ["a.jpg", "b.jpg"], "text": ["A dog", "A cat"], "rater": ["ann", None], "rating": [4, 0]}
    table = pa.table(columns | {"source": ["Expert", "crowd"]})
    table.to_pandas().to_csv(tmp_path / "csv" / "ratings_long.csv", index=False)
    pq.write_table(table, tmp_path / "parquet" / "ratings_long.parquet")
    (csv,), (parquet,) = (long.read(tmp_path / name).ratings for name in ("csv", "parquet"))
    pd.testing.assert_frame_equal(csv.rows, parquet.rows)
    assert parquet.rows.iloc[1].tolist()[2:] == ["", "0", "crowd"]


@pytest.mark.parametrize("make", [single, flickr])
def test_long_ratings_stand_beside_another_form_and_know_its_texts(tmp_path: Path, make: object) -> None:
    write(make(tmp_path), ratings_long__csv="image,text,rater,rating\na.jpg,A red ball,ann,4\nb.jpg,New,ann,1\n")
    form = choose_form(tmp_path, "auto")
    raw = read_form(tmp_path, form)
    added = raw.ratings[-1].rows["query_id"].tolist()
    assert added == single_file.query_ids(pd.Series(["A red ball", "New"])).tolist()
    texts = [queries.rows["text"].tolist() for queries in raw.queries if queries.file == "ratings_long.csv"]
    assert texts == [["New"] if form == "single_file" else ["A red ball", "New"]]
    assert [queries.split for queries in raw.queries] == sorted((q.split for q in raw.queries), reverse=True)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"image,text,rater\na.jpg,x,ann\n", "ratings_long.csv: no column rating"),
        (b"", "ratings_long.csv: the first line is empty"),
    ],
)
def test_unreadable_long_ratings_are_explained(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "ratings_long.csv").write_bytes(content)
    with pytest.raises(InputError, match=told):
        long.read(tmp_path)
    (tmp_path / "ratings_long.parquet").write_bytes(b"no parquet")
    with pytest.raises(InputError, match="are both there; remove one"):
        long.read(tmp_path)
    (tmp_path / "ratings_long.csv").unlink()
    with pytest.raises(InputError, match=r"ratings_long\.parquet: not a readable table"):
        long.read(tmp_path)


def test_the_test_part_is_optional(tmp_path: Path) -> None:
    raw = single_file.read(single(tmp_path))
    assert [texts.split for texts in raw.queries] == ["train"]
    assert raw.listed == {}
