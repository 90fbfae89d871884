"""Read the train and test images, and find the image that each name in the tables of the dataset refers to."""

import filecmp
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from kadr.errors import InputError
from kadr.ingest.image_checks import ImageFile, check_images, unchecked_images
from kadr.ingest.image_folders import ImageFolder, read_image_folder
from kadr.ingest.image_names import KINDS, NameMatches, resolve_names
from kadr.ingest.nearest_names import describe_unmatched
from kadr.ingest.raw_input import RawInput
from kadr.ingest.vector_images import VectorImages
from kadr.params import DecodingParams

logger = logging.getLogger(__name__)

AMBIGUOUS = "name_ambiguous"
"""Status of an image name in a table that fits several files."""

_ROW_RULES = {"missing": "image_missing", AMBIGUOUS: "image_ambiguous"}
"""Rule for the rows of a table that contain an image with a status."""


@dataclass(frozen=True)
class DatasetImages:
    """The train and test images of a dataset, and its tables with the IDs of these images.

    Attributes:
        images: checked images. Each name in a table that has no file is an additional entry with the status `missing`,
            `name_ambiguous` or `not_an_image`.
        raw: raw input in which the names of images are replaced by their image IDs. Other names are unchanged.
        n_names: number of image names in the tables by kind of match, and by status if they have no file.
        passed_over: number of files and folders by kind or suffix that are passed over, by image folder.
        hints: sentences with the fix, by status of images and by rule for rows.
    """

    images: list[ImageFile]
    raw: RawInput
    n_names: dict[str, int]
    passed_over: dict[str, dict[str, int]]
    hints: dict[str, str]


def read_images(
    source: str, raw: RawInput, decoding: DecodingParams, vector_images: VectorImages | None = None
) -> DatasetImages:
    """Read and check the train and test images, and resolve the image names in all tables.

    Args:
        source: path of the dataset folder.
        raw: raw input with the names of images as in the tables.
        decoding: settings of the image decoder.
        vector_images: images that exist only as vectors. The image folders are then optional.

    Raises:
        InputError: an image folder is missing or contains no images, or both folders contain the same image with the
            same name.
    """
    vector_images = vector_images or VectorImages()
    optional = bool(vector_images.paths)
    folders = {split: read_image_folder(source, name, split, optional=optional) for split, name in raw.folders.items()}
    ids = make_image_ids(folders)
    counts: Counter[str] = Counter()
    resolved: dict[str, dict[str, str]] = {}
    missing: dict[str, ImageFile] = {}
    hints: dict[str, str] = {}
    for split, names in _referenced_images(raw).items():
        matches = _resolve(names, split, folders, ids)
        matches = vector_images.resolve(names - matches.files.keys() - {""}, split, matches)
        resolved[split] = matches.files
        for sentence in matches.describe():
            logger.warning("%s: %s.", folders[split].folder, sentence)
        unmatched = names - matches.files.keys() - {""}
        entries = _unmatched_images(source, folders[split], unmatched, matches)
        missing |= {entry.image_id: entry for entry in entries if entry.image_id not in missing}
        counts += Counter(matches.count_kinds()) + Counter(entry.status for entry in entries)
        for status, sentence in describe_unmatched(unmatched, matches.ambiguous, folders[split]).items():
            hints[status] = " ".join(filter(None, (hints.get(status), sentence)))
    listed = [replace(image, image_id=ids[image.path]) for folder in folders.values() for image in folder.images]
    rejected = [image for folder in folders.values() for image in folder.rejected]
    return DatasetImages(
        images=[*check_images(listed, decoding), *rejected, *vector_images.used.values(), *missing.values()],
        raw=_replace_names(raw, resolved),
        n_names={kind: counts[kind] for kind in (*KINDS, "missing", AMBIGUOUS, "not_an_image") if counts[kind]},
        passed_over={folder.folder: folder.count_passed_over() for folder in folders.values()},
        hints=hints | {_ROW_RULES[status]: hint for status, hint in hints.items()},
    )


