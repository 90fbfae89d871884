"""Tests for dataset formats: format detection, and the raw input that each format reads."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import kadr.registry
from kadr.errors import InputError
from kadr.ingest.corpus import add_caption_texts
from kadr.ingest.formats.base import Format, find_image_folders
from kadr.ingest.formats.detection import detect_format, read_folder
from kadr.ingest.formats.flickr8k import Flickr8k
from kadr.ingest.formats.long import LongTable
from kadr.ingest.formats.single_file import SingleFile, hash_texts

FORMATS: dict[str, Format] = {"single_file": SingleFile(), "flickr8k": Flickr8k(), "long": LongTable()}

MakeFolder = Callable[[Path], Path]


def write(folder: Path, **files: str) -> Path:
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(content, encoding="utf-8")
    return folder


def make_single_file(folder: Path, header: str = "img_id,text,rate_1,rate_2,crowd_rates") -> Path:
    rows = "a.jpg,A  red ball ,1,4,0.5\nb.jpg,A red ball,2,,\nb.jpg,,2,2,\n"
    return write(folder, train_dataset__csv=f"{header}\n{rows}")


def make_flickr8k(folder: Path) -> Path:
    return write(
        folder,
        train_dataset__csv="image,query_id,query_text\n"
        + "".join(f'{name}.jpg,b#1.jpg#2,"A dog, running"\n' for name in "ab"),
        ExpertAnnotations__tsv="a.jpg\tb#1.jpg#2\t1\t1\t2\n",
        CrowdAnnotations__tsv="a.jpg\tb#1.jpg#2\t0.33\t1\t2\n",
        test_queries__csv='|query_id|query_text|image\n0|t.jpg#0|a sign " sale " here |t.jpg\n',
        test_images__csv="image\nt.jpg\n",
    )


def make_long(folder: Path) -> Path:
    rows = "a.jpg,A dog,ann,4\na.jpg,A  dog,bob,3\nb.jpg,Кот,,1\n"
    return write(folder, ratings_long__csv=f"image,text,rater,rating\n{rows}")


MAKERS = [("single_file", make_single_file), ("flickr8k", make_flickr8k), ("long", make_long)]


@pytest.mark.parametrize(("name", "make"), MAKERS)
def test_a_folder_matches_one_format(tmp_path: Path, name: str, make: MakeFolder) -> None:
    assert detect_format(make(tmp_path), "auto") == name
    assert [known for known, candidate in FORMATS.items() if candidate.recognises(tmp_path)] == [name]


def test_a_named_format_is_not_detected(tmp_path: Path) -> None:
    assert detect_format(make_long(tmp_path), "flickr8k") == "flickr8k"


def test_the_error_for_an_unknown_folder_lists_the_formats(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"matches no known format\. The folder contains notes\.txt\.") as error:
        detect_format(write(tmp_path, notes__txt=""), "auto")
    assert all(f"\n  {name}: {known.layout}" in str(error.value) for name, known in FORMATS.items())


def test_a_nested_dataset_folder_is_named(tmp_path: Path) -> None:
    nested = tmp_path / "mine" / "mine"
    nested.mkdir(parents=True)
    make_long(nested)
    with pytest.raises(InputError, match=rf"Set ingest\.source to {nested}, which contains a table with ratings\."):
        detect_format(tmp_path, "auto")


def test_a_table_with_an_unknown_name_and_an_archive_are_named(tmp_path: Path) -> None:
    (tmp_path / "raw.zip").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"Extract raw\.zip\."):
        detect_format(tmp_path, "auto")
    (tmp_path / "my_ratings.csv").write_text("image,text,rating\n")
    with pytest.raises(InputError, match=r"If my_ratings\.csv contains the ratings, rename the file: ratings_long"):
        detect_format(tmp_path, "auto")
    with pytest.raises(InputError, match=r"raw\.zip is a file\. Expected a folder"):
        detect_format(tmp_path / "raw.zip", "auto")


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ingest\.source: the folder .*nowhere does not exist"):
        detect_format(tmp_path / "nowhere", "single_file")


PLUGIN = """
import pandas as pd

from kadr.ingest.raw_input import RawInput, RawQueries, RawRatings


