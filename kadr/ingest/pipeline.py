"""Read and validate a raw dataset folder, and return sorted tables, metrics and data docs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd
import pyarrow as pa

from kadr.errors import InputError
from kadr.ingest.corpus import Corpus, add_caption_texts, read_corpus
from kadr.ingest.formats.detection import detect_format, read_folder
from kadr.ingest.image_checks import ImageFile, check_images, list_images, missing_images
from kadr.ingest.leaks import find_equal_texts, leak_table
from kadr.ingest.near_duplicates import find_near_duplicates
from kadr.ingest.quarantine import check_image_limit, check_row_limit, quarantine_images
from kadr.ingest.queries import check_queries
from kadr.ingest.ratings import CheckedRatings, check_ratings
from kadr.ingest.raw_input import RawInput, RawQueries
from kadr.ingest.summary import summarise_input
from kadr.ingest.tables import join_ratings, make_tables
from kadr.ingest.text_tables import files_in_cp1251
from kadr.ingest.validation import SUITES, validate
from kadr.params import IngestParams


@dataclass(frozen=True)
class IngestResult:
    """Output of the `ingest` stage.

    Attributes:
        tables: the images, corpus, queries, captions, ratings, quarantine and leaks tables, by name. The rows of each
            table are sorted.
        metrics: content of metrics/ingest.json.
        data_docs: HTML page with the validation result of each table, by table name.
    """

    tables: dict[str, pa.Table]
    metrics: dict[str, object]
    data_docs: dict[str, str]


@dataclass(frozen=True)
class CheckedInput:
    """Validated content of a dataset folder.

    The raw rows are discarded, because 5 million raw rows occupy 1 GB of memory.
    """

    format: str
    source: str
    images: Sequence[ImageFile]
    corpus: Corpus
    queries: pd.DataFrame
    ratings: Sequence[CheckedRatings]
    quarantine: pd.DataFrame
    files_in_cp1251: list[str]


def ingest(params: IngestParams, suites: Path) -> IngestResult:
    """Read, validate and normalise a raw dataset folder.

    Args:
        params: `ingest` section of params.yaml.
        suites: folder that contains the Great Expectations suites.

    Raises:
        InputError: a file or folder is missing or cannot be read, there are no valid ratings, or a critical expectation
            fails.
        TooManyInvalidError: more rating rows or images are invalid than `params` allows.
        ParamsError: the format in `params` is unknown or cannot be imported.
    """
    checked = read_and_check(params)
    near_duplicates = find_near_duplicates(checked.images, checked.corpus.images, params.near_duplicate_bits)
    equal_texts = find_equal_texts(checked.queries, checked.corpus.captions)
    ratings = join_ratings(checked.ratings, checked.source)
    tables = make_tables(checked.images, checked.corpus, checked.queries, ratings, checked.quarantine)
    tables["leaks"] = leak_table(near_duplicates, equal_texts)
    validation = validate({name: tables[name].to_pandas() for name in SUITES}, suites)
    head = {"format": checked.format, "files_in_cp1251": checked.files_in_cp1251}
    counts = summarise_input(tables, checked.ratings, near_duplicates, equal_texts, validation.warnings)
    return IngestResult(tables, head | counts, validation.pages)


def read_and_check(params: IngestParams) -> CheckedInput:
    """Read the dataset folder and validate all images, texts and ratings.

    Raises:
        InputError: a file or folder is missing or cannot be read.
        TooManyInvalidError: more rating rows or images are invalid than `params` allows.
        ParamsError: the format in `params` is unknown or cannot be imported.
    """
    source = str(PurePosixPath(params.source))
    name = detect_format(Path(source), params.format)
    raw = read_folder(Path(source), name)
    if not any(len(file.rows) for file in raw.ratings):
        files = " and ".join(file.file for file in raw.ratings)
        raise InputError(f"{source}: no ratings found in {files}. Add the ratings.")
    images = read_images(source, raw, params.max_pixels)
    corpus = read_corpus(params, {image.image_id: image.split for image in images})
    if params.corpus is not None:
        raw = add_caption_texts(raw, params.corpus.captions, corpus.captions)
    queries, rejected_queries = read_queries(raw.queries, images)
    query_splits = dict(zip(queries["query_id"], queries["split"], strict=True))
    ratings = [check_ratings(file, image_status(images, "train"), query_splits) for file in raw.ratings]
    rejected_images = quarantine_images([*images, *corpus.images], source)
    check_limits(params, ratings, rejected_images, len(images) + len(corpus.images))
    quarantine = pd.concat(
        [*(file.quarantine for file in ratings), rejected_queries, corpus.quarantine, rejected_images]
    )
    cp1251_files = files_in_cp1251(Path(source), text_files(params, raw))
    return CheckedInput(name, source, images, corpus, queries, ratings, quarantine, cp1251_files)


def text_files(params: IngestParams, raw: RawInput) -> list[str]:
    """Return the names of all files with ratings, texts or captions."""
    captions = [params.corpus.captions] if params.corpus is not None else []
    return [*(file.file for file in (*raw.ratings, *raw.queries)), *captions]


def read_images(source: str, raw: RawInput, max_pixels: int) -> list[ImageFile]:
    """Read and check the train and test images.

    Returns:
        The checked images, and one entry with the status `missing` for each image that is mentioned in a table but has
        no file.

    Raises:
        InputError: an image folder is missing or empty, or both folders contain a file with the same name.
    """
    images = [image for split, folder in raw.folders.items() for image in list_images(source, folder, split)]
    split_by_image = {image.image_id: image.split for image in images}
    if len(split_by_image) < len(images):
        repeated = sorted(image.image_id for image in images if image.split != split_by_image[image.image_id])
        raise InputError(
            f"{source}: {' and '.join(raw.folders.values())} have {len(repeated):,} file names in common, such as "
            f"{', '.join(repeated[:3])}. Each image must be in only one folder. Remove these images from one folder."
        )
    missing = []
    for split, names in _referenced_images(raw).items():
        missing_names = sorted(names - split_by_image.keys() - {""})
        split_by_image |= dict.fromkeys(missing_names, split)
        missing += missing_images(source, raw.folders[split], split, missing_names)
    return [*check_images(images, max_pixels), *missing]


def _referenced_images(raw: RawInput) -> dict[str, set[str]]:
    """Return the names of all images that test_images.csv, the ratings or the test queries mention, by split."""
    referenced = {split: set(names) for split, names in raw.listed_images.items()}
    for file in raw.ratings:
        referenced.setdefault("train", set()).update(file.rows["image_id"].unique())
    for texts in raw.queries:
        if texts.split == "test":
            referenced.setdefault("test", set()).update(texts.rows["image_id"].unique())
    return referenced


def read_queries(files: Sequence[RawQueries], images: Sequence[ImageFile]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Validate the training texts and the test queries in all files.

    Args:
        files: content of the files with texts. Files with training texts precede files with test queries.
        images: checked train and test images.

    Returns:
        The valid texts as rows of the QUERIES table, and the rejected texts as rows of the QUARANTINE table.

    Raises:
        InputError: no training text is valid.
    """
    valid, rejected = [], []
    training_ids: set[str] = set()
    for file in files:
        rows, quarantine = check_queries(file, image_status(images, "test"), training_ids)
        training_ids |= set(rows["query_id"])
        valid.append(rows)
        rejected.append(quarantine)
    queries = pd.concat(valid)
    if not (queries["split"] == "train").any():
        raise InputError(
            "The texts of the rated queries are missing: no file contains any of them. Add train_dataset.csv (image, "
            "query_id, query_text), or add a query_text column to the ratings files, or add captions with the rated "
            "IDs to the file in ingest.corpus.captions."
        )
    return queries, pd.concat(rejected)


def image_status(images: Sequence[ImageFile], split: str) -> dict[str, str]:
    """Return the status of each image, as expected by `image_rules`.

    Images in another split have the status `image_in_train` or `image_in_test`.
    """
    return {image.image_id: image.status if image.split == split else f"image_in_{image.split}" for image in images}


def check_limits(
    params: IngestParams, ratings: Sequence[CheckedRatings], rejected_images: pd.DataFrame, n_images: int
) -> None:
    """Check that the shares of invalid images and invalid rating rows do not exceed the limits.

    Args:
        params: `ingest` section of params.yaml, which contains the limits.
        ratings: validated ratings files.
        rejected_images: invalid images, as rows of the QUARANTINE table.
        n_images: total number of valid and invalid images.

    Raises:
        TooManyInvalidError: a share exceeds its limit.
    """
    rejected_rows = pd.concat([file.quarantine for file in ratings])
    check_image_limit(rejected_images, n_images, params.max_bad_images)
    check_row_limit(rejected_rows, sum(file.n_rows for file in ratings), params.max_bad_rows)
