"""Measure the drift between a champion version's data and the current tables and embeddings."""

from pathlib import Path

import yaml

from kadr.io.embeddings import Embeddings
from kadr.io.schemas import read_table
from kadr.operations.champion.champion_versions import REFERENCE_TABLES
from kadr.operations.champion.drift import Drift, table_drift, vector_drift
from kadr.operations.dvc_cache import cached_file
from kadr.params import Params
from kadr.project import PROJECT


def read_lock_outs(lock: Path) -> dict[str, str]:
    """Return the md5 of each stage output in a dvc.lock file, by output path."""
    stages = (yaml.safe_load(lock.read_text(encoding="utf-8")) or {}).get("stages", {})
    return {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", [])}


def drift_from_champion(version: Path, params: Params) -> list[Drift]:
    """Measure the drift of the ratings, texts and embeddings since a champion version was published.

    The champion's embeddings are read from the DVC cache. If the DVC cache no longer contains these embeddings,
    `Drift.note` reports that the embeddings were not compared.

    Args:
        version: folder of the champion version.
        params: settings of the project. The settings of the `evaluate` stage apply to the confidence intervals.
    """
    from dvc.repo import Repo

    current = {name: read_table(path, schema).to_pandas() for name, (path, schema) in REFERENCE_TABLES.items()}
    reference = {
        name: read_table(version / "tables" / path.name, schema).to_pandas()
        for name, (path, schema) in REFERENCE_TABLES.items()
    }
    drifts = table_drift(reference, current, params.evaluate, params.seed)
    md5_by_path = read_lock_outs(version / PROJECT.dvc_lock.name)
    with Repo() as repo:
        for label, folder, encoders in (
            ("image", PROJECT.image_embeddings, params.embed_images.encoders),
            ("text", PROJECT.text_embeddings, params.embed_texts.encoders),
        ):
            for name in encoders:
                path = folder / f"{name}.parquet"
                md5 = md5_by_path.get(path.as_posix())
                cached = cached_file(repo, md5) if md5 else None
                drifts.append(_embedding_drift(f"{label} vectors ({name})", cached, Embeddings.read(path), params))
    return drifts


def _embedding_drift(variable: str, reference: Path | None, current: Embeddings, params: Params) -> Drift:
    if reference is None:
        note = "not compared: the DVC cache no longer contains the champion's vectors"
        return Drift(variable, 0, len(current.ids), note=note)
    return vector_drift(variable, Embeddings.read(reference), current, params.evaluate, params.seed)