class Stars:
    layout = "stars.csv (photo, caption, stars)"

    def recognises(self, folder):
        return (folder / "stars.csv").is_file()

    def read(self, folder):
        table = pd.read_csv(folder / "stars.csv", dtype=str)
        rows = pd.DataFrame({"image_id": table["photo"], "query_id": table["caption"], "stars": table["stars"]})
        rows.index = pd.RangeIndex(1, len(rows) + 1, name="row")
        texts = rows[["query_id"]].assign(text=rows["query_id"], image_id="").drop_duplicates()
        names = {"image_id": "photo", "query_id": "caption"}
        return RawInput(
            folders={"train": "photos"},
            ratings=(RawRatings("stars.csv", rows, names, expert_columns=("stars",)),),
            queries=(RawQueries("stars.csv", texts, names, "train"),),
            listed_images={},
        )
"""


@pytest.fixture
def stars_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install a package that has one module and one entry point in the group `kadr.formats`."""
    site = tmp_path / "site-packages"
    metadata = site / "stars_format-1.0.dist-info"
    metadata.mkdir(parents=True)
    (site / "stars_format.py").write_text(PLUGIN)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: stars-format\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[kadr.formats]\nstars = stars_format:Stars\n")
    monkeypatch.syspath_prepend(str(site))
    kadr.registry._entry_points.cache_clear()
    yield
    kadr.registry._entry_points.cache_clear()


@pytest.mark.usefixtures("stars_package")
@pytest.mark.parametrize("setting", ["auto", "stars"])
def test_a_format_of_another_package_is_detected_and_read(tmp_path: Path, setting: str) -> None:
    folder = tmp_path / "raw"
    folder.mkdir()
    write(folder, stars__csv="photo,caption,stars\na.jpg,A dog,4\nb.jpg,A dog,1\n")
    assert detect_format(folder, setting) == "stars"
    raw = read_folder(folder, "stars")
    assert raw.ratings[0].rows.values.tolist() == [["a.jpg", "A dog", "4"], ["b.jpg", "A dog", "1"]]
    write(folder, ratings_long__csv="image,text,rater,rating\na.jpg,A dog,ann,3\n")
    assert detect_format(folder, "auto") == "stars"
    assert [ratings.file for ratings in read_folder(folder, "stars").ratings] == ["stars.csv", "ratings_long.csv"]


def test_single_file_gives_equal_texts_one_query(tmp_path: Path) -> None:
    raw = SingleFile().read(make_single_file(tmp_path))
    (ratings,), (queries,) = raw.ratings, raw.queries
    assert ratings.expert_columns == ("rate_1", "rate_2")
    assert (ratings.crowd_column, ratings.vote_columns) == ("crowd_rates", None)
    assert ratings.rows["query_id"].tolist() == ["t816159e27379", "t816159e27379", ""]
    assert ratings.rows["rate_2"].tolist() == ["4", "", "2"]
    assert queries.rows[["query_id", "text"]].values.tolist() == [["t816159e27379", "A red ball"]]


def test_single_file_sorts_expert_columns_by_number(tmp_path: Path) -> None:
    write(tmp_path, train_dataset__csv="img_id,rate_10,rate_2,text\na.jpg,1,2,x\n")
    (ratings,) = SingleFile().read(tmp_path).ratings
    assert (ratings.expert_columns, ratings.crowd_column) == (("rate_2", "rate_10"), None)


