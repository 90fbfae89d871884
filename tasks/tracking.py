"""The stages' way to MLflow: what came out, with which parameters, data and code.

The store is $MLFLOW_TRACKING_URI, or sqlite:///mlflow.db in the project. A store that cannot be written costs the
record, never the training: the stage warns and goes on.
"""

import hashlib
import logging
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from kadr.params import Params

logger = logging.getLogger(__name__)

DEFAULT_STORE = "sqlite:///mlflow.db"
MODEL_TAG = "kadr.model_sha256"
ROLE_TAG = "kadr.role"


def folder_digest(folder: Path) -> str:
    """sha256 over the names and bytes of all files of `folder`, in the order of their names."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


@contextmanager
def recorded(what: str) -> Iterator[None]:
    """Warn, and go on, where MLflow's store cannot take `what`."""
    import mlflow
    from sqlalchemy.exc import SQLAlchemyError

    mlflow.set_tracking_uri(os.environ.get("MLFLOW_TRACKING_URI", DEFAULT_STORE))
    try:
        yield
    except (mlflow.exceptions.MlflowException, SQLAlchemyError, OSError) as error:
        logger.warning("MLflow did not record %s (%s); the files are written. Mend the store and re-run", what, error)


def flat_params(params: Params) -> dict[str, object]:
    """The settings as dotted keys, as `dvc exp run -S` names them."""

    def flatten(prefix: str, value: object) -> Iterator[tuple[str, object]]:
        if isinstance(value, dict):
            for key, inner in value.items():
                yield from flatten(f"{prefix}.{key}" if prefix else key, inner)
        else:
            yield prefix, value

    return dict(flatten("", params.model_dump()))


def lineage(inputs: Mapping[str, Path]) -> dict[str, str]:
    """Tags that lead from a run to its code, its data and its Prefect run."""
    tags = {f"dvc.md5.{name}": _dvc_md5(path) for name, path in inputs.items()}
    tags["git.commit"] = _git("rev-parse", "HEAD") or "unknown"
    tags["git.dirty"] = str(bool(_git("status", "--porcelain", "--untracked-files=no")))
    if run_id := os.environ.get("PREFECT__FLOW_RUN_ID"):
        tags["prefect.flow_run_id"] = run_id
    return tags


def _dvc_md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def record_training(
    params: Params, model: Path, inputs: Mapping[str, Path], figures: Mapping[str, Mapping[str, float]]
) -> None:
    """Record one training as a parent run, with a child run for each entry of `figures` (folds, baselines).

    Args:
        params: all settings.
        model: the folder of the model; its digest is the tag by which stage evaluate finds the run.
        inputs: name -> file that the training read, for the tags dvc.md5.<name>.
        figures: child's name -> its metrics.
    """
    import mlflow

    tags = lineage(inputs) | {MODEL_TAG: folder_digest(model)}
    with recorded("the training"):
        mlflow.set_experiment(params.train.experiment)
        with mlflow.start_run(tags=tags | {ROLE_TAG: "model"}):
            mlflow.log_params(flat_params(params))
            mlflow.log_artifacts(str(model), "model")
            for name, metrics in figures.items():
                with mlflow.start_run(run_name=name, nested=True, tags=tags | {ROLE_TAG: name}):
                    mlflow.log_metrics(dict(metrics))


def record_evaluation(params: Params, model: Path, figures: Mapping[str, Mapping[str, float]]) -> None:
    """Add figures to the newest runs of the model in folder `model`: role (`model` or a child's name) -> metrics."""
    import mlflow

    with recorded("the evaluation"):
        experiment = mlflow.set_experiment(params.train.experiment)
        digest = folder_digest(model)
        for role, metrics in figures.items():
            wanted = f"tags.`{MODEL_TAG}` = '{digest}' and tags.`{ROLE_TAG}` = '{role}'"
            found = mlflow.search_runs([experiment.experiment_id], wanted, max_results=1, output_format="list")
            if not found:
                logger.warning("no MLflow run of this model with role %s; its figures are in metrics/ alone", role)
            for run in found:
                with mlflow.start_run(run_id=run.info.run_id):
                    mlflow.log_metrics(dict(metrics))


def record_children(params: Params, model: Path, figures: Mapping[str, Mapping[str, float]]) -> None:
    """Add child runs (role -> metrics) to the newest run of the model in folder `model`; one that is there is kept."""
    import mlflow

    with recorded("the child runs"):
        experiment = mlflow.set_experiment(params.train.experiment)
        digest = folder_digest(model)
        known = _runs_of(experiment.experiment_id, digest)
        if "model" not in known:
            logger.warning("no MLflow run of this model; its child runs are in metrics/ alone")
            return
        with mlflow.start_run(run_id=known["model"]):
            for role, metrics in figures.items():
                tags = {MODEL_TAG: digest, ROLE_TAG: role}
                with mlflow.start_run(run_id=known.get(role), run_name=role, nested=True, tags=tags):
                    mlflow.log_metrics(dict(metrics))


def _runs_of(experiment_id: str, digest: str) -> dict[str, str]:
    """Role -> id of the newest run of the model with this digest."""
    import mlflow

    found = mlflow.search_runs([experiment_id], f"tags.`{MODEL_TAG}` = '{digest}'", output_format="list")
    return {run.data.tags[ROLE_TAG]: run.info.run_id for run in reversed(found)}
