"""The challenger, which is what the stages wrote last, against the champion: promoted, or rejected with the reason.

`kadr champion challenge` judges both by the paired bootstrap on the pairs that both foretold out of fold, and
publishes the challenger where it is not worse by more than noise. Killed at any point, the same command goes on.
"""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kadr.errors import ModelError
from kadr.index import Versions
from kadr.io.text_files import write_json
from kadr.operations.champion.champion import LOCK, PARTS, champion, note_of, point_alias, publish
from kadr.operations.champion.champion_drift import drift_from, outs_of
from kadr.operations.champion.model_comparison import judged
from kadr.operations.tracking import recording
from kadr.operations.tracking.lineage import folder_digest, prefect_run
from kadr.operations.tracking.model_registry import register
from kadr.params import Params
from kadr.project import PROJECT

REPORT = Path("reports/refresh.json")
Report = dict[str, Any]


def challenge(params: Params) -> Report:
    """Judge the challenger, publish it where it passes, and write REPORT.

    Returns:
        verdict: promoted, rejected, or unchanged where nothing has changed since the last verdict.
        reason: of the verdict.
        champion: the version in use afterwards.
        snapshot, model_sha256, mlflow_run, mlflow_url: of the challenger.
        drift, pairs, figures: what it was judged by, where there was a champion.
    """
    now, key = champion(), challenger_key()
    if now and (report := settled_before(now, key)):
        return _written(report)
    report = {"challenger": key, "snapshot": params.ingest.source, "champion": now and now.name, **_of_model(params)}
    if now:
        report |= {"drift": [asdict(drift) for drift in drift_from(now, params)], **judged(now, params)}
    if report.get("rejected"):
        report |= {"verdict": "rejected", "reason": report["rejected"]}
    else:
        report |= {"verdict": "promoted", "reason": report.get("passed", "there was no champion")}
        report = _promoted(report, params)
    _tag(report)
    return _written(report)


def settled_before(now: Path, key: str) -> Report | None:
    """The report where the challenger of this key is the champion, was rejected against it, or was rolled back."""
    known = note_of(now)
    if known["challenger"] == key:
        point_alias(known["mlflow"])  # had a kill, or a store that failed, left it behind
        return known | {"verdict": "unchanged", "champion": now.name, "reason": f"{now.name} is this model already"}
    for version in Versions(PROJECT.champion).all():
        note = note_of(version)
        if note["withdrawn"] and note["challenger"] == key:
            back = f"`kadr champion rollback {version.name}` puts it into use again"
            reason = f"{version.name} is this model, and was rolled back; {back}"
            return note | {"verdict": "unchanged", "champion": now.name, "reason": reason}
    last: Report = json.loads(REPORT.read_text(encoding="utf-8")) if REPORT.is_file() else {}
    if last.get("rejected") and (last["challenger"], last["champion"]) == (key, now.name):
        return last | {"verdict": "unchanged", "reason": f"rejected before: {last['rejected']}"}
    return None


def _promoted(report: Report, params: Params) -> Report:
    """Register the challenger and publish it."""
    model = None
    with recording.recorded("the registered model"):
        model = register(params)
    version = publish({key: value for key, value in report.items() if key != "champion"}, model)
    return note_of(version) | {"champion": version.name}


def challenger_key() -> str:
    """sha256 of what DVC says that the stages wrote, and of the settings. Raises ModelError where something lacks."""
    outs = outs_of(LOCK) if LOCK.is_file() else {}
    found: dict[str, str] = {}
    for part in PARTS:
        own = {path: md5 for path, md5 in outs.items() if Path(path).is_relative_to(part)}
        if not own or not part.is_dir():
            raise ModelError(f"{part} is not there, or not in {LOCK}; run `dvc repro`")
        found |= own
    settings = recording.PARAMS_FILE.read_text(encoding="utf-8")
    return hashlib.sha256(json.dumps([sorted(found.items()), settings]).encode()).hexdigest()


def _of_model(params: Params) -> Report:
    """The challenger's digest, and its MLflow run and that run's address, where MLflow has them."""
    report: Report = {"model_sha256": folder_digest(PROJECT.relevance_model), "mlflow_run": None, "mlflow_url": None}
    with recording.recorded("anything of this training"):
        import mlflow

        run, store = recording.find_run(params.train.experiment, report["model_sha256"]), mlflow.get_tracking_uri()
        if run is not None:
            page = f"{store}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"
            report |= {"mlflow_run": run.info.run_id, "mlflow_url": page if store.startswith("http") else None}
    return report


def _tag(report: Report) -> None:
    """Note the verdict at the challenger's MLflow run."""
    if report["mlflow_run"] is None:
        return
    with recording.recorded("the verdict"):
        import mlflow

        tags = {"verdict": report["verdict"], "reason": report["reason"], "champion": str(report["champion"])}
        for key, value in (tags | prefect_run()).items():
            mlflow.MlflowClient().set_tag(report["mlflow_run"], f"refresh.{key}", value)


def _written(report: Report) -> Report:
    write_json(REPORT, report)
    return report
