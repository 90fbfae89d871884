"""The index of an image collection: a FAISS index, a text index, a table of image metadata, and image vectors."""

import json
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kadr.errors import SchemaError, SearchError
from kadr.features import Images
from kadr.index.checksums import checksums, damaged_files
from kadr.index.image_vectors import ImageVectors, write_array
from kadr.index.kept_images import KeptImages, find_kept_images
from kadr.index.metadata_table import TABLE, read_metadata, write_metadata
from kadr.index.recall import Neighbours
from kadr.index.stores.stored_index import StoredVectorIndex
from kadr.index.text_index import TextIndex
from kadr.index.vector_index import VectorIndex
from kadr.io.embeddings import Rows, Vectors, VectorSource, copy_in_chunks
from kadr.io.mapped_arrays import create_array, release_pages, take_rows
from kadr.io.schemas import INDEXED_IMAGES
from kadr.model import RelevanceModel
from kadr.params import StoreParams
from kadr.project import PROJECT

DESCRIPTION = "index.json"
"""File name of the description of an index."""

_FAISS = "{}.faiss"
_TEXTS = "texts.sqlite"
_VECTORS = "vectors"
_PREPARED = "prepared"
_CHECKSUMS = "sha256"
_FULL_PRECISION_WIDTH = 16  # prepared arrays with longer rows are stored as float16
_CHUNK_SIZE = 4096  # number of images prepared at once
REBUILD_ADVICE = "Rebuild the index with `dvc repro -f -s index`, or with `kadr index` for your own photos."
"""End of the message about an index that cannot be read."""

BUILD_ADVICE = "Build an index with `dvc repro index`, or with `kadr index` for your own photos."
"""End of the message about an index that does not exist, in a project."""

OWN_BUILD_ADVICE = "Index your photos first: run `kadr index FOLDER`."
"""End of the message about an index that does not exist, outside of a project."""

_UNREADABLE = "{}: the index cannot be read ({}). " + REBUILD_ADVICE

Prepare = Callable[[Images], Mapping[str, npt.NDArray[Any]]]
"""Function that computes the prepared features: features of a relevance model that depend only on the image."""


