"""The tasks room's comparison of the project's tables and vectors with those that the champion was made of."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

from kadr.io.embeddings import Embeddings
from kadr.io.schemas import read_table
from kadr.operations.champion.champion import LOCK, TABLES
from kadr.operations.champion.drift import Drift, drift_of_tables, drift_of_vectors
from kadr.params import Params
from kadr.project import PROJECT


def outs_of(lock: Path) -> dict[str, str]:
    """Path -> the md5 by which DVC knows it, of every file and folder that the stages of a dvc.lock wrote."""
    stages = (yaml.safe_load(lock.read_text(encoding="utf-8")) or {}).get("stages", {})
    return {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", [])}


def drift_from(version: Path, params: Params) -> list[Drift]:
    """How far ratings, texts and vectors are from those of a version of the champion.

    Vectors before are read from DVC's cache; where they are gone from there, or are by another model, that is said.
    """
    now = {name: read_table(path, schema).to_pandas() for name, (path, schema) in TABLES.items()}
    before = {
        name: read_table(version / "tables" / path.name, schema).to_pandas() for name, (path, schema) in TABLES.items()
    }
    photos = _vectors("photos", PROJECT.image_embeddings, params.embed_images.encoders, version / LOCK)
    texts = _vectors("texts", PROJECT.text_embeddings, params.embed_texts.encoders, version / LOCK)
    return [*drift_of_tables(before, now), *photos, *texts]


def _vectors(what: str, folder: Path, encoders: Iterable[str], lock: Path) -> Iterator[Drift]:
    md5 = outs_of(lock)
    for name in encoders:
        path = folder / f"{name}.parquet"
        now, kept = Embeddings.read(path), _in_cache(md5.get(path.as_posix()))
        if kept is None:
            yield Drift(f"{what}, {name}", 0, len(now.ids), None, None, None, None, "DVC's cache has none of before")
        else:
            yield drift_of_vectors(f"{what}, {name}", Embeddings.read(kept), now)


def _in_cache(md5: str | None) -> Path | None:
    from dvc.repo import Repo

    if md5 is None:
        return None
    with Repo() as repo:
        kept = Path(repo.cache.local.oid_to_path(md5))
    return kept if kept.is_file() else None
