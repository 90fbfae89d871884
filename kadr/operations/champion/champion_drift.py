"""Measure the drift between a champion version's data and the current tables and embeddings."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

from kadr.io.embeddings import Embeddings
from kadr.io.schemas import read_table
from kadr.operations.champion.champion_versions import REFERENCE_TABLES
from kadr.operations.champion.drift import Drift, table_drift, vector_drift
from kadr.project import PROJECT


def read_lock_outs(lock: Path) -> dict[str, str]:
    """Return the md5 of each stage output in a dvc.lock file, by output path."""
    stages = (yaml.safe_load(lock.read_text(encoding="utf-8")) or {}).get("stages", {})
    return {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", [])}


def drift_from_champion(version: Path, image_encoders: Iterable[str], text_encoders: Iterable[str]) -> list[Drift]:
    """Measure the drift of the ratings, texts and embeddings since a champion version was published.

    The champion's embeddings are read from the DVC cache. If the DVC cache no longer contains these embeddings,
    `Drift.result` reports that the embeddings were not compared.

    Args:
        version: folder of the champion version.
        image_encoders: names of the image encoders.
        text_encoders: names of the text encoders.
    """
    current = {name: read_table(path, schema).to_pandas() for name, (path, schema) in REFERENCE_TABLES.items()}
    reference = {
        name: read_table(version / "tables" / path.name, schema).to_pandas()
        for name, (path, schema) in REFERENCE_TABLES.items()
    }
    images = _embedding_drift("photos", PROJECT.image_embeddings, image_encoders, version / PROJECT.dvc_lock.name)
    texts = _embedding_drift("texts", PROJECT.text_embeddings, text_encoders, version / PROJECT.dvc_lock.name)
    return [*table_drift(reference, current), *images, *texts]


def _embedding_drift(label: str, folder: Path, encoders: Iterable[str], lock: Path) -> Iterator[Drift]:
    md5 = read_lock_outs(lock)
    for name in encoders:
        path = folder / f"{name}.parquet"
        current, reference = Embeddings.read(path), _cached_file(md5.get(path.as_posix()))
        if reference is None:
            result = "not compared: the DVC cache no longer contains the champion's vectors"
            yield Drift.not_compared(f"{label}, {name}", 0, len(current.ids), result)
        else:
            yield vector_drift(f"{label}, {name}", Embeddings.read(reference), current)


def _cached_file(md5: str | None) -> Path | None:
    """Return the path of a file in the DVC cache, or None if the cache does not contain the file."""
    from dvc.repo import Repo

    if md5 is None:
        return None
    with Repo() as repo:
        path = Path(repo.cache.local.oid_to_path(md5))
    return path if path.is_file() else None