@dataclass(frozen=True)
class Index:
    """An image collection that can be searched with a query vector.

    Attributes:
        encoder: name of the search encoder, which embeds queries and images into the same vector space.
        table: image metadata with the schema INDEXED_IMAGES, sorted by image_id. Row i belongs to vector i.
        vectors: encoder name -> image vectors, in the order of `table`.
        vector_index: FAISS index of the vectors of `encoder`, or these vectors in a vector store.
        details: additional entries of index.json, such as the indexed addresses.
        prepared: prepared features: name -> array (n_images, ...) that a relevance model computed from the images.
        prepared_for: key of the relevance model that computed `prepared`.
        prepare_images: function that computes the prepared features of the candidates in each search, or None.
        missing_columns: columns of INDEXED_IMAGES that the files of the index lack, because an older version of kadr
            wrote them. They are null in `table`.
        text_index: full-text index of names, folders, descriptions and visible texts. None if an older version of kadr
            wrote the index.
    """

    encoder: str
    table: pa.Table
    vectors: Mapping[str, ImageVectors]
    vector_index: VectorIndex | StoredVectorIndex
    details: Mapping[str, object]
    prepared: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    prepared_for: str = ""
    prepare_images: Prepare | None = None
    missing_columns: frozenset[str] = frozenset()
    text_index: TextIndex | None = None

    def nearest(self, vector: Vectors, k: int, rows: Rows | None = None) -> Neighbours:
        """Find the k images whose vectors are nearest to a query vector.

        Args:
            vector: (1, d) float32 query vector with unit norm, in the vector space of `encoder`.
            k: number of images to return, at least 1. An index of fewer than k images returns all images.
            rows: row numbers to search in, ascending. None searches all rows.

        Returns:
            Row numbers (n,) int64 and cosines (n,) float32, nearest first. Equal cosines are sorted by row number.
        """
        return self.vector_index.search(vector, k, self.vectors[self.encoder], rows)[0]

    def images(self, rows: "Rows | slice") -> Images:
        """Return the images in the given rows, with their vectors and prepared features."""
        ids = self._ids[rows] if isinstance(rows, slice) else self._ids.take(rows)
        vectors = {name: encoder_vectors.take(rows) for name, encoder_vectors in self.vectors.items()}
        prepared = {name: np.asarray(values[rows]) for name, values in self.prepared.items()}
        images = Images(ids.to_pylist(), vectors, prepared)
        return replace(images, prepared=_reduce(self.prepare_images(images))) if self.prepare_images else images

    def prepare(
        self,
        prepare: Prepare,
        key: str,
        folder: Path | None = None,
        *,
        old: "Index | None" = None,
        kept: KeptImages | None = None,
    ) -> "Index":
        """Return an index that contains the prepared features of all images. The features are computed if necessary.

        Args:
            prepare: method `prepare` of the relevance model.
            key: key of the relevance model.
            folder: folder of the new index. The features are written to this folder and memory-mapped. None keeps them
                in memory.
            old: old version of the index. If it contains the features of the same model, those of `kept` are copied.
            kept: images of the old version with the same vectors.
        """
        if self.prepared_for == key:
            return self
        bare = replace(self, prepared={}, prepared_for="", prepare_images=None)
        prepared: dict[str, npt.NDArray[Any]] = {}
        missing = np.arange(len(self.table))
        if old is not None and kept is not None and old.prepared_for == key:
            missing = np.setdiff1d(missing, kept.new_rows)
            for name, values in old.prepared.items():
                prepared[name] = self._create_prepared(name, values, folder)
                copy_in_chunks(partial(take_rows, values), kept.old_rows, prepared[name], kept.new_rows)
        for start in range(0, len(missing), _CHUNK_SIZE):
            rows = missing[start : start + _CHUNK_SIZE]
            for name, values in _reduce(prepare(bare.images(rows))).items():
                if name not in prepared:
                    prepared[name] = self._create_prepared(name, values, folder)
                prepared[name][rows] = values
                release_pages(prepared[name])
            for vectors in self.vectors.values():
                vectors.release()
        return replace(bare, prepared=prepared, prepared_for=key)

    def _create_prepared(self, name: str, like: npt.NDArray[Any], folder: Path | None) -> npt.NDArray[Any]:
        """Create the array of a prepared feature of all images, in memory or in a file."""
        shape = (len(self.table), *like.shape[1:])
        if folder is None:
            return np.empty(shape, like.dtype)
        return create_array(folder / _PREPARED / f"{name}.npy", shape, like.dtype)

    def prepare_on_demand(self, prepare: Prepare, key: str) -> "Index":
        """Return an index that computes the prepared features of the candidates in each search, unless they are stored.

        Args:
            prepare: method `prepare` of the relevance model.
            key: key of the relevance model.
        """
        return self if self.prepared_for == key else replace(self, prepared={}, prepared_for="", prepare_images=prepare)

    def has_vector_index(
        self, n_images: int, exact_max: int, memory_gb: float | None, store: StoreParams | None
    ) -> bool:
        """Return whether an index of `n_images` images would have the same kind of vector index, in the same store.

        Args:
            n_images: number of images.
            exact_max: maximum number of images for exact search.
            memory_gb: memory of a FAISS index in GB. None is no limit.
            store: vector store of the search encoder. None for a FAISS index.
        """
        if isinstance(self.vector_index, StoredVectorIndex):
            return self.vector_index.params == store
        dim = self.vectors[self.encoder].dim
        return store is None and self.vector_index.is_current(n_images, dim, exact_max, memory_gb)

    def find_row(self, image_id: str) -> int | None:
        """Return the row number of an image, or None if the index does not contain the image."""
        row = bisect_left(range(len(self.table)), image_id, key=lambda row: self._ids[row].as_py())
        return row if row < len(self.table) and self._ids[row].as_py() == image_id else None

    def find_row_by_content(self, sha256: str) -> int | None:
        """Return the row number of the first image with this SHA-256, or None if the index contains no such image."""
        row = pa.compute.index(self.table["sha256"], sha256).as_py()
        return None if row < 0 else int(row)

    @cached_property
    def _ids(self) -> pa.ChunkedArray:
        return self.table["image_id"]

    def write(self, folder: Path) -> None:
        """Write the index to a folder. Arrays that are memory-mapped from this folder are not written again.

        Identical indexes produce identical files.
        """
        (folder / DESCRIPTION).unlink(missing_ok=True)  # it is written last, so an interrupted write is noticed
        self.vector_index.write(folder / _FAISS.format(self.encoder))
        write_metadata(self.table, folder)
        if self.text_index is not None:
            self.text_index.write(folder / _TEXTS)
        for name, vectors in self.vectors.items():
            vectors.write(folder / _VECTORS / f"{name}.npy")
        for name, values in self.prepared.items():
            write_array(folder / _PREPARED / f"{name}.npy", values)
        description = self.describe() | {_CHECKSUMS: checksums(folder)}
        (folder / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")

    def describe(self) -> dict[str, object]:
        """Return the entries of index.json, except for the checksums."""
        return {
            "encoder": self.encoder,
            "encoders": {name: vectors.metadata for name, vectors in self.vectors.items()},
            "n_images": len(self.table),
            "dim": self.vectors[self.encoder].dim,
            "prepared": list(self.prepared),
            "prepared_for": self.prepared_for,
            **self.vector_index.describe(),
            **self.details,
        }

    @classmethod
    def load(cls, folder: Path, *, verify_all: bool = False) -> "Index":
        """Load an index, and verify the checksums of the FAISS index and the table.

        Args:
            folder: folder of the index, or a link to it.
            verify_all: whether to also verify the memory-mapped files. The check reads these files completely.

        Raises:
            SearchError: the index is missing, damaged or written by an incompatible version of kadr.
        """
        version = folder.resolve()  # all files are read from the same version
        try:
            return cls._load_version(folder, version, verify_all=verify_all)
        except SearchError:
            if folder.resolve() == version:
                raise
        return cls.load(folder, verify_all=verify_all)  # `kadr index` replaced the version, and deleted its files

    @classmethod
    def _load_version(cls, folder: Path, version: Path, *, verify_all: bool) -> "Index":
        try:
            description = json.loads((version / DESCRIPTION).read_text(encoding="utf-8"))
        except OSError as error:
            raise SearchError(
                f"{folder}: the index does not exist. {BUILD_ADVICE if PROJECT.exists else OWN_BUILD_ADVICE}"
            ) from error
        except ValueError as error:
            raise SearchError(_UNREADABLE.format(folder, error)) from error
        try:
            encoder: str = description["encoder"]
            faiss_file, written = _FAISS.format(encoder), description.get(_CHECKSUMS, {})
            always_verified = (faiss_file, _TEXTS, TABLE)
            verified = {name: digest for name, digest in written.items() if verify_all or name in always_verified}
            if damaged := damaged_files(version, verified):
                raise ValueError(f"checksum mismatch in {', '.join(damaged)}")
            table, missing = read_metadata(version)
            vectors = {
                name: ImageVectors.map(version / _VECTORS / f"{name}.npy", metadata)
                for name, metadata in description["encoders"].items()
            }
            prepared = {
                name: np.load(version / _PREPARED / f"{name}.npy", mmap_mode="r", allow_pickle=False)
                for name in description["prepared"]
            }
            prepared_for: str = description["prepared_for"]
            vector_index = (
                StoredVectorIndex.read(description, table["image_id"])
                if "store" in description
                else VectorIndex.read(version / faiss_file, description)
            )
            text_index = TextIndex.read(version / _TEXTS) if _TEXTS in written else None
        except SchemaError as error:
            reason = f"the table of image metadata is damaged or was written by another version of kadr: {error}"
            raise SearchError(_UNREADABLE.format(folder, reason)) from error
        except (AttributeError, EOFError, KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
            raise SearchError(_UNREADABLE.format(folder, error)) from error
        known = {"encoder", "encoders", "n_images", "dim", "prepared", "prepared_for", _CHECKSUMS}
        known |= vector_index.describe().keys()
        details = {key: value for key, value in description.items() if key not in known}
        return cls(
            encoder,
            table,
            vectors,
            vector_index,
            details,
            prepared,
            prepared_for,
            missing_columns=missing,
            text_index=text_index,
        )


def build_index(
    images: pa.Table,
    vectors: "Mapping[str, VectorSource | ImageVectors]",
    encoder: str,
    exact_max: int,
    *,
    memory_gb: float | None = None,
    store: StoreParams | None = None,
    texts: Vectors | None = None,
    details: Mapping[str, object] | None = None,
    model: RelevanceModel | None = None,
    old: Index | None = None,
    folder: Path | None = None,
    work: Path | None = None,
) -> Index:
    """Build an index of the valid images in a table.

    Args:
        images: table with the schema IMAGES and, optionally, other columns of INDEXED_IMAGES. Only images with status
            `ok` are indexed.
        vectors: encoder name -> vectors, which must include all valid images. ImageVectors must be those of the valid
            images, sorted by image_id.
        encoder: name of the search encoder, which embeds queries and images into the same vector space.
        exact_max: maximum number of images for exact search.
        memory_gb: memory of a FAISS index in GB. None is no limit.
        store: vector store of the search encoder. None builds a FAISS index.
        texts: (n, d) text vectors used as queries to measure recall. By default, image vectors are used.
        details: additional entries of index.json.
        model: relevance model. The prepared features of this model are stored in the index.
        old: old version of the index, which must not be searched afterwards. Its vector index is updated, and its
            prepared features are copied, as far as the vectors of the images have not changed.
        folder: folder of the new index. The vectors and the prepared features are written to this folder and
            memory-mapped. None keeps them in memory.
        work: folder for intermediate files of the vector index. An interrupted build resumes with these files. The
            caller deletes the folder when the index is written. None uses a temporary folder.

    Raises:
        SearchError: the table contains no valid image.
        StoreError: the vector store cannot be used.
        SchemaError: an image has no vector.
        OSError: the vectors cannot be written.
    """
    valid = _select_valid(images)
    if not len(valid):
        raise SearchError(
            f"None of {len(images)} images can be indexed. See data/tables/quarantine.parquet for invalid images, or "
            "change index.splits in params.yaml."
        )
    selected = {
        name: source
        if isinstance(source, ImageVectors)
        else ImageVectors.collect(source, valid["image_id"], folder and folder / _VECTORS / f"{name}.npy")
        for name, source in vectors.items()
    }
    table = index_table(valid)
    if folder is not None:
        write_metadata(table, folder)
        table, _ = read_metadata(folder)  # memory-mapped
    kept = find_kept_images(old.table, old.vectors, table, selected) if old is not None else None
    previous = old.vector_index if old is not None and old.encoder == encoder else None
    if store is not None:
        rows = (kept.old_rows, kept.new_rows) if kept is not None else (None, None)
        stored = previous if isinstance(previous, StoredVectorIndex) else None
        vector_index: VectorIndex | StoredVectorIndex = StoredVectorIndex.build(
            store, table, selected[encoder], texts, old=stored, old_rows=rows[0], new_rows=rows[1]
        )
    elif isinstance(previous, VectorIndex) and kept is not None and len(kept.new_rows):
        vector_index = previous.update(
            kept.old_rows, kept.new_rows, selected[encoder], exact_max, texts, memory_gb=memory_gb, folder=work
        )
    else:
        vector_index = VectorIndex.build(selected[encoder], exact_max, texts, memory_gb=memory_gb, folder=work)
    text_index = TextIndex.build(table, folder and folder / _TEXTS)
    index = Index(encoder, table, selected, vector_index, details or {}, text_index=text_index)
    return index if model is None else index.prepare(model.prepare, model.key, folder, old=old, kept=kept)


def _select_valid(images: pa.Table) -> pa.Table:
    """Return the images with status `ok`, sorted by image_id. Columns are copied only if necessary.

    Sorting fails if a column of strings has more than 2 GiB.
    """
    is_valid = pa.compute.equal(images["status"], "ok")
    valid = images if pa.compute.all(is_valid).as_py() else images.filter(is_valid)
    ids = valid["image_id"]
    is_sorted = pa.compute.all(pa.compute.less_equal(ids.slice(0, max(len(ids) - 1, 0)), ids.slice(1)))
    return valid if is_sorted.as_py() else valid.sort_by("image_id")


def index_table(images: pa.Table) -> pa.Table:
    """Convert a table of images to the schema INDEXED_IMAGES and add row numbers. Missing columns are null."""
    columns = {"row": pa.array(np.arange(len(images)))} | {
        field.name: images[field.name] if field.name in images.column_names else pa.nulls(len(images), field.type)
        for field in INDEXED_IMAGES
        if field.name != "row"
    }
    return pa.table(columns).cast(INDEXED_IMAGES).combine_chunks()


def _reduce(prepared: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Convert float32 arrays with long rows to float16, the data type of the image vectors."""
    return {
        name: values.astype(np.float16)
        if values.dtype == np.float32 and values.ndim > 1 and values.shape[1] > _FULL_PRECISION_WIDTH
        else values
        for name, values in prepared.items()
    }
