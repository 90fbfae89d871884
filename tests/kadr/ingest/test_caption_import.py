"""Tests for the import of captioned images as training data."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from kadr.cli.main import app
from kadr.errors import InputError
from kadr.ingest.captions.caption_import import CaptionImportSummary, import_captions
from kadr.ingest.captions.caption_split import choose_test_images
from kadr.ingest.captions.derived_ratings import derive_ratings

N_IMAGES = 12
NAMES = [f"{k:02d}.jpg" for k in range(N_IMAGES)]


def draw(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(folder / name)


def write_table(path: Path, lines: list[str], header: str = "photo,caption") -> Path:
    path.write_text("\n".join([header, *lines, ""]), encoding="utf-8")
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    draw(tmp_path / "photos", *NAMES)
    return tmp_path / "photos"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write_table(tmp_path / "captions.csv", [f'{name},"Caption, {name}"' for name in NAMES])


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def run(table: Path, photos: Path, out: Path) -> CaptionImportSummary:
    return import_captions(table, photos, out)


def test_each_caption_fits_its_own_image_and_differs_from_three_others() -> None:
    captions = pd.DataFrame({"image_id": NAMES, "text": [f"Caption {name}" for name in NAMES]})
    captions.loc[1, "text"] = captions.loc[0, "text"]  # two images with the same caption
    pairs = derive_ratings(captions)
    fits = pairs[pairs["rating"] == 4][["image_id", "text"]]
    assert sorted(fits.values.tolist()) == sorted(captions.values.tolist())
    assert set(pairs["rating"]) == {1, 4}
    assert not pairs.duplicated(["image_id", "text"]).any()
    assert pairs[pairs["rating"] == 1].groupby("image_id").size().between(1, 3).all()
    assert derive_ratings(captions.sample(frac=1, random_state=1)).equals(pairs)


def test_an_image_stays_in_its_split_when_images_are_added() -> None:
    names = [f"{k}.jpg" for k in range(200)]
    test = choose_test_images(names)
    assert choose_test_images(names[:50]) == test & set(names[:50])
    assert 20 < len(test) < 60
    assert len(choose_test_images(["0.jpg", "1.jpg"])) == 1


def test_the_import_writes_a_dataset_folder(photos: Path, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    summary = run(table, photos, out)
    test = choose_test_images(NAMES)
    pairs, queries = pd.read_csv(out / "train_dataset.csv"), pd.read_csv(out / "test_queries.csv")
    assert set(pairs["img_id"]) == set(NAMES) - test
    assert sorted(pairs.loc[pairs["rate_1"] == 4, "text"]) == sorted(f"Caption, {name}" for name in set(NAMES) - test)
    assert sorted(queries.values.tolist()) == sorted([f"{name}#0", f"Caption, {name}", name] for name in test)
    assert files_in(out / "train_images") == set(NAMES) - test
    assert files_in(out / "test_images") == test
    assert summary.n_images == {"train": N_IMAGES - len(test), "test": len(test)}
    assert (summary.copied, summary.removed, summary.set_aside) == (N_IMAGES, 0, {})


def test_a_second_run_copies_only_new_images_and_gives_the_same_bytes(
    photos: Path, table: Path, tmp_path: Path
) -> None:
    out = tmp_path / "mine"
    run(table, photos, out)
    before = {name: (out / name).read_bytes() for name in files_in(out)}
    assert run(table, photos, out).copied == 0
    assert {name: (out / name).read_bytes() for name in files_in(out)} == before
    os.utime(photos / "00.jpg", ns=(0, 0))
    draw(photos, "12.jpg")
    write_table(table, [f"{name},Caption {name}" for name in [*NAMES, "12.jpg"]])
    assert run(table, photos, out).copied == 2


def test_images_that_lose_their_captions_are_removed_unless_they_are_rated(
    photos: Path, table: Path, tmp_path: Path
) -> None:
    out = tmp_path / "mine"
    run(table, photos, out)
    train = sorted(set(NAMES) - choose_test_images(NAMES))
    ratings = f"image,text,rater,rating,source\n{train[0]},A dog,ann,3,expert\n"
    (out / "ratings_long.csv").write_text(ratings)
    draw(out / "train_images", "added_by_hand.jpg")
    write_table(table, [f"{name},Caption {name}" for name in NAMES if name not in train[:2]])
    summary = run(table, photos, out)
    assert (summary.removed, summary.kept, summary.n_ratings) == (1, 1, 1)
    assert files_in(out / "train_images") == {*train, "added_by_hand.jpg"} - {train[1]}
    assert (out / "ratings_long.csv").read_text() == ratings
    assert train[0] not in set(pd.read_csv(out / "train_dataset.csv")["img_id"])


def test_an_interrupted_import_resumes(
    photos: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    out = tmp_path / "mine"
    with monkeypatch.context() as patch:
        patch.setattr("kadr.ingest.captions.caption_import._write_csv", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(table, photos, out)
    assert run(table, photos, out).copied == 0
    assert (out / "train_dataset.csv").is_file()


def test_names_in_other_forms_and_other_columns_are_understood(photos: Path, tmp_path: Path) -> None:
    lines = [f"C:\\Users\\ann\\photos\\{name.upper()};Caption {name}" for name in NAMES]
    table = write_table(tmp_path / "captions.csv", lines, header="Image Name;Text")
    assert run(table, photos, tmp_path / "mine").set_aside == {}
    assert files_in(tmp_path / "mine" / "train_images") == set(NAMES) - choose_test_images(NAMES)


def test_images_in_subfolders_keep_their_paths(tmp_path: Path) -> None:
    names = [f"2019/{name}" for name in NAMES] + ["2020/00.jpg"]
    draw(tmp_path / "photos", *names)
    table = write_table(tmp_path / "captions.csv", [f"{name},Caption {name}" for name in names])
    run(table, tmp_path / "photos", tmp_path / "mine")
    images = files_in(tmp_path / "mine" / "train_images") | files_in(tmp_path / "mine" / "test_images")
    assert images == set(names)


def test_captions_that_cannot_be_used_are_set_aside(photos: Path, table: Path, tmp_path: Path) -> None:
    draw(photos, "a/twice.jpg", "b/twice.jpg")
    (photos / "page.jpg").write_text("<html>")
    lines = table.read_text(encoding="utf-8").splitlines()[1:]
    lines += ["13.jpg,No file", "00.jpg, ", '00.jpg,"Caption,  00.jpg"', ",No name", "page.jpg,A page", "twice.jpg,Two"]
    summary = run(write_table(table, lines), photos, tmp_path / "mine")
    assert summary.set_aside == {
        "duplicate_row": 1,
        "image_ambiguous": 1,
        "image_empty": 1,
        "image_missing": 1,
        "not_an_image": 1,
        "text_empty": 1,
    }
    listed = pd.read_csv(tmp_path / "mine" / "set_aside.csv", keep_default_na=False)
    assert listed.values.tolist()[0] == [13, "13.jpg", "No file", "image_missing"]
    assert len(files_in(tmp_path / "mine" / "train_images") | files_in(tmp_path / "mine" / "test_images")) == N_IMAGES


@pytest.mark.parametrize(
    ("lines", "header", "message"),
    [
        (
            ["00.jpg,A dog"],
            "photo,caption",
            r"captions\.csv: 0 images with captions remain.*at least 8 training images",
        ),
        ([f"{name},A dog" for name in NAMES], "photo,caption", r"captions\.csv: all captions are the same \('A dog'\)"),
        (
            [f"{name},{name}" for name in NAMES],
            "photo,price",
            r"captions\.csv: .*\(photo, price\).*expected \(image, text\)",
        ),
        (
            [f"x{name},{name}" for name in NAMES],
            "photo,caption",
            r"none of the 12 images, such as 'x00\.jpg'.*--images",
        ),
        ([], "photo,caption", r"captions\.csv"),
    ],
)
def test_unusable_captions_are_one_error(
    photos: Path, tmp_path: Path, lines: list[str], header: str, message: str
) -> None:
    table = write_table(tmp_path / "captions.csv", lines, header=header)
    with pytest.raises(InputError, match=message):
        run(table, photos, tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


def test_a_folder_with_other_data_is_not_changed(photos: Path, table: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "train_dataset.csv").write_text("img_id,text,rate_1\n")
    with pytest.raises(
        InputError, match=r"mine contains train_dataset\.csv, which `kadr import captions` did not write"
    ):
        run(table, photos, tmp_path / "mine")
    assert files_in(tmp_path / "mine") == {"train_dataset.csv"}


def test_the_copies_of_an_earlier_import_are_no_images(photos: Path, table: Path, tmp_path: Path) -> None:
    first = run(table, tmp_path, tmp_path / "data" / "mine")
    assert run(table, tmp_path, tmp_path / "data" / "mine") == replace(first, copied=0)
    assert {path.parent.name for path in (tmp_path / "data" / "mine" / "train_images").rglob("*.jpg")} == {photos.name}


def test_a_file_is_no_output_folder(photos: Path, table: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"captions\.csv is a file\. Expected the path of a folder"):
        run(table, photos, table)
    assert table.is_file()


def test_missing_files_are_named(photos: Path, table: Path, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"nowhere: the image folder does not exist\. It must contain .* Correct --images"
    ):
        run(table, tmp_path / "nowhere", tmp_path / "mine")
    with pytest.raises(InputError, match=r"The captions file .*none\.csv does not exist"):
        run(tmp_path / "none.csv", photos, tmp_path / "mine")


def test_the_command_says_what_it_wrote_and_what_to_type_next(photos: Path, tmp_path: Path) -> None:
    table = write_table(photos / "captions.csv", [f"{name},Caption {name}" for name in [*NAMES, "13.jpg"]])
    result = CliRunner().invoke(app, ["import", "captions", str(table), "--out", str(tmp_path / "mine")])
    assert result.exit_code == 0, result.output
    n_test = len(choose_test_images(NAMES))
    assert f"{N_IMAGES - n_test} training images with {N_IMAGES - n_test} captions" in result.output
    assert f"{n_test} test images with {n_test} queries" in result.output
    assert "not imported: 1 image_missing" in result.output
    assert (
        f"kadr use captions -S index.rerank=100 -S evaluate.gates.above=null -S ingest.source={tmp_path}"
        in result.output
    )
    assert json.loads((tmp_path / "mine" / "captions_import.json").read_text())["command"] == "kadr import captions"


def test_the_command_prints_errors_without_a_stack_trace(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["import", "captions", str(tmp_path / "none.csv")])
    assert result.exit_code == 1
    assert result.output.startswith("kadr: error: The captions file")
