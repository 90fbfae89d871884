"""Index images that exist only as vectors, without their files."""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from kadr.collection.publishing import publish_index
from kadr.collection.set_aside import vector_problems_table, write_set_aside
from kadr.encoders.precomputed import PrecomputedImageEncoder
from kadr.errors import SchemaError, SearchError
from kadr.index import Index, build_index
from kadr.io.embeddings import Embeddings, Vectors, VectorSource
from kadr.io.schemas import IMAGES
from kadr.io.vector_files import list_vector_images
from kadr.io.versions import Versions
from kadr.model import RelevanceModel
from kadr.params import StoreParams

logger = logging.getLogger(__name__)

VECTORS = "vectors"
"""Entry of index.json with the path of the vectors, by encoder name."""

_STRINGS = pa.schema({"image_id": pa.string(), "path": pa.string()})


@dataclass(frozen=True)
class VectorIndexUpdate:
    """The result of `index_vectors`.

    Attributes:
        index: index after the update.
        left_out: reason -> number of images that cannot be indexed for this reason.
        published: whether a new version was published. False if nothing has changed.
    """

    index: Index
    left_out: Mapping[str, int]
    published: bool


def index_vectors(
    folder: Path,
    encoders: Mapping[str, PrecomputedImageEncoder],
    *,
    exact_max: int,
    memory_gb: float | None = None,
    allow_removals: bool = False,
    texts: Embeddings | None = None,
    model: RelevanceModel | None = None,
    store: StoreParams | None = None,
) -> VectorIndexUpdate:
    """Build an index of all images in the files of vectors of the first encoder.

    The images that cannot be indexed are listed in set_aside.parquet in the folder of the index.

    Args:
        folder: path of the link to the current version of the index.
        encoders: encoder name -> precomputed vectors. The first encoder is the search encoder.
        exact_max: maximum number of images for exact search.
        memory_gb: memory of a FAISS index in GB. None is no limit.
        allow_removals: whether to replace an index of photos in folders.
        texts: text vectors used to measure recall. Vectors of another length are ignored.
        model: relevance model. The prepared features of this model are stored in the index.
        store: vector store of the search encoder. None stores a FAISS index in the folder of the index.

    Raises:
        InputError: the files have different vectors for one image.
        SearchError: no image has valid vectors, the index contains photos in folders, or another process is updating
            the index.
        StoreError: the vector store cannot be used.
    """
    versions = Versions(folder)
    with versions.lock():
        old = _load_old(folder)
        if old is not None and not allow_removals:
            _refuse_photos(folder, old)
        search_encoder = next(iter(encoders))
        images = list_vector_images(encoders[search_encoder].files.path)
        table = _image_table(images)
        vectors: dict[str, VectorSource] = {}
        problems: dict[str, str] = {}
        for name, encoder in encoders.items():
            vectors[name], left_out = encoder.select(table)
            problems |= left_out
        details = {VECTORS: {name: str(encoder.files.path) for name, encoder in encoders.items()}}
        not_indexed = vector_problems_table(_find_paths(images, problems), problems)
        n_images = len(images) - len(problems)
        is_same = (
            old is not None
            and old.has_vector_index(n_images, exact_max, memory_gb, store)
            and _is_same(old, n_images, vectors, details)
        )
        if old is not None and is_same and (model is None or old.prepared_for == model.key):
            write_set_aside(not_indexed, versions.folder.resolve())
            return VectorIndexUpdate(old, Counter(problems.values()), published=False)

        def build(version: Path, work: Path) -> Index:
            if old is not None and is_same and model is not None:
                return old.prepare(model.prepare, model.key, version)
            return build_index(
                _set_statuses(table, problems),
                vectors,
                search_encoder,
                exact_max,
                memory_gb=memory_gb,
                store=store,
                texts=_comparable(texts, vectors[search_encoder]),
                details=details,
                model=model,
                old=old,
                folder=version,
                work=work,
            )

        index = publish_index(versions, build, not_indexed)
        return VectorIndexUpdate(index, Counter(problems.values()), published=True)


def _image_table(images: pa.Table) -> pa.Table:
    """Return a table of images in the schema IMAGES. All properties of the files are null.

    Args:
        images: columns image_id and path.
    """
    columns = dict(zip(images.column_names, images.cast(_STRINGS).columns, strict=True))
    columns["status"] = pa.repeat("ok", len(images))
    return pa.table({field.name: columns.get(field.name, pa.nulls(len(images), field.type)) for field in IMAGES})


def _set_statuses(images: pa.Table, problems: Mapping[str, str]) -> pa.Table:
    """Set the status of the images with a problem: image ID -> status."""
    positions = pc.index_in(images["image_id"], value_set=pa.array(problems, pa.string()))
    statuses = pc.coalesce(pa.array(problems.values(), pa.string()).take(positions), images["status"])
    return images.set_column(images.schema.get_field_index("status"), "status", statuses)


def _find_paths(images: pa.Table, image_ids: Iterable[str]) -> dict[str, str]:
    """Return the path of each image ID.

    Args:
        images: columns image_id and path.
        image_ids: IDs of images in the table.
    """
    ids = list(image_ids)
    rows = pc.index_in(pa.array(ids, images.schema.field("image_id").type), value_set=images["image_id"])
    return dict(zip(ids, images["path"].take(rows).to_pylist(), strict=True))


def _load_old(folder: Path) -> Index | None:
    """Return the current index, or None if it does not exist or cannot be read."""
    if not folder.exists():
        return None
    try:
        return Index.load(folder, verify_all=True)
    except (SchemaError, SearchError) as error:
        logger.warning("The index cannot be read and will be rebuilt: %s", error)
        return None


def _refuse_photos(folder: Path, old: Index) -> None:
    """Raise SearchError if an index contains the photos of folders."""
    addresses = old.details.get("addresses")
    if isinstance(addresses, list) and addresses:
        raise SearchError(
            f"{folder}: the index contains the photos of {', '.join(map(str, addresses))}, which the images without "
            "files would replace. Choose another folder with --out, or run the command again with --allow-removals."
        )


def _is_same(old: Index, n_images: int, vectors: Mapping[str, VectorSource], details: Mapping[str, object]) -> bool:
    return (
        {name: table.metadata for name, table in old.vectors.items()}
        == {name: table.metadata for name, table in vectors.items()}
        and old.details == details
        and n_images == len(old.table)
    )


def _comparable(texts: Embeddings | None, images: VectorSource) -> Vectors | None:
    return texts.vectors if texts is not None and texts.dim == images.dim else None
