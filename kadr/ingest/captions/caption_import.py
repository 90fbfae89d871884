"""Import captioned images into a dataset folder for training, with ratings that are derived from the captions."""

import csv
import json
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from kadr.errors import InputError
from kadr.ingest.captions.caption_reader import number_captions
from kadr.ingest.captions.caption_split import choose_test_images
from kadr.ingest.captions.captioned_images import join_captions
from kadr.ingest.captions.derived_ratings import derive_ratings
from kadr.ingest.columns import Columns
from kadr.ingest.formats.base import IMAGE_FOLDERS
from kadr.ingest.table_files import find_table, read_rows
from kadr.io.storage import write_atomically
from kadr.progress import progress

STATE_FILE, SET_ASIDE_FILE = "captions_import.json", "set_aside.csv"
RATED_PAIRS_FILE, TEST_QUERIES_FILE = "train_dataset.csv", "test_queries.csv"
RATINGS_STEM = "ratings_long"
MIN_TRAIN_IMAGES = 8

_RATED_PAIRS_HEADER = ("img_id", "text", "rate_1", "scale_min", "scale_max")


@dataclass(frozen=True)
class CaptionImportSummary:
    """Result of an import of captions.

    Attributes:
        n_images: number of images by split.
        n_captions: number of captions by split.
        n_pairs: number of pairs with a derived rating.
        copied: number of images that were copied. The other images had been copied before.
        removed: number of images that are no longer in the captions, and were removed from the dataset folder.
        kept: number of images that are no longer in the captions, but have ratings.
        n_ratings: number of ratings in the dataset folder that people gave. The import does not change them.
        set_aside: number of captions that were not imported, by reason.
    """

    n_images: dict[str, int]
    n_captions: dict[str, int]
    n_pairs: int
    copied: int
    removed: int
    kept: int
    n_ratings: int
    set_aside: dict[str, int]


def import_captions(table: Path, images: Path, out: Path) -> CaptionImportSummary:
    """Copy captioned images to a dataset folder, and write derived ratings and test queries.

    About one image in five becomes a test image. Run the import again to add or remove captions, or to resume an
    interrupted import. The files `ratings_long.*` of the folder are never changed.

    Args:
        table: captions file in any known format.
        images: folder of the images.
        out: dataset folder.

    Raises:
        InputError: a file cannot be read, there are too few captions, or `out` contains other data.
    """
    previous = _read_previous_images(out)
    joined = join_captions(table, images, out)
    captions = joined.captions
    test_images = choose_test_images(set(captions["image_id"]))
    is_test = captions["image_id"].isin(test_images)
    splits = {"train": captions[~is_test], "test": captions[is_test]}
    pairs = _derive_ratings(table, splits["train"])
    files = {
        f"{IMAGE_FOLDERS[split]}/{image_id}": images / image_id
        for split, rows in splits.items()
        for image_id in sorted(rows["image_id"].unique())
    }
    ratings = _read_ratings(out)
    out.mkdir(parents=True, exist_ok=True)
    _write_state(out, previous | files.keys())
    copied = _copy_images(files, out)
    _write_csv(out / RATED_PAIRS_FILE, _RATED_PAIRS_HEADER, pairs.assign(scale_min=1, scale_max=4).to_numpy().tolist())
    queries = splits["test"].assign(query_id=number_captions(splits["test"]["image_id"]))
    header = ("query_id", "query_text", "image")
    _write_csv(out / TEST_QUERIES_FILE, header, queries[["query_id", "text", "image_id"]].to_numpy().tolist())
    columns = ["row", "image", "text", "reason"]
    _write_csv(out / SET_ASIDE_FILE, columns, joined.set_aside[columns].to_numpy().tolist())
    old = sorted(previous - files.keys())
    kept = [name for name in old if name.split("/", 1)[1] in set(ratings["image"])]
    removed = _remove_images(out, [name for name in old if name not in kept])
    _write_state(out, files.keys() | set(kept))
    return CaptionImportSummary(
        n_images={split: rows["image_id"].nunique() for split, rows in splits.items()},
        n_captions={split: len(rows) for split, rows in splits.items()},
        n_pairs=len(pairs),
        copied=copied,
        removed=removed,
        kept=len(kept),
        n_ratings=len(ratings),
        set_aside=dict(sorted(Counter(joined.set_aside["reason"]).items())),
    )


