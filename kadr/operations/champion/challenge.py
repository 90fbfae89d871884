"""Challenge the champion with the models of the last pipeline run: promote them, or reject them with a reason.

The two models are compared with a paired bootstrap on the pairs that both predicted out of fold. The challenger is
promoted unless it is significantly worse. An interrupted challenge can be repeated.
"""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from kadr.errors import ModelError
from kadr.index import Versions
from kadr.operations.champion.champion_drift import drift_from_champion, read_lock_outs
from kadr.operations.champion.champion_versions import (
    DVC_LOCK,
    MODEL_FOLDERS,
    current_version,
    publish,
    read_record,
    set_alias,
)
from kadr.operations.champion.model_comparison import compare_with_champion
from kadr.operations.champion.refresh_report import Report, read_report, write_report
from kadr.operations.tracking.lineage import folder_digest, prefect_run
from kadr.operations.tracking.model_registry import register_model
from kadr.operations.tracking.runs import find_run
from kadr.operations.tracking.tracking_store import tolerate_store_errors
from kadr.params import Params
from kadr.project import PROJECT


def challenge(params: Params) -> Report:
    """Compare the challenger with the champion, publish it if it passes, and write the report.

    Returns:
        verdict: promoted, rejected, or unchanged if nothing has changed since the last verdict.
        reason: reason of the verdict.
        champion: name of the version in use afterwards.
        snapshot: folder of the challenger's raw dataset.
        model_sha256, mlflow_run, mlflow_url: the challenger's model and its MLflow run.
        drift, compared_pairs, metrics: results of the comparison. Missing if there was no champion.
    """
    version, key = current_version(), challenger_key()
    if version and (report := find_earlier_verdict(version, key)):
        return write_report(report)
    report = {
        "challenger": key,
        "snapshot": params.ingest.source,
        "champion": version and version.name,
        **_model_lineage(params.train.experiment),
    }
    if version:
        drift = drift_from_champion(version, params.embed_images.encoders, params.embed_texts.encoders)
        comparison = compare_with_champion(version, params.evaluate, params.seed)
        report |= {"drift": [asdict(variable) for variable in drift], **comparison}
    if report.get("rejected"):
        report |= {"verdict": "rejected", "reason": report["rejected"]}
    else:
        report |= {"verdict": "promoted", "reason": report.get("accepted", "there was no champion")}
        report = _promote(report, params)
    _tag_run(report)
    return write_report(report)


def find_earlier_verdict(version: Path, key: str) -> Report | None:
    """Return a report with the verdict `unchanged` if the challenger needs no comparison, otherwise None.

    A challenger needs no comparison if it is the champion, was rolled back, or was rejected by the last challenge.

    Args:
        version: folder of the version in use.
        key: key of the challenger.
    """
    record = read_record(version)
    if record["challenger"] == key:
        set_alias(record["mlflow"])  # an interruption or a failing store may have left the alias behind
        reason = f"{version.name} is already this model"
        return record | {"verdict": "unchanged", "champion": version.name, "reason": reason}
    for other in Versions(PROJECT.champion).list_versions():
        record = read_record(other)
        if record["withdrawn"] and record["challenger"] == key:
            reason = (
                f"this model is {other.name}, which was rolled back. "
                f"Use it again with `kadr champion rollback {other.name}`"
            )
            return record | {"verdict": "unchanged", "champion": version.name, "reason": reason}
    last = read_report()
    if last.get("rejected") and (last["challenger"], last["champion"]) == (key, version.name):
        return last | {"verdict": "unchanged", "reason": f"rejected before: {last['rejected']}"}
    return None


def _promote(report: Report, params: Params) -> Report:
    """Register and publish the challenger, and return the report of the new version."""
    mlflow_model = None
    with tolerate_store_errors("the registered model"):
        mlflow_model = register_model(params.train.experiment, params.embed_images, params.embed_texts)
    version = publish({key: value for key, value in report.items() if key != "champion"}, mlflow_model)
    return read_record(version) | {"champion": version.name}


def challenger_key() -> str:
    """Return the sha256 of the settings and of the DVC checksums of the models from the last pipeline run.

    Raises:
        ModelError: a model folder is missing, on disk or in dvc.lock.
    """
    outs = read_lock_outs(DVC_LOCK) if DVC_LOCK.is_file() else {}
    checksums: dict[str, str] = {}
    for folder in MODEL_FOLDERS:
        folder_outs = {path: md5 for path, md5 in outs.items() if Path(path).is_relative_to(folder)}
        if not folder_outs or not folder.is_dir():
            raise ModelError(f"{folder} is missing, or {DVC_LOCK} does not list it. Run `dvc repro`.")
        checksums |= folder_outs
    settings = PROJECT.params.read_text(encoding="utf-8")
    return hashlib.sha256(json.dumps([sorted(checksums.items()), settings]).encode()).hexdigest()


def _model_lineage(experiment: str) -> Report:
    """Return the digest of the challenger's model, and the ID and page of its MLflow run if there is one."""
    report: Report = {"model_sha256": folder_digest(PROJECT.relevance_model), "mlflow_run": None, "mlflow_url": None}
    with tolerate_store_errors("the verdict"):
        import mlflow

        run, store = find_run(experiment, report["model_sha256"]), mlflow.get_tracking_uri()
        if run is not None:
            page = f"{store}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"
            report |= {"mlflow_run": run.info.run_id, "mlflow_url": page if store.startswith("http") else None}
    return report


def _tag_run(report: Report) -> None:
    """Add the verdict to the challenger's MLflow run, as tags."""
    if report["mlflow_run"] is None:
        return
    with tolerate_store_errors("the verdict"):
        import mlflow

        tags = {"verdict": report["verdict"], "reason": report["reason"], "champion": str(report["champion"])}
        for key, value in (tags | prefect_run()).items():
            mlflow.MlflowClient().set_tag(report["mlflow_run"], f"refresh.{key}", value)
