"""Update an index so that it matches the current content of its image folders, and publish the new version."""

import hashlib
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa

from kadr.collection.listing import list_image_files
from kadr.collection.scan_cache import ScanCache
from kadr.embed import EmbeddingCache, cache_root, embed_images, undecodable_images
from kadr.encoders import load_image_encoder
from kadr.encoders.allocator import keep_freed_memory
from kadr.errors import SchemaError, SearchError
from kadr.index import Index, build_index
from kadr.io.embeddings import Embeddings, Vectors
from kadr.io.image_decoding import MAX_PIXELS
from kadr.io.schemas import IMAGES, QUARANTINE, write_table
from kadr.io.versions import Versions
from kadr.model import RelevanceModel
from kadr.params import EmbedImagesParams, EmbedParams

logger = logging.getLogger(__name__)

SET_ASIDE = "set_aside.parquet"
"""File name of the table of images that could not be indexed, with the reasons (schema QUARANTINE)."""


@dataclass(frozen=True)
class IndexUpdate:
    """The result of `update_index`.

    Attributes:
        index: index after the update.
        changes: kind of change (unchanged, new, changed, moved or gone) -> number of images.
        set_aside: reason -> number of images that cannot be indexed for this reason.
        n_others: number of files without an image suffix.
        published: whether a new version was published. False if nothing has changed.
    """

    index: Index
    changes: Mapping[str, int]
    set_aside: Mapping[str, int]
    n_others: int
    published: bool


def update_index(
    addresses: Sequence[str],
    folder: Path,
    encoders: Sequence[str],
    embed_images_params: EmbedImagesParams,
    embed_params: EmbedParams,
    *,
    exact_max: int,
    max_pixels: int = MAX_PIXELS,
    texts: Embeddings | None = None,
    model: RelevanceModel | None = None,
) -> IndexUpdate:
    """Update an index so that it contains exactly the images at the given addresses.

    Scans and vectors are saved while they are computed, so an interrupted update can resume. The old version stays in
    use until the new version is complete. If the old version cannot be read, the index is rebuilt.

    Args:
        addresses: folders, files or fsspec addresses. If empty, the addresses of the last update are used.
        folder: path of the link to the current version of the index.
        encoders: names of the image encoders. The first encoder is the search encoder.
        embed_images_params: settings of all image encoders, precision and batch size.
        embed_params: settings of the embedding cache.
        exact_max: maximum number of images for exact search.
        max_pixels: maximum number of pixels per image.
        texts: text vectors used to measure recall. Vectors from an encoder with other weights than the search
            encoder are ignored.
        model: relevance model. The prepared features of this model are stored in the index.

    Raises:
        InputError: an address cannot be read or contains no images, or an image changes during the update.
        SearchError: no image is valid, another process is updating the index, or the index cannot be written.
    """
    versions = Versions(folder)
    with _explain_write_errors(folder), versions.lock():
        old = _load_old(folder)
        addresses = list(addresses) or _last_addresses(old, folder)
        files, n_others = list_image_files(addresses)
        cache = ScanCache(versions.home, old, max_pixels)
        scans = cache.scan(files)
        scans = scans.assign(image_id=[make_image_id(path) for path in scans["path"]])
        vectors, undecodable = _embed(scans, encoders, embed_images_params, embed_params)
        scans["status"] = [undecodable.get(id_, status) for id_, status in scans[["image_id", "status"]].to_numpy()]
        valid = scans[scans["status"] == "ok"]
        if valid.empty:
            raise SearchError(
                f"{folder}: none of {len(scans)} images can be indexed ({_count_statuses(scans['status'])}). Replace "
                "the files, or use other folders."
            )
        details = {"addresses": addresses}
        if old is not None and _is_same(old, valid, vectors, details, exact_max):
            index = old
        else:
            images = pa.Table.from_pandas(scans, preserve_index=False)
            queries = _comparable_vectors(texts, vectors[encoders[0]])
            index = build_index(images, vectors, encoders[0], exact_max, texts=queries, details=details)
        if model:
            index = index.prepare(model.prepare, model.key)
        if index is not old:
            _publish(versions, index, scans)
        cache.clear()
        set_aside = Counter(scans.loc[scans["status"] != "ok", "status"])
        return IndexUpdate(index, _count_changes(old, valid), set_aside, n_others, index is not old)


def make_image_id(path: str) -> str:
    """Return the ID of the image at a path or URI: 20 hexadecimal digits of the SHA-256 of the path."""
    return hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()[:20]


