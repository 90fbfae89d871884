"""Tests for the written sample: reproducible files, file formats, planted defects and invalid arguments."""

import hashlib
import json
from dataclasses import fields
from pathlib import Path

import imagehash
import pandas as pd
import pytest
from PIL import Image

import kadr.sample
from kadr.sample import PLANTED_DEFECTS, PlantedDefects, SampleError, SampleSummary, write_sample
from kadr.sample.image_rendering import RenderingTask, render_images
from kadr.sample.planted_defects import MIN_TRAIN
from kadr.sample.split_images import make_images

WrittenSample = tuple[Path, SampleSummary]

N_TRAIN, N_TEST, N_CORPUS = 12, 4, 5
EXPERT_COLUMNS = ["rate_1", "rate_2", "rate_3"]
MAX_DUPLICATE_DISTANCE = 4


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> WrittenSample:
    folder = tmp_path_factory.mktemp("data") / "sample"
    return folder, write_small_sample(folder)


@pytest.fixture(scope="module")
def train_rows(sample: WrittenSample) -> pd.DataFrame:
    return pd.read_csv(sample[0] / "train_dataset.csv", keep_default_na=False)


def write_small_sample(folder: Path, seed: int = 0) -> SampleSummary:
    return write_sample(folder, seed, N_TRAIN, N_TEST, N_CORPUS)


def perceptual_hash(path: Path) -> imagehash.ImageHash:
    with Image.open(path) as image:
        return imagehash.phash(image)


