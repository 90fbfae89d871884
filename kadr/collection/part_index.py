"""Build one index from the embedded parts of a large collection."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kadr.collection.current_index import read_settings
from kadr.collection.part_embedding import EmbeddedPart
from kadr.collection.part_plan import PartPlan
from kadr.collection.passed_over import PassedOver
from kadr.collection.publishing import publish_index
from kadr.collection.set_aside import read_set_aside, set_aside_table
from kadr.collection.update import comparable_vectors, describe_settings, explain_write_errors
from kadr.errors import SearchError
from kadr.index import ImageVectors, Index, Versions, build_index
from kadr.io.embeddings import Embeddings, FloatVectors, Rows, Vectors, VectorSource, copy_in_chunks
from kadr.io.schemas import QUARANTINE
from kadr.model import RelevanceModel
from kadr.params import StoreParams

MAX_IMAGES = (2**31 - 1) // 64
"""Maximum number of images in an index. Arrow cannot join the SHA-256 hashes of more images to one array of strings."""

_N_EXAMPLES = 5


@dataclass(frozen=True)
class PartVectors(VectorSource):
    """The vectors of all parts from one encoder, which are copied from the files of the parts.

    Attributes:
        ids: image IDs of all parts, in the order of the parts.
        parts: vectors of each part.
    """

    ids: Sequence[str]
    parts: Sequence[ImageVectors]

    @property
    def metadata(self) -> dict[str, str]:  # type: ignore[override]
        """Name of the encoder, SHA-256 of its weights, preprocessing and precision."""
        return self.parts[0].metadata

    @property
    def dim(self) -> int:
        """Number of dimensions d of each vector."""
        return self.parts[0].dim

    def rows(self, ids: Sequence[str]) -> Rows:
        """Return the position of each ID. If these are all IDs in their order, no ID is looked up."""
        if isinstance(ids, pa.ChunkedArray) and ids.equals(self.ids):  # not combined, because it may exceed 2 GiB
            return np.arange(len(self.ids))
        return super().rows(ids)

    def copy(self, rows: Rows, out: FloatVectors, targets: Rows) -> None:
        """Copy vectors to rows of an array."""
        copy_in_chunks(self._read, rows, out, targets)

    def _read(self, rows: Rows) -> Vectors:
        """Return the vectors in the given rows, which are ascending."""
        starts = np.cumsum([0, *(len(part.values) for part in self.parts)])
        edges = np.searchsorted(rows, starts)
        chunks = [
            part.values[rows[first:last] - start]
            for part, start, first, last in zip(self.parts, starts, edges, edges[1:], strict=False)
            if first < last
        ]
        return np.concatenate(chunks)


def index_parts(
    plan: PartPlan,
    folder: Path,
    encoders: Sequence[str],
    *,
    exact_max: int,
    memory_gb: float | None = None,
    allow_removals: bool = False,
    texts: Embeddings | None = None,
    model: RelevanceModel | None = None,
    store: StoreParams | None = None,
) -> Index:
    """Build an index of all parts, and publish it as a new version.

    The index is the same as that of `update_index`, except that other batches can change the last digits of a vector.
    The vectors are copied from the files of the parts to the file of the index in chunks.

    Args:
        plan: plan of the collection. All its parts must be embedded.
        folder: path of the link to the current version of the index.
        encoders: names of the image encoders. The first encoder is the search encoder.
        exact_max: maximum number of images for exact search.
        memory_gb: memory of a FAISS index in GB. None is no limit.
        allow_removals: whether to replace an index of images at other addresses.
        texts: text vectors used to measure recall. Vectors from an encoder with other weights than the search
            encoder are ignored.
        model: relevance model. The prepared features of this model are stored in the index.
        store: vector store of the search encoder. None stores a FAISS index in the folder of the index.

    Raises:
        SearchError: a part is missing, parts were embedded with different encoders or settings, no image is valid,
            there are more than MAX_IMAGES images, the index contains images at other addresses, or another process is
            updating the index.
        StoreError: the vector store cannot be used.
    """
    versions = Versions(folder)
    with explain_write_errors(folder), versions.lock():
        if not allow_removals:
            _check_addresses(folder, plan)
        parts = _read_parts(plan, encoders)
        _check_size(plan, parts)
        images, not_indexed = _join_images(parts)
        vectors: dict[str, VectorSource] = {
            name: PartVectors(images["image_id"], [part.map_vectors(name) for part in parts])
            for name in parts[0].encoders  # in this order, because the features depend on it
            if name in encoders
        }
        queries = comparable_vectors(texts, vectors[encoders[0]].metadata)
        details = describe_settings(plan.addresses, plan.exclude, parts[0].ocr)
        unusable = set_aside_table(not_indexed.to_pandas(), PassedOver()).cast(QUARANTINE)

        def build(version: Path, work: Path) -> Index:
            return build_index(
                images,
                vectors,
                encoders[0],
                exact_max,
                memory_gb=memory_gb,
                store=store,
                texts=queries,
                details=details,
                model=model,
                folder=version,
                work=work,
            )

        publish_index(versions, build, pa.concat_tables([unusable, read_set_aside(plan.folder)]))
    return Index.load(folder)


def _check_addresses(folder: Path, plan: PartPlan) -> None:
    """Raise SearchError if an index contains images at addresses that the plan does not contain."""
    others = set(read_settings(folder)[0]) - set(plan.addresses)
    if others:
        raise SearchError(
            f"{folder}: the index contains the photos of {', '.join(sorted(others))}, which the photos of the plan "
            "would replace. Choose another folder with --out, or run the command again with --allow-removals."
        )


def _read_parts(plan: PartPlan, encoders: Sequence[str]) -> list[EmbeddedPart]:
    """Return the results of all parts.

    Raises:
        SearchError: a part is missing, or parts were embedded with different encoders or settings.
    """
    found = {part: EmbeddedPart.read(plan, part) for part in plan.images}
    missing = [name for name, part in found.items() if part is None or not set(encoders) <= part.encoders.keys()]
    if missing:
        raise SearchError(
            f"{plan.folder}: {len(missing):,} of {len(found):,} parts are not embedded, e.g. {_examples(missing)}. "
            f"Embed them with `kadr scale embed {plan.folder} --all`."
        )
    parts = {name: part for name, part in found.items() if part is not None}
    first, *_ = parts.values()
    different = [name for name, part in parts.items() if (part.encoders, part.ocr) != (first.encoders, first.ocr)]
    if different:
        raise SearchError(
            f"{plan.folder}: the vectors or texts of {len(different):,} parts, e.g. {_examples(different)}, differ "
            f"from those of part {next(iter(parts))} in the encoder, its weights, the precision or the OCR script. Use "
            "the same settings on all machines, set `embed_images.precision: fp32` if the machines have different "
            f"processors, and embed the parts again with `kadr scale embed {plan.folder} --all`."
        )
    return list(parts.values())


def _check_size(plan: PartPlan, parts: Sequence[EmbeddedPart]) -> None:
    """Raise SearchError if the parts contain too many images for an index."""
    n_images = sum(part.statuses.get("ok", 0) for part in parts)
    if n_images > MAX_IMAGES:
        raise SearchError(
            f"{plan.folder}: the parts contain {n_images:,} images, expected at most {MAX_IMAGES:,} in one index. "
            "Divide the addresses among several plans, and build one index of each."
        )


def _join_images(parts: Sequence[EmbeddedPart]) -> tuple[pa.Table, pa.Table]:
    """Return the valid images of all parts in the order of the parts, and the path and status of all other images."""
    valid, others = [], []
    for part in parts:
        images = part.read_images()
        is_valid = pc.equal(images["status"], "ok")
        valid.append(images.filter(is_valid))
        others.append(images.filter(pc.invert(is_valid)).select(["path", "status"]))
    return pa.concat_tables(valid), pa.concat_tables(others)


def _examples(parts: Sequence[str]) -> str:
    return ", ".join(parts[:_N_EXAMPLES])