def _load_old(folder: Path) -> Index | None:
    """Return the current index, or None if it does not exist or cannot be read."""
    if not folder.exists():
        return None
    try:
        return Index.load(folder, verify_all=True)
    except (SchemaError, SearchError) as error:
        logger.warning("The index cannot be read and will be rebuilt: %s", error)
        return None


def _last_addresses(old: Index | None, folder: Path) -> list[str]:
    if old is None:
        raise SearchError(f"{folder}: there is no index to update. Name the folders to index with `kadr index FOLDER`.")
    addresses = old.details.get("addresses")
    return [str(address) for address in addresses] if isinstance(addresses, list) else []


def _embed(
    scans: pd.DataFrame, encoders: Sequence[str], params: EmbedImagesParams, embed_params: EmbedParams
) -> tuple[dict[str, Embeddings], dict[str, str]]:
    """Embed the valid images. Return encoder name -> embeddings, and image ID -> status of undecodable images."""
    keep_freed_memory()
    columns = pa.Table.from_pandas(scans.assign(split=""), preserve_index=False)
    images = columns.select(IMAGES.names).cast(IMAGES)
    vectors: dict[str, Embeddings] = {}
    undecodable: dict[str, str] = {}
    for name, encoder_params in params.encoders.items():  # in this order, because the features depend on it
        if name not in encoders:
            continue
        encoder = load_image_encoder(encoder_params, params.precision)
        cache = EmbeddingCache(cache_root(), encoder.identity, encoder.dim, embed_params.vectors)
        vectors[name] = embed_images(encoder, images, cache, params.batch_size)
        undecodable |= undecodable_images(images, vectors[name], cache)
    return vectors, undecodable


def _comparable_vectors(texts: Embeddings | None, images: Embeddings) -> Vectors | None:
    """Return the text vectors, or None if the text encoder and the image encoder have different weights."""
    if texts is None or texts.metadata.get("weights_sha256") != images.metadata.get("weights_sha256"):
        return None
    return texts.vectors


def _publish(versions: Versions, index: Index, scans: pd.DataFrame) -> None:
    invalid = scans[scans["status"] != "ok"]
    set_aside = pa.table({"file": invalid["path"], "rule": invalid["status"], "kind": ["image"] * len(invalid)})
    for field in QUARANTINE:
        if field.name not in set_aside.column_names:
            set_aside = set_aside.append_column(field, pa.nulls(len(invalid), field.type))
    with versions.publish() as folder:
        index.write(folder)
        write_table(set_aside, folder / SET_ASIDE, QUARANTINE)


@contextmanager
def _explain_write_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SearchError(
            f"{folder}: the new version cannot be written ({error}). The old version stays in use. Free up disk "
            "space, or choose another folder with --out, and run the command again. Computed vectors are kept."
        ) from error


def _is_same(
    old: Index, valid: pd.DataFrame, vectors: Mapping[str, Embeddings], details: Mapping[str, object], exact_max: int
) -> bool:
    old_images = dict(zip(old.table["image_id"].to_pylist(), old.table["sha256"].to_pylist(), strict=True))
    old_encoders = [(name, table.metadata) for name, table in old.vectors.items()]
    return (
        old_images == dict(zip(valid["image_id"], valid["sha256"], strict=True))
        and old_encoders == [(name, table.metadata) for name, table in vectors.items()]
        and old.details == details
        and (old.vector_index.nprobe > 0) == (len(valid) > exact_max)
    )


def _count_changes(old: Index | None, valid: pd.DataFrame) -> dict[str, int]:
    """Compare the old index with the valid images. Count unchanged, new, changed, moved and gone images."""
    new = dict(zip(valid["path"], valid["sha256"], strict=True))
    paths, digests = ([], []) if old is None else (old.table[name].to_pylist() for name in ("path", "sha256"))
    previous = dict(zip(paths, digests, strict=True))
    gone = Counter(previous[path] for path in previous.keys() - new.keys())
    added = Counter(new[path] for path in new.keys() - previous.keys())
    moved = (gone & added).total()
    unchanged = sum(previous[path] == new[path] for path in previous.keys() & new.keys())
    return {
        "unchanged": unchanged,
        "new": added.total() - moved,
        "changed": len(previous.keys() & new.keys()) - unchanged,
        "moved": moved,
        "gone": gone.total() - moved,
    }


def _count_statuses(statuses: "pd.Series[str]") -> str:
    return ", ".join(f"{n} {status}" for status, n in sorted(Counter(statuses).items()))
