"""The collection's way into an index: only what is new or changed is read and embedded, then a version is published."""

import hashlib
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa

from kadr.collection.listing import list_files
from kadr.collection.scan_cache import Notes
from kadr.embed import EmbeddingCache, bad_photos, cache_root, embed_images
from kadr.encoders import load_image_encoder
from kadr.encoders.allocator import keep_freed_memory
from kadr.errors import SchemaError, SearchError
from kadr.index import Index, build_index
from kadr.io.embeddings import Embeddings, Vectors
from kadr.io.schemas import IMAGES, QUARANTINE, write_table
from kadr.io.versions import Versions
from kadr.model import RelevanceModel
from kadr.params import Params

logger = logging.getLogger(__name__)

SET_ASIDE = "set_aside.parquet"


@dataclass(frozen=True)
class Update:
    """What `index_photos` found and did.

    Attributes:
        index: as it is now.
        changes: unchanged, new, changed, moved and gone -> how many photos.
        set_aside: why photos are not in the index -> how many.
        n_others: files that are no photos by their names.
        published: whether there is a new version; not where nothing has changed.
    """

    index: Index
    changes: Mapping[str, int]
    set_aside: Mapping[str, int]
    n_others: int
    published: bool


def index_photos(
    addresses: Sequence[str],
    folder: Path,
    params: Params,
    encoders: Sequence[str],
    *,
    texts: Embeddings | None = None,
    model: RelevanceModel | None = None,
) -> Update:
    """Bring the index `folder` up to date: afterwards it holds the photos below `addresses` and no others.

    What was read and embedded is kept as it goes, so that an interrupted run goes on where it was. The old version
    serves until the new one is whole; where it cannot be read, the index is made anew.

    Args:
        addresses: folders, files, or fsspec addresses; none: those of the last time.
        folder: a link to the newest version.
        params: the encoders, batch size, precision, `index.exact_max`.
        encoders: names of photo encoders; the first one's space is searched.
        texts: vectors of texts to measure the recall by, if they are by that encoder's weights.
        model: what of its features depends on the photos alone is computed now, so that searches need not.

    Raises:
        InputError: an address cannot be read or holds no photo, or a photo changes meanwhile.
        SearchError: no photo is left, another process is at work on the index, or it cannot be written.
    """
    versions = Versions(folder)
    with _written(folder), versions.alone():
        old = _old(folder)
        addresses = list(addresses) or _addresses(old, folder)
        files, n_others = list_files(addresses)
        notes = Notes(versions.home, old)
        photos = notes.look(files)
        photos = photos.assign(image_id=[photo_id(path) for path in photos["path"]], split="")
        images = pa.Table.from_pandas(photos, preserve_index=False)
        vectors, undecodable = _embed(images, params, encoders)
        photos["status"] = [undecodable.get(id_, status) for id_, status in photos[["image_id", "status"]].to_numpy()]
        images = pa.Table.from_pandas(photos.drop(columns="split"), preserve_index=False)
        good = photos[photos["status"] == "ok"]
        if good.empty:
            raise SearchError(f"none of {len(photos)} photos can be read ({_counted(photos['status'])})")
        about = {"addresses": addresses}
        index = old if old is not None and _is_same(old, good, vectors, about, params.index.exact_max) else None
        asked = _of_same_weights(texts, vectors[encoders[0]])
        index = index or build_index(images, vectors, encoders[0], params.index.exact_max, texts=asked, about=about)
        index = index.prepare(model.prepare, model.key) if model else index
        if index is not old:
            _publish(versions, index, photos)
        notes.forget()
        changes = _changes(old, good)
        aside = Counter(photos.loc[photos["status"] != "ok", "status"])
        return Update(index, changes, aside, n_others, index is not old)


def photo_id(path: str) -> str:
    """The id of a photo at a path or URI: 20 hexadecimal digits, so that an id is never a path."""
    return hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()[:20]


def _old(folder: Path) -> Index | None:
    """The index that is there; None where there is none, or none that can be read."""
    if not folder.exists():
        return None
    try:
        return Index.load(folder, whole=True)
    except (SchemaError, SearchError) as error:
        logger.warning("the index is made anew, because the old one cannot be read: %s", error)
        return None


