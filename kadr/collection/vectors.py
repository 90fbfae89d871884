"""Embed the scanned images, and take the vectors of images that cannot be read now from the current index."""

import hashlib
from collections.abc import Callable, Sequence
from functools import cached_property, partial

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from kadr.embed import embed_image_table
from kadr.encoders import load_image_encoder
from kadr.encoders.allocator import keep_freed_memory
from kadr.encoders.base import ImageEncoder
from kadr.errors import FileProblem
from kadr.index import Index
from kadr.io.embeddings import VectorParts, VectorSource
from kadr.io.image_decoding import DEFAULT_LIMITS
from kadr.io.schemas import IMAGES
from kadr.io.storage import Location, read_bytes
from kadr.params import DecodingParams, EmbedImagesParams, EmbedParams

VectorsByEncoder = dict[str, VectorSource]

EmbedImages = Callable[[pd.DataFrame], tuple[VectorsByEncoder, pd.DataFrame]]
"""Function that embeds the valid images of a table of scans, such as a ScanEmbedder."""

_MAX_TRIES = 3  # number of attempts to embed an image while its copies change


class ScanEmbedder:
    """Embed scanned images. Each encoder is loaded once, when it is needed first.

    Args:
        encoders: names of the image encoders.
        params: settings of all image encoders, precision and batch size.
        embed_params: settings of the embedding cache and the engine.
        decoding: settings of the image decoder.
    """

    def __init__(
        self,
        encoders: Sequence[str],
        params: EmbedImagesParams,
        embed_params: EmbedParams,
        decoding: DecodingParams = DEFAULT_LIMITS,
    ) -> None:
        self._batch_size, self._embed_params = params.batch_size, embed_params
        self._loaders = {
            name: partial(load_image_encoder, encoder_params, params.precision, decoding)
            for name, encoder_params in params.encoders.items()  # in this order, because the features depend on it
            if name in encoders
        }

    def __call__(
        self, scans: pd.DataFrame, cache_folder: Location | None = None
    ) -> tuple[VectorsByEncoder, pd.DataFrame]:
        """Embed the valid images.

        Args:
            scans: scans with the columns of SCANNED and image_id.
            cache_folder: folder or URI of the embedding cache. None for the cache of the user.

        Returns:
            Encoder name -> vectors, and the scans. The status of an image without a vector is the reason, such as
            `changed` for a file that has changed since its scan.
        """
        vectors: VectorsByEncoder = {}
        for name, load in self._loaders.items():
            vectors[name], scans = _embed(
                self._encoders[name],
                load,
                scans,
                self._batch_size,
                self._embed_params,
                cache_folder=cache_folder,
            )
        return vectors, scans

    @property
    def metadata(self) -> dict[str, dict[str, str]]:
        """Encoder name -> metadata of its vectors."""
        return {name: encoder.identity.metadata for name, encoder in self._encoders.items()}

    def is_same(self, index: Index) -> bool:
        """Return whether the vectors of an index were computed by the same encoders, with the same weights."""
        return self.metadata == {name: vectors.metadata for name, vectors in index.vectors.items()}

    @cached_property
    def _encoders(self) -> dict[str, ImageEncoder]:
        keep_freed_memory()
        return {name: load() for name, load in self._loaders.items()}


class ReusingEmbedder:
    """Embed scanned images, except for images with the same content as an image of the current index.

    Args:
        embed: function that embeds the other images.
        index: current index, whose vectors were computed by the same encoders. None embeds all images.
    """

    def __init__(self, embed: EmbedImages, index: Index | None) -> None:
        self._embed, self._index = embed, index

    def __call__(self, scans: pd.DataFrame) -> tuple[VectorsByEncoder, pd.DataFrame]:
        """Embed the valid images, as a ScanEmbedder."""
        if self._index is None:
            return self._embed(scans)
        rows = pc.index_in(
            pa.array(scans["sha256"].where(scans["status"] == "ok"), pa.string(), from_pandas=True),
            value_set=self._index.table["sha256"],
            skip_nulls=True,
        )
        is_known = rows.is_valid().to_numpy(zero_copy_only=False)
        known = scans[is_known]
        selected = rows.drop_null().to_numpy().astype(np.int64)
        ids = pa.array(known["image_id"], pa.string())
        reused = {name: vectors.select(selected, ids) for name, vectors in self._index.vectors.items()}
        if is_known.all():
            return reused, scans
        embedded, others = self._embed(scans[~is_known])
        return join_vectors([embedded, reused]), pd.concat([known, others]).loc[scans.index]