def file_hashes(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_public_names_are_importable() -> None:
    assert all(hasattr(kadr.sample, name) for name in kadr.sample.__all__)


def test_the_same_seed_writes_identical_files_and_another_seed_different_files(
    sample: WrittenSample, tmp_path: Path
) -> None:
    hashes = file_hashes(sample[0])
    assert write_small_sample(sample[0]) == sample[1]
    assert file_hashes(sample[0]) == hashes
    assert [path.name for path in sample[0].parent.iterdir()] == ["sample"]
    write_small_sample(tmp_path / "other", seed=1)
    other_hashes = file_hashes(tmp_path / "other")
    assert other_hashes.keys() == hashes.keys()
    assert not set(other_hashes.values()) & set(hashes.values()) - {hashes["test_images.csv"]}


def test_the_number_of_processes_does_not_change_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kadr.sample.image_rendering._MIN_POOL_IMAGES", 0)
    for n_processes in (1, 2):
        folder = tmp_path / str(n_processes)
        folder.mkdir()
        progress: list[int] = []
        tasks = [RenderingTask(image, folder / image.name) for image in make_images(0, "corpus", 4)]
        render_images(tasks, n_processes, progress.append)
        assert sum(progress) == 4
    assert file_hashes(tmp_path / "1") == file_hashes(tmp_path / "2")


def test_the_files_have_the_documented_formats(sample: WrittenSample, train_rows: pd.DataFrame) -> None:
    folder, summary = sample
    for split, count in {"train": N_TRAIN, "test": N_TEST, "corpus": N_CORPUS}.items():
        assert len(list((folder / f"{split}_images").glob("*.jpg"))) == count
    assert list(train_rows.columns) == ["img_id", "text", *EXPERT_COLUMNS, "crowd_rates"]
    assert len(train_rows) == summary.n_expert + summary.n_crowd
    images = pd.read_csv(folder / "test_images.csv")["image"].tolist()
    queries = pd.read_csv(folder / "test_queries.csv", sep="|", index_col=0)
    assert list(queries.columns) == ["query_id", "query_text", "image"]
    assert queries["query_id"].tolist() == [f"{image}#{number}" for image in images for number in range(5)]
    captions = (folder / "corpus_captions.tsv").read_text(encoding="utf-8").splitlines()
    assert [line.split("\t")[0] for line in captions[:6]] == [
        *(f"corpus_00000.jpg#{number}" for number in range(5)),
        "corpus_00001.jpg#0",
    ]


def test_the_true_relevances_cover_exactly_the_rated_pairs(sample: WrittenSample, train_rows: pd.DataFrame) -> None:
    truth = pd.read_parquet(sample[0] / "truth.parquet")
    assert list(truth.columns) == ["img_id", "text", "relevance"]
    assert truth["relevance"].between(0, 1).all()
    rated = train_rows[train_rows["text"] != ""]
    assert set(zip(rated["img_id"], rated["text"], strict=True)) == set(
        zip(truth["img_id"], truth["text"], strict=True)
    )


def test_every_planted_defect_is_in_the_files(sample: WrittenSample, train_rows: pd.DataFrame) -> None:
    folder, defects = sample[0], sample[1].planted
    assert {field.name for field in fields(PlantedDefects)} == set(PLANTED_DEFECTS)
    assert json.loads((folder / "sample.json").read_text())["planted"]["missing_photo"] == "train_00012.jpg"
    expert_rows = train_rows[train_rows["rate_1"] != ""]
    for name in (defects.truncated_photo, defects.missing_photo):
        assert (expert_rows["img_id"] == name).any()
    with (
        Image.open(folder / "train_images" / defects.truncated_photo) as truncated,
        pytest.raises(OSError, match="truncated"),
    ):
        truncated.load()
    assert not (folder / "train_images" / defects.missing_photo).exists()
    pairs = train_rows[["img_id", "text"]]
    assert pairs[train_rows.duplicated()].to_numpy().tolist() == [list(defects.duplicate_row)]
    assert pairs[train_rows["rate_2"] == "7"].to_numpy().tolist() == [list(defects.bad_rating)]
    assert train_rows.loc[train_rows["text"] == "", "img_id"].tolist() == [defects.empty_text]


@pytest.mark.parametrize("seed", range(6))
def test_the_near_duplicate_is_similar_to_its_original_but_not_identical(seed: int, tmp_path: Path) -> None:
    folder = tmp_path / "sample"
    duplicate, original = write_sample(folder, seed, n_train=MIN_TRAIN, n_test=1, n_corpus=0).planted.near_duplicate
    duplicate_path, original_path = folder / "train_images" / duplicate, folder / "test_images" / original
    assert perceptual_hash(duplicate_path) - perceptual_hash(original_path) <= MAX_DUPLICATE_DISTANCE
    assert duplicate_path.read_bytes() != original_path.read_bytes()


def test_images_of_different_scenes_are_not_near_duplicates(sample: WrittenSample) -> None:
    hashes = [perceptual_hash(path) for path in sorted((sample[0] / "corpus_images").glob("*.jpg"))]
    distances = [left - right for number, left in enumerate(hashes) for right in hashes[:number]]
    assert min(distances) > MAX_DUPLICATE_DISTANCE


def test_a_folder_with_other_files_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("keep")
    with pytest.raises(SampleError, match=r"does not contain sample\.json"):
        write_small_sample(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "keep"


def test_an_interrupted_run_keeps_the_earlier_sample(tmp_path: Path) -> None:
    write_sample(tmp_path / "sample", n_train=MIN_TRAIN, n_test=1, n_corpus=0)
    hashes = file_hashes(tmp_path / "sample")

    def interrupt(_n: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_sample(tmp_path / "sample", seed=5, n_train=MIN_TRAIN, n_test=1, n_corpus=0, on_progress=interrupt)
    assert file_hashes(tmp_path / "sample") == hashes
    assert [path.name for path in tmp_path.iterdir()] == ["sample"]


@pytest.mark.parametrize("numbers", [(-1, 6, 1, 0), (0, 5, 1, 0), (0, 6, 0, 0), (0, 6, 1, -1)])
def test_numbers_below_the_minimum_are_refused(numbers: tuple[int, int, int, int], tmp_path: Path) -> None:
    seed, n_train, n_test, n_corpus = numbers
    with pytest.raises(SampleError, match="n_train must be at least 6, n_test must be at least 1"):
        write_sample(tmp_path / "sample", seed, n_train, n_test, n_corpus)
