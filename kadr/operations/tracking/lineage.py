"""Describe the code, data, settings and machine of an MLflow run, and identify models by a digest."""

import hashlib
import os
import platform
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

from kadr.io.stage_failure import FLOW_RUN_VARIABLE
from kadr.operations.git import try_git
from kadr.params import Params

MODEL_TAG = "kadr.model_sha256"
ROLE_TAG = "kadr.role"
MODEL_ROLE = "model"
"""Role of a finished training run. The runs of a hyperparameter search have the roles `tune` and `trial`."""
GATES_TAG = "kadr.gates"
GATE_FAILURES_TAG = "kadr.gate_failures"
EXPERIMENT_VARIABLE = "DVC_EXP_NAME"
"""Environment variable in which DVC passes the name of an experiment to the stages."""
FLOW_RUN_URL_VARIABLE = "KADR_FLOW_RUN_URL"
"""Environment variable with the URL of the flow run that started this process."""

PACKAGES = ("lightgbm", "numpy", "open-clip-torch", "sentence-transformers", "timm", "torch")


def folder_digest(folder: Path) -> str:
    """Return a sha256 of the names and contents of all files in a folder."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def dvc_md5(path: Path) -> str:
    """Return the md5 of a file, as recorded in dvc.lock."""
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def flatten_params(params: Params) -> dict[str, object]:
    """Return all settings by dotted key, e.g. `train.num_leaves`."""

    def flatten(prefix: str, value: object) -> Iterator[tuple[str, object]]:
        if isinstance(value, dict):
            for key, inner in value.items():
                yield from flatten(f"{prefix}.{key}" if prefix else key, inner)
        else:
            yield prefix, value

    return dict(flatten("", params.model_dump()))


def run_name(params: Params) -> str:
    """Return the name of a training run, e.g. `6 leaves / 1f0c9a / graded_response / clip+efficientnet_lite2`.

    The second part is a digest of all settings, so runs with the same name have the same settings. The name of a DVC
    experiment starts the name of its run.
    """
    digest = hashlib.sha256(params.model_dump_json().encode()).hexdigest()[:6]
    leaves, encoders = f"{params.train.num_leaves} leaves", "+".join(params.embed_images.encoders)
    parts = [os.environ.get(EXPERIMENT_VARIABLE), leaves, digest, params.aggregate.expert, encoders]
    return " / ".join(part for part in parts if part)


def lineage_tags(inputs: Mapping[str, Path]) -> dict[str, str]:
    """Return MLflow tags that describe the code, data, machine, DVC experiment and Prefect run of this process.

    Args:
        inputs: input files by name. The tag `dvc.md5.<name>` contains the md5 of the file.
    """
    tags = {f"dvc.md5.{name}": dvc_md5(path) for name, path in inputs.items()}
    tags["git.commit"] = try_git("rev-parse", "HEAD") or "unknown"
    tags["git.dirty"] = str(bool(try_git("status", "--porcelain", "--untracked-files=no")))
    if experiment := os.environ.get(EXPERIMENT_VARIABLE):
        tags["dvc.experiment"] = experiment
    tags |= {f"prefect.{key}": value for key, value in prefect_run().items()}
    tags |= {f"env.{package}": version(package) for package in PACKAGES}
    return tags | {
        "env.python": platform.python_version(),
        "env.platform": platform.platform(),
        "env.cpus": str(os.cpu_count()),
    }


def prefect_run() -> dict[str, str]:
    """Return the Prefect flow run that started this process, or an empty dictionary if no flow run started it.

    Returns:
        flow_run_id: ID of the flow run.
        flow_run_url: URL of the flow run. This key is missing if the flow run used a temporary Prefect server.
    """
    variables = {"flow_run_id": FLOW_RUN_VARIABLE, "flow_run_url": FLOW_RUN_URL_VARIABLE}
    return {key: value for key, name in variables.items() if (value := os.environ.get(name))}


def reproduction_note(tags: Mapping[str, str]) -> str:
    """Return a run description in Markdown, with the commands that restore the code, settings and files of the run.

    Args:
        tags: tags of the run, including MODEL_TAG and the tags from `lineage_tags`.
    """
    if tags["git.commit"] == "unknown":
        return "This model was trained outside of a git repository. The artifact `params.yaml` contains its settings."
    settings = (
        "The working tree had uncommitted changes. Take the settings from the artifact `params.yaml`.\n\n"
        if tags["git.dirty"] == "True"
        else ""
    )
    return (
        f"```\ngit checkout {tags['git.commit']}\ndvc repro\n```\n\n{settings}"
        "`dvc repro` restores results from the DVC cache and computes only missing results. "
        f"The sha256 of the model is `{tags[MODEL_TAG]}`. `kadr compare` marks the run whose model is in "
        "`models/relevance`."
    )