def _read_previous_images(out: Path) -> set[str]:
    """Return the images that an earlier import wrote to a folder, as paths relative to the folder.

    Raises:
        InputError: `out` is a file, or the folder contains data that `kadr import captions` did not write.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file. Expected the path of a folder. Choose another folder with --out.")
    try:
        return set(json.loads((out / STATE_FILE).read_text(encoding="utf-8"))["images"])
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{out / STATE_FILE}: the file is damaged ({error}). Choose another folder with --out."
        ) from error
    others = sorted(path.name for path in out.iterdir() if not path.name.startswith(".")) if out.is_dir() else []
    others = [name for name in others if not name.startswith(f"{RATINGS_STEM}.")]
    if others:
        raise InputError(
            f"{out} contains {', '.join(others[:5])}, which `kadr import captions` did not write. Expected a new "
            "folder, or the folder of an earlier import. Choose another folder with --out, or move these files away."
        )
    return set()


def _derive_ratings(table: Path, captions: pd.DataFrame) -> pd.DataFrame:
    """Derive the ratings of the training images.

    Raises:
        InputError: there are too few images or captions to derive ratings.
    """
    n_images = captions["image_id"].nunique()
    if n_images < MIN_TRAIN_IMAGES:
        raise InputError(
            f"{table}: {n_images} images with captions remain for training, after about one image in five became a "
            f"test image. Expected at least {MIN_TRAIN_IMAGES} training images, and better 100 or more. Write captions "
            "for more images."
        )
    if captions["text"].nunique() < 2:
        raise InputError(
            f"{table}: all captions are the same ({captions['text'].iloc[0]!r}). Expected a description of each image. "
            "Write other captions."
        )
    return derive_ratings(captions)


def _read_ratings(out: Path) -> pd.DataFrame:
    """Read the ratings that people gave, if the folder contains any. Return a table with the column image."""
    path = find_table(out, RATINGS_STEM)
    return read_rows(path, Columns(("image",))).rows if path.is_file() else pd.DataFrame({"image": []})


def _copy_images(files: Mapping[str, Path], out: Path) -> int:
    """Copy images atomically. Images with the same size and modification time are not copied again.

    Args:
        files: path of each image, by its path relative to `out`.
        out: dataset folder.

    Returns:
        Number of copied images.

    Raises:
        InputError: an image cannot be read.
    """
    copied = 0
    with progress("copy images", len(files)) as advance:
        for name, source in files.items():
            if not _is_same_file(source, out / name):
                with write_atomically(out / name) as partial:
                    try:
                        shutil.copy2(source, partial)
                    except OSError as error:
                        raise InputError(
                            f"{source}: the image cannot be copied ({error.strerror or error}). Run the same command "
                            "again to resume."
                        ) from error
                copied += 1
            advance(1)
    return copied


def _is_same_file(source: Path, target: Path) -> bool:
    if not target.is_file():
        return False
    left, right = source.stat(), target.stat()
    return (left.st_size, left.st_mtime_ns) == (right.st_size, right.st_mtime_ns)


def _remove_images(out: Path, names: Iterable[str]) -> int:
    """Delete copies of images, and return their number."""
    removed = 0
    for name in names:
        if (out / name).is_file():
            (out / name).unlink()
            removed += 1
    return removed


def _write_state(out: Path, images: Iterable[str]) -> None:
    """Write the list of imported images, which also identifies the folder as the result of an import."""
    with write_atomically(out / STATE_FILE) as partial:
        content = {"command": "kadr import captions", "images": sorted(images)}
        partial.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _write_csv(path: Path, header: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Write a CSV file atomically."""
    with write_atomically(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