def keep_images(
    old: Index | None, rows: Sequence[int], vectors: VectorsByEncoder, embed: EmbedImages
) -> tuple[pd.DataFrame, VectorsByEncoder]:
    """Add images of the current index that cannot be read now to the vectors of the new index.

    Args:
        old: current index.
        rows: rows of the images.
        vectors: encoder name -> vectors of the images that can be read.
        embed: function that finds vectors in the cache, if the current index has vectors of other encoders.

    Returns:
        Images with the columns of SCANNED and image_id, indexed by row, and the vectors of all images.
    """
    if old is None or not rows:
        return pd.DataFrame(), vectors
    table = old.table.take(pa.array(rows, pa.int64())).drop_columns(["row", "split"])
    kept = table.to_pandas().set_index(pd.Series(rows, dtype="int64")).assign(status="ok")
    found = _old_vectors(old, rows, vectors)
    if found is None:
        found, kept = embed(kept)
    kept = kept[kept["status"] == "ok"]
    return kept, join_vectors([vectors, found])


def _old_vectors(index: Index, rows: Sequence[int], like: VectorsByEncoder) -> VectorsByEncoder | None:
    """Return the vectors of images in the current index, or None if the index has vectors of other encoders.

    Args:
        index: current index.
        rows: rows of the images.
        like: encoder name -> vectors of the new index.
    """
    metadata = {name: vectors.metadata for name, vectors in index.vectors.items()}
    if any(metadata.get(name) != vectors.metadata for name, vectors in like.items()):
        return None
    selected = np.asarray(rows, dtype=np.int64)
    ids = index.table["image_id"].take(selected)
    return {name: index.vectors[name].select(selected, ids) for name in like}


def join_vectors(parts: Sequence[VectorsByEncoder]) -> VectorsByEncoder:
    """Return the vectors of all parts, which have the same encoders and different images."""
    return {name: VectorParts.join([part[name] for part in parts]) for name in parts[0]}


def _embed(
    encoder: ImageEncoder,
    load: Callable[[], ImageEncoder],
    scans: pd.DataFrame,
    batch_size: int,
    embed_params: EmbedParams,
    *,
    cache_folder: Location | None,
) -> tuple[VectorSource, pd.DataFrame]:
    """Embed the valid images with one encoder, and set the status of the images without a vector."""
    for attempt in range(_MAX_TRIES):
        columns = dict.fromkeys(IMAGES.names, None) | dict(scans.items()) | {"split": ""}
        images = pa.Table.from_pandas(pd.DataFrame(columns)[IMAGES.names], IMAGES, preserve_index=False)
        vectors, problems = embed_image_table(
            encoder, images, embed_params, batch_size, load, skip_unreadable=True, cache_folder=cache_folder
        )
        without_vector = scans[scans["image_id"].isin(problems.keys())]
        statuses = {
            row: problems[image_id] or _file_problem(path, sha256) or ("ok" if attempt + 1 < _MAX_TRIES else "changed")
            for row, image_id, path, sha256 in without_vector[["image_id", "path", "sha256"]].itertuples(name=None)
        }
        status = scans["status"].copy()
        status.update(pd.Series(statuses, dtype=status.dtype))
        scans = scans.assign(status=status)
        if "ok" not in statuses.values():  # otherwise, a changed copy hid an unchanged image
            break
    return vectors, scans


def _file_problem(path: str, sha256: str) -> FileProblem | None:
    """Return why an image file cannot be used now, or None if its content is unchanged."""
    try:
        content = read_bytes(path)
    except OSError:
        return "unreadable"
    return None if hashlib.sha256(content).hexdigest() == sha256 else "changed"
