"""Update an index so that it matches the current content of its image folders, and publish the new version."""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd
import pyarrow as pa

from kadr.collection.batch_sizes import BatchSizes
from kadr.collection.capture_time import add_path_times
from kadr.collection.current_index import load_current_index
from kadr.collection.image_text import add_image_texts, check_ocr
from kadr.collection.interim_index import EmbeddedScans, InterimIndex
from kadr.collection.known_images import KnownImages
from kadr.collection.listing import Listing, list_images
from kadr.collection.passed_over import PassedOver
from kadr.collection.publishing import publish_index
from kadr.collection.scan import SCAN_MODULE
from kadr.collection.scan_cache import ScanCache
from kadr.collection.set_aside import set_aside_table, write_set_aside
from kadr.collection.vectors import EmbedImages, ReusingEmbedder, ScanEmbedder, VectorsByEncoder, keep_images
from kadr.errors import SearchError
from kadr.index import Index, build_index
from kadr.io.bounded_decoding import prepare_workers
from kadr.io.embeddings import Embeddings, Vectors
from kadr.io.image_decoding import DEFAULT_LIMITS
from kadr.io.versions import Versions
from kadr.model import RelevanceModel
from kadr.params import DecodingParams, EmbedImagesParams, EmbedParams, OcrScript, StoreParams
from kadr.progress import overall_progress

STEPS = {"hash files": 0.05, "scan images": 0.25, "embed images": 0.7}
"""Label of a step -> typical share of the time to index an image."""


@dataclass(frozen=True)
class IndexUpdate:
    """The result of `update_index`.

    Attributes:
        index: index after the update.
        changes: kind of change (unchanged, new, changed, moved, kept or gone) -> number of images. An image is kept if
            it is in the index and cannot be read now.
        set_aside: reason -> number of images that cannot be indexed for this reason.
        kept: paths of the images that are in the index and cannot be read now.
        passed_over: files and folders that are not images or are not indexed.
        exclude: patterns of files and folders that are not indexed.
        published: whether a new version was published. False if nothing has changed.
    """

    index: Index
    changes: Mapping[str, int]
    set_aside: Mapping[str, int]
    kept: Sequence[str]
    passed_over: PassedOver
    exclude: Sequence[str]
    published: bool


