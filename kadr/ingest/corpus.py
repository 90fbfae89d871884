"""Read the corpus, which consists of images that have captions but no ratings."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import pandas as pd

from kadr.errors import InputError
from kadr.ingest.captions.caption_detection import read_captions
from kadr.ingest.captions.caption_reader import RawCaptions
from kadr.ingest.image_checks import ImageFile, check_images
from kadr.ingest.image_folders import ImageFolder, read_image_folder
from kadr.ingest.image_names import resolve_names
from kadr.ingest.nearest_names import describe_unmatched
from kadr.ingest.quarantine import OVERLAP_RULES, Rule, apply_rules, empty_quarantine, image_rules
from kadr.ingest.raw_input import RawInput, RawQueries
from kadr.ingest.vector_images import VectorImages
from kadr.io.schemas import CAPTIONS
from kadr.params import DecodingParams, IngestParams

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Corpus:
    """The images and captions of the corpus.

    Attributes:
        images: images of the corpus, including invalid images.
        captions: valid captions, as rows of the CAPTIONS table.
        quarantine: rejected captions, as rows of the QUARANTINE table.
        n_names: number of image names in the captions by kind of match, and by status if they have no file.
        passed_over: number of files and folders by kind or suffix that are passed over, by image folder.
    """

    images: Sequence[ImageFile]
    captions: pd.DataFrame
    quarantine: pd.DataFrame
    n_names: dict[str, int] = field(default_factory=dict)
    passed_over: dict[str, dict[str, int]] = field(default_factory=dict)


def read_corpus(
    params: IngestParams,
    image_splits: Mapping[str, str],
    decoding: DecodingParams,
    vector_images: VectorImages | None = None,
) -> Corpus:
    """Read and validate the corpus. Return an empty corpus if `ingest.corpus` is null.

    Args:
        params: `ingest` section of params.yaml.
        image_splits: split of each train and test image, by image_id. A corpus image with the same ID as a train or
            test image is rejected together with its captions.
        decoding: settings of the image decoder.
        vector_images: images that exist only as vectors. The image folder is then optional.

    Raises:
        InputError: a file or folder is missing or cannot be read, or no caption belongs to a valid image.
    """
    if params.corpus is None:
        return Corpus([], pd.DataFrame(columns=CAPTIONS.names, dtype="str"), empty_quarantine())
    path = Path(params.source) / params.corpus.captions
    if path.is_dir():
        raise InputError(
            f"ingest.corpus.captions: {path} is a folder. Expected a file with captions. Set ingest.corpus.captions to "
            "the path of one file in this folder."
        )
    if not path.is_file():
        raise InputError(
            f"The file {path} does not exist. It must contain the captions of the corpus. Add the file, or set "
            "ingest.corpus to null."
        )
    raw = read_captions(path)
    rows = raw.rows
    vector_images = vector_images or VectorImages()
    folder = read_image_folder(params.source, params.corpus.images, "corpus", optional=bool(vector_images.paths))
    rated = set(vector_images.used)
    rows, n_names, hint = _with_image_ids(rows, folder, vector_images)
    images = [_reject_overlap(image, image_splits) for image in check_images(folder.images, decoding)]
    images += folder.rejected
    rated_ids = rated | (vector_images.used.keys() & image_splits.keys())
    images += [image for image_id, image in vector_images.used.items() if image_id not in rated_ids]
    if overlap := [image.image_id for image in images if image.status in OVERLAP_RULES]:
        logger.warning(
            "%s: %s images have the name of a train or test image, such as %s, and are set aside with their captions. "
            "If these are different images, rename them, also in the captions.",
            *(folder.folder, f"{len(overlap):,}", overlap[0]),
        )
    image_status = {image_id: f"image_in_{image_splits[image_id]}" for image_id in rated_ids}
    image_status |= {image.image_id: image.status for image in images}
    captions, quarantine = check_captions(params.corpus.captions, replace(raw, rows=rows), image_status)
    if captions.empty:
        raise InputError(
            f"{path}: none of the {len(rows):,} captions belongs to a valid image in {params.corpus.images}. "
            f"{hint or 'Correct the caption IDs (`image#k`).'} Or set ingest.corpus to null."
        )
    return Corpus(images, captions, quarantine, n_names, {folder.folder: folder.count_passed_over()})


def _with_image_ids(
    rows: pd.DataFrame, folder: ImageFolder, vector_images: VectorImages
) -> tuple[pd.DataFrame, dict[str, int], str]:
    """Add the column image_id, with the ID of the image that each caption belongs to.

    Returns:
        The captions, the number of image names by kind of match, and a sentence about the names without a file.
    """
    if "image_id" not in rows.columns:
        rows = rows.assign(image_id=rows["caption_id"].str.rsplit("#", n=1).str[0])
    names = set(rows["image_id"]) - {""}
    matches = resolve_names(names, {image.image_id for image in folder.images}, PurePosixPath(folder.folder).name)
    matches = vector_images.resolve(names - matches.files.keys(), "corpus", matches)
    for sentence in matches.describe():
        logger.warning("%s: %s.", folder.folder, sentence)
    unmatched = names - matches.files.keys()
    hint = " ".join(describe_unmatched(unmatched, matches.ambiguous, folder).values())
    if hint:
        logger.warning("%s", hint)
    n_names = matches.count_kinds() | ({"missing": len(unmatched)} if unmatched else {})
    return rows.assign(image_id=rows["image_id"].map(lambda name: matches.files.get(name, name))), n_names, hint


def _reject_overlap(image: ImageFile, image_splits: Mapping[str, str]) -> ImageFile:
    """Set the status to `image_in_train` or `image_in_test` if a train or test image has the same ID."""
    if image.status != "ok" or image.image_id not in image_splits:
        return image
    return replace(image, status=f"image_in_{image_splits[image.image_id]}")


def check_captions(file: str, raw: RawCaptions, image_status: Mapping[str, str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Validate captions.

    Args:
        file: name of the captions file.
        raw: captions with the IDs of their images.
        image_status: status of each image by image_id. `image_rules` describes the values.

    Returns:
        The valid captions as rows of the CAPTIONS table, and the rejected captions as rows of the QUARANTINE table.
    """
    columns = [column for column in raw.rows.columns if column != "caption_id" or not raw.is_numbered]
    id_rule = Rule(
        "caption_id_invalid", "caption_id", lambda rows: ~rows["caption_id"].str.contains(r".#.", regex=True)
    )
    rules = (
        *([id_rule] if raw.image_from_id else []),
        Rule("text_empty", "text", lambda rows: rows["text"] == ""),
        *image_rules(image_status),
        Rule("duplicate_row", "text" if raw.is_numbered else "caption_id", lambda rows: rows.duplicated(columns)),
        Rule("caption_id_conflict", "caption_id", lambda rows: rows.duplicated("caption_id")),
    )
    return apply_rules(file, raw.rows, raw.column_names, rules)


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
