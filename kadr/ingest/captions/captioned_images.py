"""Join captions to image files, and set aside captions that cannot be used."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from kadr.errors import InputError
from kadr.ingest.captions.caption_detection import read_captions
from kadr.ingest.image_folders import ImageFolder, read_image_folder
from kadr.ingest.image_names import resolve_names
from kadr.ingest.nearest_names import describe_unmatched
from kadr.io.image_formats import PREFIX_LENGTH, is_image

logger = logging.getLogger(__name__)

_N_EXAMPLES = 3


@dataclass(frozen=True)
class CaptionedImages:
    """Captions whose images exist.

    Attributes:
        captions: table with the columns image_id (path relative to the image folder) and text, as in the file.
        set_aside: table with the columns row, image, text and reason.
    """

    captions: pd.DataFrame
    set_aside: pd.DataFrame


def join_captions(table: Path, images: Path, out: Path) -> CaptionedImages:
    """Read a captions file and find the image of each caption.

    Args:
        table: captions file in any known format.
        images: folder of the images, which are also searched in its subfolders.
        out: folder of the results. If it is inside `images`, the copies of images in it are not used.

    Raises:
        InputError: the file or folder cannot be read, or no caption has an image.
    """
    rows = read_captions(table).rows[["image_id", "text"]]
    if not images.is_dir():
        raise InputError(
            f"{images}: the image folder does not exist. It must contain the images that {table.name} names. Correct "
            "--images."
        )
    root = images.resolve()
    folder = _without_copies(read_image_folder(str(root.parent), root.name, "captioned"), out.resolve())
    matches = resolve_names(set(rows["image_id"]), {image.image_id for image in folder.images}, root.name)
    for sentence in matches.describe():
        logger.info("%s: %s.", table.name, sentence)
    names = rows["image_id"]
    image_ids = names.map(matches.files)
    unmatched = set(names[image_ids.isna()]) - {""}
    problems = " ".join(describe_unmatched(unmatched, matches.ambiguous, folder).values())
    if image_ids.isna().all():
        raise InputError(_no_images_message(table, images, names, folder))
    if problems:
        logger.warning("%s: %s", table.name, problems)
    unusable = _find_unusable(root, set(image_ids.dropna()))
    reason = image_ids.map(unusable)
    reason = reason.mask(image_ids.isna(), "image_missing").mask(
        names.isin(matches.ambiguous.keys()), "image_ambiguous"
    )
    reason = reason.mask(names == "", "image_empty").mask(rows["text"] == "", "text_empty")
    repeated = rows.assign(image_id=image_ids)[reason.isna()].duplicated()
    reason = reason.mask(repeated.reindex(rows.index, fill_value=False), "duplicate_row")
    valid = rows.assign(image_id=image_ids)[reason.isna()]
    rejected = rows[reason.notna()].rename(columns={"image_id": "image"}).assign(reason=reason.dropna())
    return CaptionedImages(valid, rejected.reset_index(names="row"))


def _without_copies(folder: ImageFolder, out: Path) -> ImageFolder:
    """Leave out the images that an earlier import copied to a folder inside the image folder."""
    return replace(folder, images=[image for image in folder.images if not Path(image.path).is_relative_to(out)])


def _find_unusable(folder: Path, image_ids: set[str]) -> dict[str, str]:
    """Return the reason for each image file that cannot be read or is not an image."""
    reasons = {}
    for image_id in sorted(image_ids):
        try:
            with (folder / image_id).open("rb") as file:
                if not is_image(file.read(PREFIX_LENGTH)):
                    reasons[image_id] = "not_an_image"
        except OSError:
            reasons[image_id] = "unreadable"
    return reasons


def _no_images_message(table: Path, images: Path, names: "pd.Series[str]", folder: ImageFolder) -> str:
    examples = ", ".join(repr(name) for name in names.unique()[:_N_EXAMPLES])
    files = ", ".join(image.image_id for image in folder.images[:_N_EXAMPLES])
    return (
        f"{table}: none of the {names.nunique():,} images, such as {examples}, is in the folder {images}, which "
        f"contains {len(folder.images):,} images, such as {files}. Choose the folder of the images with --images, or "
        "correct the names in the table."
    )
