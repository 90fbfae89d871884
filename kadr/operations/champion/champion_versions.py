"""Publish new versions of the champion (the models in use), and roll back to older versions.

A version contains copies of the models, predictions, tables and settings of one pipeline run, so later runs do not
change the version. The symbolic link models/champion is switched atomically to a new version.
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
"""Number of champion versions to keep, including the version in use."""

ALIAS = "champion"
"""MLflow alias of the registered model version in use."""

MODEL_FOLDERS = (PROJECT.index, PROJECT.text_encoders, PROJECT.relevance_model, PROJECT.clip, PROJECT.predictions)
"""Folders that are copied into each champion version."""

REFERENCE_TABLES = {
    "images": (PROJECT.images, IMAGES),
    "queries": (PROJECT.queries, QUERIES),
    "ratings": (PROJECT.ratings, RATINGS),
    "relevance": (PROJECT.relevance, RELEVANCE),
}
"""Path and schema of each table that is copied into a champion version. Drift is measured against the copies."""

Record = dict[str, Any]
_RECORD_FILE = "champion.json"


def current_version() -> Path | None:
    """Return the folder of the version in use, or None if there is no champion."""
    if not PROJECT.champion.exists():
        return None
    return Versions(PROJECT.champion).home / PROJECT.champion.resolve().name


def read_record(version: Path) -> Record:
    """Read champion.json, the record of a champion version.

    The record also contains the keys of the report from `challenge`.

    Returns:
        previous: name of the version that was in use before, None for the first version.
        published: publication time in UTC, in ISO 8601 format.
        snapshot: folder of the raw dataset.
        mlflow: name and version of the registered model, None if the MLflow store failed.
        withdrawn: whether a rollback replaced this version with an older version.
    """
    return dict(json.loads((version / _RECORD_FILE).read_text(encoding="utf-8")))


def publish(record: Record, mlflow_model: Sequence[str] | None) -> Path:
    """Publish the models of the last pipeline run as a new champion version.

    The last step switches the link models/champion atomically.

    Args:
        record: additional entries for champion.json.
        mlflow_model: name and version of the registered model, None if the MLflow store failed.

    Returns:
        Folder of the new version.

    Raises:
        SearchError: models/champion is not a link to a version, or another process is publishing a version.
    """
    versions, previous = Versions(PROJECT.champion, N_KEPT), current_version()
    with versions.lock(), versions.publish() as folder:
        version = versions.home / folder.stem
        for source in MODEL_FOLDERS:
            shutil.copytree(source, folder / source.name)
        for path, _ in REFERENCE_TABLES.values():
            (folder / "tables").mkdir(exist_ok=True)
            shutil.copy(path, folder / "tables")
        shutil.copy(PROJECT.dvc_lock, folder)
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
    """Return the text of params.yaml, with models/clip replaced by the path of the version's CLIP folder."""
    reference = re.compile(rf"{re.escape(f'{LOCAL_DIR}{PROJECT.clip}')}(?![\w./-])")
    return reference.sub(f"{LOCAL_DIR}{version / PROJECT.clip.name}", PROJECT.params.read_text(encoding="utf-8"))


def set_alias(mlflow_model: Sequence[str] | None) -> None:
    """Assign the MLflow alias `champion` to a registered model version. If the store fails, log a warning.

    Args:
        mlflow_model: name and version of the registered model. If None, the alias does not change.
    """
    if mlflow_model is not None:
        _set_alias(*mlflow_model)


@tolerate_store_errors(f"the alias {ALIAS}")
def _set_alias(model: str, version: str) -> None:
    import mlflow

    mlflow.MlflowClient().set_registered_model_alias(model, ALIAS, version)


def roll_back(version_name: str | None = None) -> tuple[str, str]:
    """Roll back to an older version.

    The MLflow alias is switched first, then the link models/champion. Versions that are newer than the selected version
    are withdrawn. A refresh does not promote a withdrawn version again. If a rollback is interrupted, run it again.

    Args:
        version_name: name of the version, e.g. v000001. The default is the previously used version.

    Returns:
        Names of the versions in use before and after the rollback.

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