def update_index(
    addresses: Sequence[str],
    folder: Path,
    encoders: Sequence[str],
    embed_images_params: EmbedImagesParams,
    embed_params: EmbedParams,
    *,
    exact_max: int,
    memory_gb: float | None = None,
    decoding: DecodingParams = DEFAULT_LIMITS,
    exclude: Sequence[str] | None = None,
    ocr: OcrScript | None = None,
    allow_removals: bool = False,
    rescan: bool = False,
    texts: Embeddings | None = None,
    model: RelevanceModel | None = None,
    store: StoreParams | None = None,
) -> IndexUpdate:
    """Update an index so that it contains exactly the images at the given addresses.

    An image of the index that cannot be read now is kept. An update that would remove a large share of the images is
    refused. Scans and vectors are saved while they are computed, so an interrupted update can resume. While the update
    runs, interim versions contain the images of the old version and the images that are embedded so far. They have the
    entry `indexing` in index.json. If the old version cannot be read, the index is rebuilt.

    Args:
        addresses: folders, files or fsspec addresses. If empty, the addresses of the last update are used.
        folder: path of the link to the current version of the index.
        encoders: names of the image encoders. The first encoder is the search encoder.
        embed_images_params: settings of all image encoders, precision and batch size.
        embed_params: settings of the embedding cache.
        exact_max: maximum number of images for exact search.
        memory_gb: memory of a FAISS index in GB. None is no limit.
        decoding: settings of the image decoder.
        exclude: patterns of files and folders that are not indexed, with the syntax of a .gitignore file. None uses the
            patterns of the last update.
        ocr: script of the text to read in the images. None reads no text.
        allow_removals: whether a large share of the images can be removed from the index.
        rescan: whether to read and scan all files again.
        texts: text vectors used to measure recall. Vectors from an encoder with other weights than the search
            encoder are ignored.
        model: relevance model. The prepared features of this model are stored in the index.
        store: vector store of the search encoder. None stores a FAISS index in the folder of the index.

    Raises:
        InputError: an address cannot be read or contains no images, a pattern is invalid, or the extra `ocr` is not
            installed.
        SearchError: no image is valid, a large share of the images would be removed, another process is updating the
            index, or the index cannot be written.
        StoreError: the vector store cannot be used.
    """
    check_ocr(ocr)
    versions = Versions(folder)
    with explain_write_errors(folder), versions.lock():
        prepare_workers(SCAN_MODULE)
        current = load_current_index(folder)
        old = current.index
        addresses, exclude = current.settings(folder, addresses, exclude)
        listing = list_images(addresses, exclude)
        known = KnownImages(current.known, listing, folder, allow_removals=allow_removals)
        cache = ScanCache(versions.home, old, decoding)
        details = describe_settings(addresses, exclude, ocr)
        embed = ScanEmbedder(encoders, embed_images_params, embed_params, decoding)
        interim = InterimIndex(versions, old, encoders[0], details, len(listing.files), memory_gb=memory_gb)
        reused = old if old is not None and embed.is_same(old) else None
        is_extended = embed_params.engine == "local" and (reused is not None or not len(current.known))
        embedded = _embed_files(
            listing,
            known,
            partial(scan_files, cache, rescan=rescan),
            ReusingEmbedder(embed, reused),
            interim if is_extended else None,
        )
        scans, vectors = embedded.scans, embedded.vectors
        cache.forget(scans.loc[scans["status"] == "changed", "path"].tolist())
        kept, vectors = keep_images(old, known.rows_to_keep(scans), vectors, embed)
        known.check_removals(scans, kept.index.tolist())
        images = pd.concat([scans[scans["status"] == "ok"], kept], ignore_index=True)
        not_indexed = scans[~scans["path"].isin(images["path"])]
        if images.empty:
            raise SearchError(
                f"{folder}: none of {len(scans)} images can be indexed ({_count_statuses(scans['status'])}). Replace "
                "the files, or use other folders."
            )
        images = add_image_texts(images, ocr, versions.home, decoding)
        set_aside = set_aside_table(not_indexed, listing.passed_over)
        is_same = (
            old is not None
            and not old.missing_columns
            and old.has_vector_index(len(images), exact_max, memory_gb, store)
            and _is_same(old, images, vectors, details)
        )

        def build(version: Path, work: Path) -> Index:
            if old is not None and is_same and model is not None:
                return old.prepare(model.prepare, model.key, version)
            return build_index(
                pa.Table.from_pandas(images, preserve_index=False),
                vectors,
                encoders[0],
                exact_max,
                memory_gb=memory_gb,
                store=store,
                texts=comparable_vectors(texts, vectors[encoders[0]].metadata),
                details=details,
                model=model,
                old=old,
                folder=version,
                work=work,
            )

        if old is not None and is_same and (model is None or old.prepared_for == model.key):
            index = old
            write_set_aside(set_aside, versions.folder.resolve())
        else:
            index = publish_index(versions, build, set_aside)
        cache.clear()
    return IndexUpdate(
        index,
        known.count_changes(dict(zip(images["path"], images["sha256"], strict=True)), len(kept)),
        Counter(not_indexed["status"]),
        [] if kept.empty else kept["path"].tolist(),
        listing.passed_over,
        exclude,
        index is not old,
    )


def make_image_id(path: str) -> str:
    """Return the ID of the image at a path or URI: 20 hexadecimal digits of the SHA-256 of the path."""
    return hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()[:20]


def describe_settings(addresses: Sequence[str], exclude: Sequence[str], ocr: OcrScript | None) -> dict[str, object]:
    """Return the entries of index.json from which the next update of an index takes its settings."""
    settings: dict[str, object] = {"addresses": addresses, "exclude": exclude, "ocr": ocr}
    return {name: value for name, value in settings.items() if value}


