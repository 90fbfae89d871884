"""The champion, which is the models in use: published as one version, exchanged by one rename, rolled back likewise.

`kadr champion list` says which versions there are, `rollback` returns to the one before. A version is whole:
nothing that a search, a scoring or the next comparison reads of it is changed by a later run of the pipeline.
"""

import json
import re
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kadr.encoders.open_clip_models import LOCAL
from kadr.errors import ModelError
from kadr.index import Versions
from kadr.io.schemas import IMAGES, QUERIES, RATINGS, RELEVANCE
from kadr.io.text_files import write_json, write_text
from kadr.operations.tracking import recording
from kadr.params import load_params
from kadr.project import PROJECT

KEPT = 3  # versions: the one in use, the one to roll back to, and one before, should that be no better; each a copy
ALIAS = "champion"  # of the registered model in MLflow
PARTS = (PROJECT.index, PROJECT.text_encoders, PROJECT.relevance_model, PROJECT.clip, PROJECT.predictions)
TABLES = {  # what a later snapshot is compared with
    "images": (PROJECT.images, IMAGES),
    "queries": (PROJECT.queries, QUERIES),
    "ratings": (PROJECT.ratings, RATINGS),
    "relevance": (PROJECT.relevance, RELEVANCE),
}
LOCK = Path("dvc.lock")
Note = dict[str, Any]
_NOTE = "champion.json"


def champion() -> Path | None:
    """The folder of the version in use; None where there is none."""
    return Versions(PROJECT.champion).home / PROJECT.champion.resolve().name if PROJECT.champion.exists() else None


def note_of(version: Path) -> Note:
    """What is noted of a version: previous, published, snapshot, mlflow, withdrawn, and what `publish` was given."""
    return dict(json.loads((version / _NOTE).read_text(encoding="utf-8")))


def publish(note: Note, mlflow_model: Sequence[str] | None) -> Path:
    """Make what the stages wrote the champion; until the last step, a rename, the old one is in use.

    Args:
        note: what to keep of it, beside what `note_of` names.
        mlflow_model: name and version of the registered model; None where MLflow's store failed.

    Raises:
        SearchError: models/champion is no link to a version, or another process publishes.
    """
    versions, before = Versions(PROJECT.champion, KEPT), champion()
    with versions.alone(), versions.new() as folder:
        version = versions.home / folder.stem
        for part in PARTS:
            shutil.copytree(part, folder / part.name)
        for path, _ in TABLES.values():
            (folder / "tables").mkdir(exist_ok=True)
            shutil.copy(path, folder / "tables")
        shutil.copy(LOCK, folder)
        write_text(folder / recording.PARAMS_FILE.name, params_of(version))
        about = {
            "previous": before and before.name,
            "published": datetime.now(UTC).isoformat(timespec="seconds"),
            "snapshot": load_params().ingest.source,
            "mlflow": mlflow_model,
            "withdrawn": False,
        }
        write_json(folder / _NOTE, about | note)
        point_alias(mlflow_model)
    return version


def params_of(version: Path) -> str:
    """The project's settings, their encoders reading the version's own CLIP."""
    named = re.compile(rf"{re.escape(f'{LOCAL}{PROJECT.clip}')}(?![\w./-])")
    return named.sub(f"{LOCAL}{version / PROJECT.clip.name}", recording.PARAMS_FILE.read_text(encoding="utf-8"))


def point_alias(mlflow_model: Sequence[str] | None) -> None:
    """Let MLflow's alias name this registered model; a store that fails costs a warning."""
    if mlflow_model is not None:
        with recording.recorded(f"the alias {ALIAS}"):
            import mlflow

            mlflow.MlflowClient().set_registered_model_alias(mlflow_model[0], ALIAS, mlflow_model[1])


def roll_back(to: str | None = None) -> tuple[str, str]:
    """Put an older version into use again, first for MLflow, then for search: killed between, it is run again.

    Versions that came after it are withdrawn: a refresh does not promote them by itself again.

    Args:
        to: name of a version; None for the one that was in use before this one.

    Returns:
        The names of the version that was in use, and of the one that is.

    Raises:
        ModelError: there is no champion, or no such version.
    """
    versions = Versions(PROJECT.champion)
    with versions.alone():
        now = champion()
        if now is None:
            raise ModelError(
                f"{PROJECT.champion}: there is no champion yet; `python -m flows.refresh SNAPSHOT` makes one"
            )
        there = {version.name: version for version in versions.all()}
        wanted = to or note_of(now)["previous"]
        if wanted not in there:
            raise ModelError(
                f"{wanted or 'a version before the first'} is not there; {now.name} is in use, and there are: "
                f"{', '.join(there)}. Name one: `kadr champion rollback VERSION`"
            )
        for name, version in there.items():
            write_json(version / _NOTE, note_of(version) | {"withdrawn": name > wanted})
        point_alias(note_of(there[wanted])["mlflow"])
        versions.switch(there[wanted])
        return now.name, wanted