def test_single_file_logs_unused_columns(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        SingleFile().read(make_single_file(tmp_path, "img_id,text,rate_1,note,crowd_rates"))
    assert "Ignored columns in train_dataset.csv: note" in caplog.text


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("img_id,words,rate_1,rate_2,crowd_rates", "missing column text"),
        ("house,text,rate_1,rate_2,crowd_rates", "missing column image"),
        ("img_id,text,r1,r2,crowd", "contains no rating columns"),
    ],
)
def test_a_missing_column_of_single_file_is_an_error(tmp_path: Path, header: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        SingleFile().read(make_single_file(tmp_path, header))


@pytest.mark.parametrize(
    ("header", "crowd", "votes"),
    [
        ("crowd_rates", "crowd_rates", None),
        ("crowd_yes,crowd_no", None, ("crowd_yes", "crowd_no")),
        ("crowd_no,crowd_rates,crowd_yes", "crowd_rates", ("crowd_yes", "crowd_no")),
    ],
)
def test_single_file_finds_the_crowd_columns(
    tmp_path: Path, header: str, crowd: str | None, votes: tuple[str, str] | None
) -> None:
    cells = ",".join(["0"] * len(header.split(",")))
    write(tmp_path, train_dataset__csv=f"img_id,text,{header}\na.jpg,x,{cells}\n")
    (ratings,) = SingleFile().read(tmp_path).ratings
    assert (ratings.expert_columns, ratings.crowd_column, ratings.vote_columns) == ((), crowd, votes)


def test_flickr8k_reads_ratings_texts_and_test_split(tmp_path: Path) -> None:
    raw = Flickr8k().read(make_flickr8k(tmp_path))
    experts, crowd = raw.ratings
    assert experts.rows.values.tolist() == [["a.jpg", "b#1.jpg#2", "1", "1", "2"]]
    assert (crowd.crowd_column, crowd.vote_columns) == ("share_yes", ("yes", "no"))
    training, test = raw.queries
    columns = ["query_id", "text", "image_id"]
    assert training.rows[columns].values.tolist() == [["b#1.jpg#2", "A dog, running", "b#1.jpg"]]
    assert test.rows[columns].values.tolist() == [["t.jpg#0", 'a sign " sale " here', "t.jpg"]]
    assert raw.listed_images == {"test": ["t.jpg"]}


@pytest.mark.parametrize("name", ["ExpertAnnotations.tsv", "CrowdAnnotations.tsv"])
def test_flickr8k_needs_both_annotation_files(tmp_path: Path, name: str) -> None:
    (make_flickr8k(tmp_path) / name).unlink()
    assert detect_format(tmp_path, "auto") == "flickr8k"
    with pytest.raises(InputError, match=f"{Path(name).stem}.csv does not exist"):
        Flickr8k().read(tmp_path)


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
def test_flickr8k_accepts_other_dialects_and_headers(tmp_path: Path, experts: str, crowd: str) -> None:
    write(make_flickr8k(tmp_path), ExpertAnnotations__txt=experts, CrowdFlowerAnnotations__csv=crowd)
    (tmp_path / "ExpertAnnotations.tsv").unlink()
    (tmp_path / "CrowdAnnotations.tsv").unlink()
    assert detect_format(tmp_path, "auto") == "flickr8k"
    raw = Flickr8k().read(tmp_path)
    ratings, votes = raw.ratings
    assert (ratings.file, votes.file) == ("ExpertAnnotations.txt", "CrowdFlowerAnnotations.csv")
    assert ratings.rows[["image_id", "query_id", *ratings.expert_columns]].values.tolist() == [
        ["a.jpg", "b#1.jpg#2", "1", "1", "2"]
    ]
    assert votes.rows[[votes.crowd_column, *votes.vote_columns]].values.tolist() == [["0.33", "1", "2"]]
    texts = [text for queries in raw.queries if queries.split == "train" for text in queries.rows["text"]]
    assert texts == ["A dog, running"]


def test_flickr8k_takes_texts_from_annotations_and_captions(tmp_path: Path) -> None:
    (make_flickr8k(tmp_path) / "train_dataset.csv").unlink()
    write(
        tmp_path,
        ExpertAnnotations__tsv="image\tquery_id\tquery_text\tr1\na.jpg\tq#1\tone\t1\nb.jpg\tq#1\tone\t2\n",
        CrowdAnnotations__tsv="a.jpg\tc.jpg#0\t1\t1\t0\n",
    )
    captions = pd.DataFrame({"caption_id": ["c.jpg#0", "c.jpg#1"], "text": ["two", "three"], "image_id": "c.jpg"})
    raw = add_caption_texts(Flickr8k().read(tmp_path), "captions.tsv", captions)
    assert [(queries.file, queries.split) for queries in raw.queries] == [
        ("ExpertAnnotations.tsv", "train"),
        ("captions.tsv", "train"),
        ("test_queries.csv", "test"),
    ]
    assert [queries.rows["text"].tolist() for queries in raw.queries[:2]] == [["one"], ["two"]]


def test_flickr8k_needs_three_crowd_columns(tmp_path: Path) -> None:
    write(make_flickr8k(tmp_path), CrowdAnnotations__tsv="image\tquery_id\tshare\na.jpg\tb#1.jpg#2\t0.33\n")
    with pytest.raises(InputError, match=r"the number of rating columns is 1 \(share\), expected 3"):
        Flickr8k().read(tmp_path)


def test_long_reads_ratings_with_raters(tmp_path: Path) -> None:
    raw = LongTable().read(make_long(tmp_path))
    (ratings,), (queries,) = raw.ratings, raw.queries
    dog, cat = hash_texts(pd.Series(["A dog", "Кот"]))
    assert ratings.rows.values.tolist() == [
        ["a.jpg", dog, "ann", "4", "expert"],
        ["a.jpg", dog, "bob", "3", "expert"],
        ["b.jpg", cat, "", "1", "expert"],
    ]
    assert queries.rows[["query_id", "text"]].values.tolist() == [[dog, "A dog"], [cat, "Кот"]]


def test_long_reads_parquet_and_csv_alike(tmp_path: Path) -> None:
    (tmp_path / "csv").mkdir()
    (tmp_path / "parquet").mkdir()
    columns = {"image": ["a.jpg", "b.jpg"], "text": ["A dog", "A cat"], "rater": ["ann", None], "rating": [4, 0]}
    table = pa.table(columns | {"source": ["Expert", "crowd"]})
    table.to_pandas().to_csv(tmp_path / "csv" / "ratings_long.csv", index=False)
    pq.write_table(table, tmp_path / "parquet" / "ratings_long.parquet")
    (csv,), (parquet,) = (LongTable().read(tmp_path / name).ratings for name in ("csv", "parquet"))
    pd.testing.assert_frame_equal(csv.rows, parquet.rows)
    assert parquet.rows.iloc[1].tolist()[2:] == ["", "0", "crowd"]


@pytest.mark.parametrize("make", [make_single_file, make_flickr8k])
def test_long_ratings_are_added_to_another_format(tmp_path: Path, make: MakeFolder) -> None:
    write(make(tmp_path), ratings_long__csv="image,text,rater,rating\na.jpg,A red ball,ann,4\nb.jpg,New,ann,1\n")
    name = detect_format(tmp_path, "auto")
    raw = read_folder(tmp_path, name)
    query_ids = raw.ratings[-1].rows["query_id"].tolist()
    assert query_ids == hash_texts(pd.Series(["A red ball", "New"])).tolist()
    texts = [queries.rows["text"].tolist() for queries in raw.queries if queries.file == "ratings_long.csv"]
    assert texts == [["New"] if name == "single_file" else ["A red ball", "New"]]
    assert [queries.split for queries in raw.queries] == sorted((q.split for q in raw.queries), reverse=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"image,text,rater\na.jpg,x,ann\n", "ratings_long.csv: missing column rating"),
        (b"", "ratings_long.csv: the table is empty"),
    ],
)
def test_an_unreadable_long_table_is_an_error(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "ratings_long.csv").write_bytes(content)
    with pytest.raises(InputError, match=message):
        LongTable().read(tmp_path)
    (tmp_path / "ratings_long.parquet").write_bytes(b"no parquet")
    with pytest.raises(InputError, match="Only one of these files is allowed"):
        LongTable().read(tmp_path)
    (tmp_path / "ratings_long.csv").unlink()
    with pytest.raises(InputError, match=r"ratings_long\.parquet: the table cannot be read"):
        LongTable().read(tmp_path)


def test_the_test_split_is_optional(tmp_path: Path) -> None:
    raw = SingleFile().read(make_single_file(tmp_path))
    assert [texts.split for texts in raw.queries] == ["train"]
    assert raw.listed_images == {}


@pytest.mark.parametrize("name", ["test_images", "Test_Images", "test_queries.csv"])
def test_a_folder_with_a_part_of_the_test_split_has_a_test_split(tmp_path: Path, name: str) -> None:
    assert find_image_folders(tmp_path) == {"train": "train_images"}
    (tmp_path / name).touch() if name.endswith(".csv") else (tmp_path / name).mkdir()
    assert find_image_folders(tmp_path) == {"train": "train_images", "test": "test_images"}