def scan_files(cache: ScanCache, files: pd.DataFrame, *, rescan: bool = False) -> pd.DataFrame:
    """Scan image files, and add their IDs and the times in their names.

    Args:
        cache: cache of the scans.
        files: table with the columns path, bytes and modified.
        rescan: whether to read and scan all files again.
    """
    scans = add_path_times(cache.scan(files, rescan=rescan))
    return scans.assign(image_id=[make_image_id(path) for path in scans["path"]])


def _embed_files(
    listing: Listing,
    known: KnownImages,
    scan: Callable[[pd.DataFrame], pd.DataFrame],
    embed: EmbedImages,
    interim: InterimIndex | None,
) -> EmbeddedScans:
    """Scan and embed the listed files: first the known files, and then the new files in growing batches.

    Args:
        listing: image files at the addresses of the update.
        known: images of the current index.
        scan: function that scans files.
        embed: function that embeds scanned images.
        interim: interim versions to publish after the batches. None scans and embeds all files at once.

    Raises:
        SearchError: a large share of the images would be removed, or disappeared while they were read.
    """
    is_known = known.contains(listing.files["path"])
    first, new_files = listing.files[is_known], listing.files[~is_known]
    embedded = EmbeddedScans()
    if len(first):
        scans = scan(first)
        if known.may_refuse(scans) and len(new_files):  # an image at a new path may be a moved image
            scans, new_files = pd.concat([scans, scan(new_files)], ignore_index=True), new_files[:0]
        known.check_removals(scans, known.rows_to_keep(scans))
        embedded.add(*embed(scans))
    if new_files.empty:
        return embedded
    sizes = BatchSizes()
    batches = iter([(new_files, True)]) if interim is None else sizes.split(new_files)
    with overall_progress("index images", len(listing.files), STEPS, n_done=len(listing.files) - len(new_files)) as bar:
        for files, is_last in batches:
            start = time.monotonic()
            with bar.part(len(files)):
                embedded.add(*embed(scan(files)))
            known.check_disappeared(embedded.scans)
            end = time.monotonic()
            if interim is not None and not is_last:
                interim.publish(embedded, embed, listing.passed_over)
                sizes.record(len(files), end - start, time.monotonic() - end)
    return embedded


def comparable_vectors(texts: Embeddings | None, metadata: Mapping[str, str]) -> Vectors | None:
    """Return the text vectors, or None if the text encoder and the image encoder have different weights.

    Args:
        texts: embeddings of texts.
        metadata: metadata of the image vectors.
    """
    if texts is None or texts.metadata.get("weights_sha256") != metadata.get("weights_sha256"):
        return None
    return texts.vectors


@contextmanager
def explain_write_errors(folder: Path) -> Iterator[None]:
    """Convert an OSError in the `with` block to a SearchError that says that the old version stays in use.

    Args:
        folder: path of the link to the current version of the index.
    """
    try:
        yield
    except OSError as error:
        raise SearchError(
            f"{folder}: the new version cannot be written ({error}). The old version stays in use. Free up disk "
            "space, or choose another folder with --out, and run the command again. Computed vectors are kept."
        ) from error


def _is_same(old: Index, images: pd.DataFrame, vectors: VectorsByEncoder, details: Mapping[str, object]) -> bool:
    old_images = dict(zip(old.table["image_id"].to_pylist(), old.table["sha256"].to_pylist(), strict=True))
    old_encoders = [(name, table.metadata) for name, table in old.vectors.items()]
    return (
        old_images == dict(zip(images["image_id"], images["sha256"], strict=True))
        and old_encoders == [(name, table.metadata) for name, table in vectors.items()]
        and old.details == details
    )


def _count_statuses(statuses: "pd.Series[str]") -> str:
    return ", ".join(f"{n} {status}" for status, n in sorted(Counter(statuses).items()))
