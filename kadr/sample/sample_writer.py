"""Write the sample dataset: images, ratings, queries, captions and true relevances."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from kadr.errors import KadrError
from kadr.io.versions import publish_folder
from kadr.sample import table_files
from kadr.sample.image_rendering import RenderingTask, render_images
from kadr.sample.planted_defects import (
    MIN_TRAIN,
    NEAR_DUPLICATE,
    TRUNCATED,
    PlantedDefects,
    plant_near_duplicate,
    plant_row_defects,
)
from kadr.sample.split_images import make_distinct_images, make_images
from kadr.sample.train_table import make_train_table

N_TRAIN, N_TEST, N_CORPUS = 600, 60, 1400
SUMMARY_FILE = "sample.json"


class SampleError(KadrError):
    """The sample data cannot be written with the given arguments."""


@dataclass(frozen=True)
class SampleSummary:
    """Summary of a sample. The field names are used as keys in sample.json.

    Attributes:
        seed: Random seed.
        n_train: Number of files in train_images, including the truncated file.
        n_test: Number of files in test_images.
        n_corpus: Number of files in corpus_images.
        n_expert: Number of rows with expert ratings in train_dataset.csv, including the planted rows.
        n_crowd: Number of rows that have crowd ratings but no expert ratings.
        n_texts: Number of distinct texts in train_dataset.csv.
        planted: Locations of the planted defects.
    """

    seed: int
    n_train: int
    n_test: int
    n_corpus: int
    n_expert: int
    n_crowd: int
    n_texts: int
    planted: PlantedDefects


def write_sample(
    folder: Path,
    seed: int = 0,
    n_train: int = N_TRAIN,
    n_test: int = N_TEST,
    n_corpus: int = N_CORPUS,
    *,
    on_progress: Callable[[int], None] | None = None,
    n_processes: int = 2,
) -> SampleSummary:
    """Write the sample dataset. The same arguments produce identical files.

    Args:
        folder: Output folder. An existing sample in this folder is replaced when the new sample is complete.
        seed: Random seed, 0 or greater.
        n_train: Number of rated images, at least 6 because of the planted defects.
        n_test: Number of test images, at least 1.
        n_corpus: Number of captioned images without ratings.
        on_progress: Callback that receives the number of images rendered since the last call.
        n_processes: Number of processes that render images. The files do not depend on this number.

    Returns:
        The summary of the sample, which is also written to sample.json.

    Raises:
        SampleError: A number is too small, or the folder contains files that do not belong to a sample.
    """
    if n_train < MIN_TRAIN or n_test < 1 or n_corpus < 0 or seed < 0:
        raise SampleError(
            f"Cannot write a sample with n_train={n_train}, n_test={n_test}, n_corpus={n_corpus} and seed={seed}. "
            f"n_train must be at least {MIN_TRAIN}, n_test must be at least 1, and n_corpus and seed must be at "
            "least 0."
        )
    _check_replaceable(folder)
    test = make_distinct_images(seed, "test", n_test)
    train = plant_near_duplicate(make_images(seed, "train", n_train + 1), test[0])
    corpus = make_images(seed, "corpus", n_corpus)
    table = make_train_table(train, seed, required_images=(TRUNCATED, n_train))
    rows, defects = plant_row_defects(table.rows, train, test)
    n_expert = sum(row.ratings is not None for row in rows)
    n_texts = len({row.text for row in rows if row.text})
    summary = SampleSummary(seed, n_train, n_test, n_corpus, n_expert, len(rows) - n_expert, n_texts, defects)
    with publish_folder(folder) as output:
        tasks = []
        for split, images in {"train": train[:-1], "test": test, "corpus": corpus}.items():
            split_folder = output / f"{split}_images"
            split_folder.mkdir()
            tasks += [RenderingTask(image, split_folder / image.name) for image in images]
        tasks[NEAR_DUPLICATE] = replace(tasks[NEAR_DUPLICATE], near_duplicate=True)
        render_images(tasks, n_processes, on_progress or (lambda _n: None))
        _truncate_file(output / "train_images" / defects.truncated_photo)
        table_files.write_train_table(output / "train_dataset.csv", rows)
        table_files.write_test_tables(output / "test_images.csv", output / "test_queries.csv", test)
        table_files.write_caption_table(output / "corpus_captions.tsv", corpus)
        table_files.write_relevance_table(output / "truth.parquet", table.relevances)
        (output / SUMMARY_FILE).write_text(json.dumps(asdict(summary), indent=2) + "\n", encoding="utf-8")
    return summary


def _check_replaceable(folder: Path) -> None:
    if not folder.exists() or (folder.is_dir() and (folder / SUMMARY_FILE).is_file()):
        return
    if not folder.is_dir() or any(folder.iterdir()):
        raise SampleError(
            f"Cannot replace {folder}, because it does not contain {SUMMARY_FILE}. "
            "Only an empty folder or an existing sample can be replaced. Choose another folder, or remove this folder."
        )


def _truncate_file(path: Path) -> None:
    """Remove the second half of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