def _addresses(old: Index | None, folder: Path) -> list[str]:
    if old is None:
        raise SearchError(
            f"{folder}: there is no index yet that can be read, so name what it is to hold: `kadr index PHOTOS`"
        )
    found = old.about.get("addresses")
    return [str(address) for address in found] if isinstance(found, list) else []


def _embed(images: pa.Table, params: Params, encoders: Sequence[str]) -> tuple[dict[str, Embeddings], dict[str, str]]:
    """Encoder -> vectors of the good photos, out of the cache where they are there; and ids that do not decode."""
    keep_freed_memory()
    section = params.embed_images
    table = pa.table({name: images[name] if name in images.column_names else None for name in IMAGES.names}).cast(
        IMAGES
    )
    vectors: dict[str, Embeddings] = {}
    bad: dict[str, str] = {}
    for name in (name for name in section.encoders if name in encoders):  # the model's features keep this order
        encoder = load_image_encoder(section.encoders[name], section.precision)
        cache = EmbeddingCache(cache_root(), encoder.identity, encoder.dim, params.embed.vectors)
        vectors[name] = embed_images(encoder, table, cache, section.batch_size)
        bad |= bad_photos(table, vectors[name], cache)
    return vectors, bad


def _of_same_weights(texts: Embeddings | None, photos: Embeddings) -> Vectors | None:
    """The texts' vectors; None where they are by other weights, as those of a run before the CLIP was changed."""
    same = texts is not None and texts.metadata.get("weights_sha256") == photos.metadata.get("weights_sha256")
    return texts.vectors if texts is not None and same else None


def _publish(versions: Versions, index: Index, photos: pd.DataFrame) -> None:
    bad = photos[photos["status"] != "ok"]
    aside = pa.table({"file": bad["path"], "rule": bad["status"], "kind": ["image"] * len(bad)})
    for field in QUARANTINE:
        if field.name not in aside.column_names:
            aside = aside.append_column(field, pa.nulls(len(bad), field.type))
    with versions.new() as folder:
        index.write(folder)
        write_table(aside, folder / SET_ASIDE, QUARANTINE)


@contextmanager
def _written(folder: Path) -> Iterator[None]:
    """A block that writes. Raises SearchError where it cannot."""
    try:
        yield
    except OSError as error:
        raise SearchError(
            f"{folder}: the new version cannot be written ({error}); the old one stays. Make room, or name another "
            "folder by --out, and run the same command again: what was embedded is kept"
        ) from error


def _is_same(
    old: Index, good: pd.DataFrame, vectors: Mapping[str, Embeddings], about: Mapping[str, object], exact_max: int
) -> bool:
    known = dict(zip(old.photos["image_id"].to_pylist(), old.photos["sha256"].to_pylist(), strict=True))
    return (
        known == dict(zip(good["image_id"], good["sha256"], strict=True))
        and [(name, of.metadata) for name, of in old.vectors.items()]
        == [(name, of.metadata) for name, of in vectors.items()]
        and old.about == about
        and (old.neighbours.nprobe > 0) == (len(good) > exact_max)
    )


def _changes(old: Index | None, good: pd.DataFrame) -> dict[str, int]:
    """How the photos differ from the index that was there."""
    now = dict(zip(good["path"], good["sha256"], strict=True))
    paths, contents = ([], []) if old is None else (old.photos[name].to_pylist() for name in ("path", "sha256"))
    before = dict(zip(paths, contents, strict=True))
    gone = Counter(before[path] for path in before.keys() - now.keys())
    arrived = Counter(now[path] for path in now.keys() - before.keys())
    moved = (gone & arrived).total()
    unchanged = sum(before[path] == now[path] for path in before.keys() & now.keys())
    return {
        "unchanged": unchanged,
        "new": arrived.total() - moved,
        "changed": len(before.keys() & now.keys()) - unchanged,
        "moved": moved,
        "gone": gone.total() - moved,
    }


def _counted(statuses: "pd.Series[str]") -> str:
    return ", ".join(f"{n} {status}" for status, n in sorted(Counter(statuses).items()))
