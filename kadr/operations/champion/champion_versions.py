"""Publish versions of the champion, the models in use, and roll back to an older version.

A version is a complete copy of the models, predictions, tables and settings of one pipeline run, so later runs cannot
change it. The link models/champion switches from one version to the next in one atomic step.
"""

import json
import re
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kadr.encoders.weights import LOCAL_DIR
from kadr.errors import ModelError
from kadr.index import Versions
from kadr.io.schemas import IMAGES, QUERIES, RATINGS, RELEVANCE
from kadr.io.text_files import write_json, write_text
from kadr.operations.tracking.tracking_store import tolerate_store_errors
from kadr.params import load_params
from kadr.project import PROJECT

N_KEPT = 3
"""Number of versions to keep: the version in use, the previous one, and the one before that."""

ALIAS = "champion"
"""Alias of the registered model in MLflow."""

MODEL_FOLDERS = (PROJECT.index, PROJECT.text_encoders, PROJECT.relevance_model, PROJECT.clip, PROJECT.predictions)
"""Folders that a version copies."""

REFERENCE_TABLES = {
    "images": (PROJECT.images, IMAGES),
    "queries": (PROJECT.queries, QUERIES),
    "ratings": (PROJECT.ratings, RATINGS),
    "relevance": (PROJECT.relevance, RELEVANCE),
}
"""Tables that a version copies, with their schemas. Later snapshots are compared with these tables."""

DVC_LOCK = Path("dvc.lock")
Record = dict[str, Any]
_RECORD_FILE = "champion.json"


def current_version() -> Path | None:
    """Return the folder of the version in use, or None if there is no champion."""
    if not PROJECT.champion.exists():
        return None
    return Versions(PROJECT.champion).home / PROJECT.champion.resolve().name


def read_record(version: Path) -> Record:
    """Return the record of a version.

    Returns:
        previous: name of the version that was in use before.
        published: time of the publication, in UTC.
        snapshot: folder of the raw dataset.
        mlflow: name and version of the registered model, null if MLflow failed.
        withdrawn: whether a rollback took the version out of use.
        Further keys are those of the challenge that promoted the version.
    """
    return dict(json.loads((version / _RECORD_FILE).read_text(encoding="utf-8")))


def publish(record: Record, mlflow_model: Sequence[str] | None) -> Path:
    """Make the models of the last pipeline run the champion. The last step switches the link atomically.

    Args:
        record: further keys for the record of the version.
        mlflow_model: name and version of the registered model, None if MLflow failed.

    Returns:
        Folder of the new version.

    Raises:
        SearchError: models/champion is not a link to a version, or another process is publishing.
    """
    versions, previous = Versions(PROJECT.champion, N_KEPT), current_version()
    with versions.lock(), versions.publish() as folder:
        version = versions.home / folder.stem
        for source in MODEL_FOLDERS:
            shutil.copytree(source, folder / source.name)
        for path, _ in REFERENCE_TABLES.values():
            (folder / "tables").mkdir(exist_ok=True)
            shutil.copy(path, folder / "tables")
        shutil.copy(DVC_LOCK, folder)
        write_text(folder / PROJECT.params.name, version_params(version))
        publication = {
            "previous": previous and previous.name,
            "published": datetime.now(UTC).isoformat(timespec="seconds"),
            "snapshot": load_params().ingest.source,
            "mlflow": mlflow_model,
            "withdrawn": False,
        }
        write_json(folder / _RECORD_FILE, publication | record)
        set_alias(mlflow_model)
    return version


def version_params(version: Path) -> str:
    """Return the text of params.yaml with the encoders reading the CLIP of the version instead of models/clip."""
    reference = re.compile(rf"{re.escape(f'{LOCAL_DIR}{PROJECT.clip}')}(?![\w./-])")
    return reference.sub(f"{LOCAL_DIR}{version / PROJECT.clip.name}", PROJECT.params.read_text(encoding="utf-8"))


def set_alias(mlflow_model: Sequence[str] | None) -> None:
    """Point the MLflow alias `champion` to a registered model. If the store fails, log a warning.

    Args:
        mlflow_model: name and version of the registered model. With None, the alias does not change.
    """
    if mlflow_model is not None:
        with tolerate_store_errors(f"the alias {ALIAS}"):
            import mlflow

            mlflow.MlflowClient().set_registered_model_alias(mlflow_model[0], ALIAS, mlflow_model[1])


def roll_back(version_name: str | None = None) -> tuple[str, str]:
    """Use an older version again, first in MLflow and then for search. An interrupted rollback can be repeated.

    Versions that are newer than the selected one are withdrawn. A refresh does not promote a withdrawn version again.

    Args:
        version_name: name of the version. The default is the version that was in use before the current one.

    Returns:
        Name of the version that was in use, and name of the version that is in use now.

    Raises:
        ModelError: there is no champion, or the version does not exist.
    """
    versions = Versions(PROJECT.champion)
    with versions.lock():
        current = current_version()
        if current is None:
            raise ModelError(
                f"{PROJECT.champion} does not exist. Create a champion with `python -m flows.refresh SNAPSHOT`."
            )
        existing = {version.name: version for version in versions.list_versions()}
        selected = version_name or read_record(current)["previous"]
        if selected not in existing:
            missing = f"Version {selected}" if selected else f"A version before {current.name}"
            raise ModelError(
                f"{missing} does not exist. The version in use is {current.name}. Choose one of {', '.join(existing)} "
                "with `kadr champion rollback VERSION`."
            )
        for name, version in existing.items():
            write_json(version / _RECORD_FILE, read_record(version) | {"withdrawn": name > selected})
        set_alias(read_record(existing[selected])["mlflow"])
        versions.switch_to(existing[selected])
        return current.name, selected
