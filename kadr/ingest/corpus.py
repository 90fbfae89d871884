"""Read the corpus, which consists of images that have captions but no ratings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from kadr.errors import InputError
from kadr.ingest.image_checks import ImageFile, check_images, list_images
from kadr.ingest.quarantine import Rule, apply_rules, empty_quarantine, image_rules
from kadr.ingest.raw_input import RawInput, RawQueries
from kadr.ingest.text_tables import normalise_texts, read_rows
from kadr.io.schemas import CAPTIONS
from kadr.params import IngestParams

COLUMNS = ("caption_id", "text")


@dataclass(frozen=True)
class Corpus:
    """The images and captions of the corpus.

    Attributes:
        images: images of the corpus, including invalid images.
        captions: valid captions, as rows of the CAPTIONS table.
        quarantine: rejected captions, as rows of the QUARANTINE table.
    """

    images: Sequence[ImageFile]
    captions: pd.DataFrame
    quarantine: pd.DataFrame


def read_corpus(params: IngestParams, image_splits: Mapping[str, str]) -> Corpus:
    """Read and validate the corpus. Return an empty corpus if `ingest.corpus` is null.

    Args:
        params: `ingest` section of params.yaml.
        image_splits: split of each train and test image, by image_id. A corpus image with the same ID as a train or
            test image is rejected together with its captions.

    Raises:
        InputError: a file or folder is missing or cannot be read, or no caption belongs to a valid image.
    """
    if params.corpus is None:
        return Corpus([], pd.DataFrame(columns=CAPTIONS.names, dtype="str"), empty_quarantine())
    path = Path(params.source) / params.corpus.captions
    if not path.exists():
        raise InputError(
            f"The file {path} does not exist. It must contain rows of the form `image#k<TAB>caption`. Add the file, or "
            "set ingest.corpus to null."
        )
    rows = read_rows(path, COLUMNS, lambda _n: COLUMNS)[list(COLUMNS)]
    images = check_images(list_images(params.source, params.corpus.images, "corpus"), params.max_pixels)
    images = [_reject_overlap(image, image_splits) for image in images]
    image_status = {image.image_id: image.status for image in images}
    captions, quarantine = check_captions(params.corpus.captions, rows, image_status)
    if captions.empty:
        raise InputError(
            f"{path}: none of the {len(rows):,} captions belongs to a valid image in {params.corpus.images}. Correct "
            "the caption IDs (`image#k`), or set ingest.corpus to null."
        )
    return Corpus(images, captions, quarantine)


def _reject_overlap(image: ImageFile, image_splits: Mapping[str, str]) -> ImageFile:
    """Set the status to `image_in_train` or `image_in_test` if a train or test image has the same ID."""
    if image.status != "ok" or image.image_id not in image_splits:
        return image
    return replace(image, status=f"image_in_{image_splits[image.image_id]}")


def check_captions(file: str, rows: pd.DataFrame, image_status: Mapping[str, str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Validate captions.

    Args:
        file: name of the captions file.
        rows: table with the columns caption_id (`image#k`) and text. The index `row` contains the row numbers in the
            file.
        image_status: status of each image by image_id. `image_rules` describes the values.

    Returns:
        The valid captions as rows of the CAPTIONS table, and the rejected captions as rows of the QUARANTINE table.
    """
    image_ids = rows["caption_id"].str.rsplit("#", n=1).str[0]
    rows = rows.assign(image_id=image_ids, text=normalise_texts(rows["text"]))
    rules = (
        Rule("caption_id_invalid", "caption_id", lambda rows: ~rows["caption_id"].str.contains(r".#.", regex=True)),
        Rule("text_empty", "text", lambda rows: rows["text"] == ""),
        *image_rules(image_status),
        Rule("duplicate_row", "caption_id", lambda rows: rows.duplicated()),
        Rule("caption_id_conflict", "caption_id", lambda rows: rows.duplicated("caption_id")),
    )
    return apply_rules(file, rows, {"image_id": "caption_id"}, rules)


def add_caption_texts(raw: RawInput, file: str, captions: pd.DataFrame) -> RawInput:
    """Add each rated caption as a training text, unless another file contains a text with the same ID.

    Args:
        raw: raw input without the captions.
        file: name of the captions file.
        captions: valid captions, as rows of the CAPTIONS table.

    Returns:
        The raw input, including the added training texts.
    """
    rated = pd.concat([ratings.rows["query_id"] for ratings in raw.ratings]).unique()
    known = {query_id for queries in raw.queries for query_id in queries.rows["query_id"]}
    rated_captions = captions[captions["caption_id"].isin(set(rated) - known)]
    if rated_captions.empty:
        return raw
    rows = rated_captions.rename(columns={"caption_id": "query_id"})[["query_id", "text", "image_id"]]
    column_names = {"query_id": "caption_id", "text": "text", "image_id": "caption_id"}
    return raw.add_training_texts(RawQueries(file, rows, column_names, "train"))
