"""Promote or reject the challenger, which consists of the models from the last pipeline run.

A paired bootstrap compares the challenger with the champion on the pairs that both models predicted out of fold. The
challenger is promoted unless it is significantly worse. If a challenge is interrupted, run it again.
"""

import hashlib
import json
from pathlib import Path

from kadr.errors import ModelError
from kadr.index import Versions
from kadr.operations.champion.champion_drift import drift_from_champion, read_lock_outs
from kadr.operations.champion.champion_versions import (
    MODEL_FOLDERS,
    current_version,
    publish,
    read_record,
    set_alias,
)
from kadr.operations.champion.drift import summarise
from kadr.operations.champion.model_comparison import compare_with_champion
from kadr.operations.champion.refresh_report import Report, read_report, write_report
from kadr.operations.tracking.lineage import folder_digest, prefect_run
from kadr.operations.tracking.model_registry import register_model
from kadr.operations.tracking.runs import find_run, run_address
from kadr.operations.tracking.tracking_store import tolerate_store_errors
from kadr.params import Params
from kadr.project import PROJECT


def challenge(params: Params) -> Report:
    """Compare the challenger with the champion, publish it unless it is significantly worse, and write the report.

    Returns:
        verdict: `promoted`, `rejected`, or `unchanged` if the challenger needs no comparison.
        reason: reason for the verdict.
        champion: name of the champion version after the challenge.
        snapshot: folder of the raw dataset that the challenger was trained on.
        model_sha256, mlflow_run, mlflow_url: digest of the challenger's model, and ID and URL of its MLflow run.
        data_drift: result of `summarise`, missing if there was no champion.
        compared_pairs, metrics: results of the comparison, missing if there was no champion.
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
        report["data_drift"] = summarise(version.name, drift_from_champion(version, params))
        report |= compare_with_champion(version, params.evaluate, params.seed)
    if report.get("rejected"):
        report |= {"verdict": "rejected", "reason": report["rejected"]}
    else:
        report |= {"verdict": "promoted", "reason": report.get("accepted", "there was no champion")}
        report = _promote(report, params)
    if report["mlflow_run"]:
        _tag_run(report)
    return write_report(report)


def find_earlier_verdict(version: Path, key: str) -> Report | None:
    """Return a report with the verdict `unchanged` if the challenger needs no comparison, otherwise None.

    A challenger needs no comparison if it is already the champion, if it was rolled back, or if the last challenge
    rejected it.

    Args:
        version: folder of the champion version in use.
        key: sha256 that identifies the challenger, from `challenger_key`.
    """
    record = read_record(version)
    if record["challenger"] == key:
        set_alias(record["mlflow"])  # an interruption or a store error may have prevented the alias update
        reason = f"this model is already in use as {version.name}"
        return record | {"verdict": "unchanged", "champion": version.name, "reason": reason}
    for other in Versions(PROJECT.champion).list_versions():
        record = read_record(other)
        if record["withdrawn"] and record["challenger"] == key:
            reason = (
                f"this model is {other.name}, which was rolled back. "
                f"To use it again, run `kadr champion rollback {other.name}`"
            )
            return record | {"verdict": "unchanged", "champion": version.name, "reason": reason}
    last = read_report()
    if last.get("rejected") and (last["challenger"], last["champion"]) == (key, version.name):
        return last | {"verdict": "unchanged", "reason": f"this model was already rejected: {last['rejected']}"}
    return None


def _promote(report: Report, params: Params) -> Report:
    """Register and publish the challenger. Return the report with the name of the new champion version."""
    register = tolerate_store_errors("the registered model")(register_model)
    mlflow_model = register(params.train.experiment, params.embed_images, params.embed_texts)
    version = publish({key: value for key, value in report.items() if key != "champion"}, mlflow_model)
    return read_record(version) | {"champion": version.name}


def challenger_key() -> str:
    """Return a sha256 that identifies the settings and the models of the last pipeline run.

    Raises:
        ModelError: a model folder does not exist, or dvc.lock does not list it.
    """
    outs = read_lock_outs(PROJECT.dvc_lock) if PROJECT.dvc_lock.is_file() else {}
    checksums: dict[str, str] = {}
    for folder in MODEL_FOLDERS:
        folder_outs = {path: md5 for path, md5 in outs.items() if Path(path).is_relative_to(folder)}
        if not folder_outs or not folder.is_dir():
            raise ModelError(f"{folder} is missing, or {PROJECT.dvc_lock} does not list it. Run `dvc repro`.")
        checksums |= folder_outs
    settings = PROJECT.params.read_text(encoding="utf-8")
    return hashlib.sha256(json.dumps([sorted(checksums.items()), settings]).encode()).hexdigest()


def _model_lineage(experiment: str) -> Report:
    """Return the digest of the challenger's model, and the ID and URL of its MLflow run (None if there is no run)."""
    digest = folder_digest(PROJECT.relevance_model)
    run = tolerate_store_errors("the verdict")(find_run)(experiment, digest)
    run_id, address = (run.info.run_id, run_address(run)) if run is not None else (None, None)
    return {"model_sha256": digest, "mlflow_run": run_id, "mlflow_url": address}


@tolerate_store_errors("the verdict")
def _tag_run(report: Report) -> None:
    """Tag the challenger's MLflow run with the verdict."""
    import mlflow

    tags = {"verdict": report["verdict"], "reason": report["reason"], "champion": str(report["champion"])}
    if drift := report.get("data_drift"):
        tags["drift"] = f"{drift['action']}: {drift['reason']}"
    for key, value in (tags | prefect_run()).items():
        mlflow.MlflowClient().set_tag(report["mlflow_run"], f"refresh.{key}", value)
