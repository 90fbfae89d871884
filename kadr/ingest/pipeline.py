"""Read and validate a raw dataset folder, and return sorted tables, metrics and validation results."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd
import pyarrow as pa

from kadr.errors import InputError
from kadr.ingest.corpus import Corpus, add_caption_texts, read_corpus
from kadr.ingest.dataset_images import DatasetImages, read_images
from kadr.ingest.formats.detection import detect_format, read_folder
from kadr.ingest.image_checks import ImageFile
from kadr.ingest.leaks import find_equal_texts, leak_table
from kadr.ingest.near_duplicates import find_near_duplicates
from kadr.ingest.quarantine import check_image_limit, check_row_limit, log_rejected_rows, quarantine_images
from kadr.ingest.queries import check_queries
from kadr.ingest.ratings import CheckedRatings, check_ratings
from kadr.ingest.raw_input import RawInput, RawQueries
from kadr.ingest.rejection import RejectedInputError
from kadr.ingest.source_scales import ChosenScale, choose_scales
from kadr.ingest.summary import summarise_input
from kadr.ingest.table_files import declare_encoding, text_file_encodings
from kadr.ingest.tables import join_ratings, make_tables, sort_table
from kadr.ingest.validation import NOT_CRITICAL, SUITES, Validation, validate
from kadr.ingest.vector_images import VectorImages
from kadr.io.bounded_decoding import prepare_workers
from kadr.io.image_decoding import DEFAULT_LIMITS
from kadr.io.schemas import QUARANTINE
from kadr.params import DecodingParams, IngestParams
from kadr.params.stages import AUTO_ENCODING

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class IngestResult:
    """Output of the `ingest` stage.

    Attributes:
        tables: the images, corpus, queries, captions, ratings, quarantine and leaks tables, by name. The rows of each
            table are sorted.
        metrics: content of metrics/ingest.json.
        validation: validation results of the tables.
    """

    tables: dict[str, pa.Table]
    metrics: dict[str, object]
    validation: Validation


@dataclass(frozen=True)
class CheckedInput:
    """Validated content of a dataset folder.

    The raw rows are discarded, because 5 million raw rows occupy 1 GB of memory.
    """

    format: str
    source: str
    images: DatasetImages
    corpus: Corpus
    queries: pd.DataFrame
    scales: dict[str, ChosenScale]
    ratings: Sequence[CheckedRatings]
    quarantine: pd.DataFrame
    encodings: dict[str, str]


def ingest(params: IngestParams, suites: Path, decoding: DecodingParams = DEFAULT_LIMITS) -> IngestResult:
    """Read, validate and normalise a raw dataset folder.

    Args:
        params: `ingest` section of params.yaml.
        suites: folder that contains the Great Expectations suites.
        decoding: settings of the image decoder.

    Raises:
        InputError: a file or folder is missing or cannot be read.
        RejectedInputError: more rating rows or images are invalid than `params` allows, there are no valid ratings, or
            a critical expectation fails.
        ParamsError: the format in `params` is unknown or cannot be imported.
    """
    with declare_encoding(None if params.encoding == AUTO_ENCODING else params.encoding):
        checked = read_and_check(params, decoding)
    quarantine = sort_table(checked.quarantine, QUARANTINE, "kind", "file", "row", "column")
    try:
        check_limits(params, checked)
        ratings = join_ratings(checked.ratings, checked.source)
    except InputError as error:
        raise RejectedInputError(str(error), quarantine, Validation()) from error
    for sentence in sorted(set(checked.images.hints.values())):
        logger.warning("%s", sentence)
    near_duplicates = find_near_duplicates(checked.images.images, checked.corpus.images, params.near_duplicate_bits)
    equal_texts = find_equal_texts(checked.queries, checked.corpus.captions)
    tables = make_tables(checked.images.images, checked.corpus, checked.queries, ratings)
    tables |= {"quarantine": quarantine, "leaks": leak_table(near_duplicates, equal_texts)}
    validation = validate({name: tables[name].to_pandas() for name in SUITES}, suites)
    check_critical_expectations(validation, suites, quarantine)
    scales = {source: choice.to_metrics() for source, choice in checked.scales.items()}
    head = {"format": checked.format, "encodings": checked.encodings, "rating_scales": scales}
    names = {
        "image_names": checked.images.n_names,
        "caption_image_names": checked.corpus.n_names,
        "passed_over": checked.images.passed_over | checked.corpus.passed_over,
    }
    counts = summarise_input(tables, checked.ratings, near_duplicates, equal_texts, validation.failed(*NOT_CRITICAL))
    return IngestResult(tables, head | names | counts, validation)


def read_and_check(params: IngestParams, decoding: DecodingParams) -> CheckedInput:
    """Read the dataset folder and validate all images, texts and ratings.

    Raises:
        InputError: a file or folder is missing or cannot be read.
        ParamsError: the format in `params` is unknown or cannot be imported.
    """
    source = str(PurePosixPath(params.source))
    name = detect_format(Path(source), params.format)
    prepare_workers()
    raw = read_folder(Path(source), name)
    if not any(len(file.rows) for file in raw.ratings):
        files = " and ".join(file.file for file in raw.ratings)
        raise InputError(f"{source}: no ratings found in {files}. Add the ratings.")
    scales = choose_scales(raw.ratings, params.rating_scale)
    vector_images = VectorImages.read(params.vectors)
    dataset_images = read_images(source, raw, decoding, vector_images)
    raw, images = dataset_images.raw, dataset_images.images
    corpus = read_corpus(params, {image.image_id: image.split for image in images}, decoding, vector_images)
    images += vector_images.add_others([*images, *corpus.images], "test")
    if params.corpus is not None:
        raw = add_caption_texts(raw, params.corpus.captions, corpus.captions)
    queries, rejected_queries = read_queries(raw.queries, images)
    query_splits = dict(zip(queries["query_id"], queries["split"], strict=True))
    ratings = [check_ratings(file, image_status(images, "train"), query_splits, scales) for file in raw.ratings]
    rejected_images = quarantine_images([*images, *corpus.images], source)
    quarantine = pd.concat(
        [*(file.quarantine for file in ratings), rejected_queries, corpus.quarantine, rejected_images]
    )
    encodings = text_file_encodings(Path(source), text_files(params, raw))
    return CheckedInput(name, source, dataset_images, corpus, queries, scales, ratings, quarantine, encodings)


def text_files(params: IngestParams, raw: RawInput) -> list[str]:
    """Return the names of all files with ratings, texts or captions."""
    captions = [params.corpus.captions] if params.corpus is not None else []
    return [*(file.file for file in (*raw.ratings, *raw.queries)), *captions]


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
    if not any((rows["split"] == "train").any() for rows in valid):
        raise InputError(
            "The texts of the rated queries are missing: no file contains any of them. Add train_dataset.csv (image, "
            "query_id, query_text), or add a query_text column to the ratings files, or add captions with the rated "
            "IDs to the file in ingest.corpus.captions."
        )
    return pd.concat(valid), pd.concat(rejected)


def image_status(images: Sequence[ImageFile], split: str) -> dict[str, str]:
    """Return the status of each image, as expected by `image_rules`.

    Images in another split have the status `image_in_train` or `image_in_test`.
    """
    return {image.image_id: image.status if image.split == split else f"image_in_{image.split}" for image in images}


def check_limits(params: IngestParams, checked: CheckedInput) -> None:
    """Check that the shares of invalid images and invalid rating rows do not exceed the limits in `params`.

    Raises:
        TooManyInvalidError: a share exceeds its limit.
    """
    hints = checked.images.hints
    rejected_images = checked.quarantine[checked.quarantine["kind"] == "image"]
    n_images = len(checked.images.images) + len(checked.corpus.images)
    check_image_limit(rejected_images, n_images, params.max_bad_images, hints)
    rejected_rows = pd.concat([file.quarantine for file in checked.ratings])
    n_rows = sum(file.n_rows for file in checked.ratings)
    log_rejected_rows(rejected_rows, n_rows)
    check_row_limit(rejected_rows, n_rows, params.max_bad_rows, hints)


def check_critical_expectations(validation: Validation, suites: Path, quarantine: pa.Table) -> None:
    """Check that no critical expectation fails.

    Args:
        validation: validation results of the tables.
        suites: folder of the suites, for the error message.
        quarantine: rejected rows and images, for the error.

    Raises:
        RejectedInputError: a critical expectation fails.
    """
    if failed := validation.failed("critical"):
        failures = "".join(f"\n  {result.describe()}" for result in failed)
        message = (
            f"The input does not meet these critical expectations in {suites}:{failures}\n"
            "Correct the input. If an expectation is wrong, correct the expectation."
        )
        raise RejectedInputError(message, quarantine, validation)
