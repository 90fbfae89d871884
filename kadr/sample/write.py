"""The sample's files: photos, ratings, queries, captions and the truth."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from kadr.sample import table_files
from kadr.sample.defects import (
    MIN_TRAIN,
    NEAR_DUPLICATE,
    TRUNCATED,
    Planted,
    plant_near_duplicate,
    plant_rows,
)
from kadr.sample.image_files import Picture, draw_pictures
from kadr.sample.sample_folder import MARKER, SampleError, whole_folder
from kadr.sample.split_images import album, distinct_album
from kadr.sample.train_table import rate

N_TRAIN, N_TEST, N_CORPUS = 600, 60, 1400


@dataclass(frozen=True)
class SampleSummary:
    """What a sample holds; photos are counted as files on disk.

    Attributes:
        seed: Seed of every lot.
        n_train: Photos in train_images, the truncated one among them.
        n_test: Photos in test_images.
        n_corpus: Photos in corpus_images.
        n_expert: Rows of train_dataset.csv with expert ratings, planted ones included.
        n_crowd: Rows with a crowd rating alone.
        n_texts: Different texts in train_dataset.csv.
        planted: Where the planted defects are.
    """

    seed: int
    n_train: int
    n_test: int
    n_corpus: int
    n_expert: int
    n_crowd: int
    n_texts: int
    planted: Planted


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
    """Draw the sample data into a folder; the same arguments give the same bytes.

    Args:
        folder: Where to; an earlier sample there is replaced, as one step, when the new one is whole.
        seed: Seed of every lot, 0 or more.
        n_train: Photos in train_images, at least 6 (the planted defects need them).
        n_test: Photos in test_images, at least 1.
        n_corpus: Captioned, unrated photos in corpus_images.
        on_progress: Told how many more photos are drawn; `n_train + n_test + n_corpus` in all.
        n_processes: Processes that draw at once; no byte depends on it.

    Raises:
        SampleError: The counts are too small, or the folder holds something else.
    """
    if n_train < MIN_TRAIN or n_test < 1 or n_corpus < 0 or seed < 0:
        raise SampleError(
            f"got n_train={n_train}, n_test={n_test}, n_corpus={n_corpus}, seed={seed}; "
            f"wanted at least {MIN_TRAIN}, 1, 0 and 0"
        )
    test = distinct_album(seed, "test", n_test)
    train = plant_near_duplicate(album(seed, "train", n_train + 1), test[0])
    corpus = album(seed, "corpus", n_corpus)
    table = rate(train, seed, always=(TRUNCATED, n_train))
    rows, planted = plant_rows(table.rows, train, test)
    n_expert = sum(row.rates is not None for row in rows)
    n_texts = len({row.text for row in rows if row.text})
    summary = SampleSummary(seed, n_train, n_test, n_corpus, n_expert, len(rows) - n_expert, n_texts, planted)
    with whole_folder(folder) as whole:
        parts = {"train": train[:-1], "test": test, "corpus": corpus}
        pictures = []
        for part, photos in parts.items():
            images = whole / f"{part}_images"
            images.mkdir()
            pictures += [Picture(photo, images / photo.name) for photo in photos]
        pictures[NEAR_DUPLICATE] = replace(pictures[NEAR_DUPLICATE], again=True)
        draw_pictures(pictures, n_processes, on_progress or (lambda _n: None))
        table_files.truncate(whole / "train_images" / planted.truncated_photo)
        table_files.write_rows(whole / "train_dataset.csv", rows)
        table_files.write_test(whole / "test_images.csv", whole / "test_queries.csv", test)
        table_files.write_captions(whole / "corpus_captions.tsv", corpus)
        table_files.write_truth(whole / "truth.parquet", table.truth)
        (whole / MARKER).write_text(json.dumps(asdict(summary), indent=2) + "\n", encoding="utf-8")
    return summary