def make_image_ids(folders: Mapping[str, ImageFolder]) -> dict[str, str]:
    """Return the image ID of each file, by path.

    The ID is the path relative to the image folder. If an earlier folder contains another image with the same path, the
    ID starts with the name of the folder, e.g. `test_images/000.jpg`.

    Raises:
        InputError: two folders contain the same image with the same name.
    """
    paths_by_id: dict[str, str] = {}
    for folder in folders.values():
        common = [image for image in folder.images if image.image_id in paths_by_id]
        equal = [image for image in common if _are_equal(image.path, paths_by_id[image.image_id])]
        names = " and ".join(folder.folder for folder in folders.values())
        if equal:
            raise InputError(
                f"{names} contain {len(equal):,} identical images with the same name, such as "
                f"{', '.join(image.image_id for image in equal[:3])}. Each image must be in only one folder. Remove "
                "these images from one folder."
            )
        if common:
            logger.warning(
                "%s contain %s different images with the same name, such as %s. The IDs of these images in %s start "
                "with %s/. To avoid this, rename the images, also in the tables.",
                *(names, f"{len(common):,}", common[0].image_id, folder.folder, folder.folder),
            )
        taken = {image.image_id for image in common}
        for image in folder.images:
            image_id = f"{folder.folder}/{image.image_id}" if image.image_id in taken else image.image_id
            if image_id in paths_by_id:
                raise InputError(
                    f"{image.path} and {paths_by_id[image_id]} have the same ID {image_id}. IDs must be unique. Rename "
                    "one of the images."
                )
            paths_by_id[image_id] = image.path
    return {path: image_id for image_id, path in paths_by_id.items()}


def _are_equal(left: str, right: str) -> bool:
    """Return whether two files have the same content. A file that cannot be read differs from each other file."""
    try:
        return filecmp.cmp(left, right, shallow=False)
    except OSError:
        return False


def _referenced_images(raw: RawInput) -> dict[str, set[str]]:
    """Return the names of all images that test_images.csv, the ratings or the test queries mention, by split."""
    referenced: dict[str, set[str]] = {split: set() for split in raw.folders}
    for file in raw.ratings:
        referenced["train"].update(file.rows["image_id"].unique())
    for texts in raw.queries:
        if texts.split == "test":
            referenced["test"].update(texts.rows["image_id"].unique())
    for split, names in raw.listed_images.items():
        referenced[split].update(names)
    return referenced


def _resolve(names: set[str], split: str, folders: Mapping[str, ImageFolder], ids: Mapping[str, str]) -> NameMatches:
    """Return the image ID of each name. Images in other splits are used only if no image in `split` fits.

    Args:
        names: image names in tables of one split.
        split: split to which the tables belong.
        folders: content of the image folder of each split.
        ids: image ID of each file, by path.
    """
    order = [folders[split], *(folder for other, folder in folders.items() if other != split)]
    paths = [{image.image_id: ids[image.path] for image in folder.images} for folder in order]
    result = NameMatches()
    for files in reversed(paths):
        exact = names & files.keys()
        result.files.update({name: files[name] for name in exact})
        result.kinds.update(dict.fromkeys(exact, "exact"))
    for folder, files in zip(order, paths, strict=True):
        others = [other.folder for other in order if other is not folder]
        remaining = names - result.files.keys() - result.ambiguous.keys()
        # the names that equal a file take part, because other names can contradict them
        matches = resolve_names(remaining | (names & files.keys()), files, folder.folder, others)
        result.files.update({name: files[file] for name, file in matches.files.items() if name in remaining})
        result.kinds.update({name: kind for name, kind in matches.kinds.items() if name in remaining})
        result.ambiguous.update(matches.ambiguous)
    return result


def _unmatched_images(source: str, folder: ImageFolder, names: set[str], matches: NameMatches) -> Sequence[ImageFile]:
    """Return an entry with a status for each name in a table that has no image file."""
    others = names & set(folder.other_files)
    ambiguous = names & matches.ambiguous.keys()
    return [
        *unchecked_images(source, folder.folder, folder.split, sorted(names - others - ambiguous)),
        *unchecked_images(source, folder.folder, folder.split, sorted(ambiguous), AMBIGUOUS),
        *unchecked_images(source, folder.folder, folder.split, sorted(others), "not_an_image"),
    ]


def _replace_names(raw: RawInput, resolved: Mapping[str, Mapping[str, str]]) -> RawInput:
    """Replace the names of images by their image IDs. Training texts can name images without ratings."""
    return replace(
        raw,
        ratings=tuple(replace(file, rows=_with_ids(file.rows, resolved["train"])) for file in raw.ratings),
        queries=tuple(replace(file, rows=_with_ids(file.rows, resolved[file.split])) for file in raw.queries),
    )


def _with_ids(rows: pd.DataFrame, image_ids: Mapping[str, str]) -> pd.DataFrame:
    """Replace the values in the column image_id. Rows without a name to replace are returned unchanged."""
    changed = {name: image_ids.get(name, name) for name in rows["image_id"].unique()}
    if all(name == image_id for name, image_id in changed.items()):
        return rows
    return rows.assign(image_id=rows["image_id"].map(changed).astype("str"))
