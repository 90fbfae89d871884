"""What leads from an MLflow run to its code, data, settings and machine, and from a model on disk to its run."""

import hashlib
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

from kadr.params import Params

MODEL_TAG = "kadr.model_sha256"
ROLE_TAG = "kadr.role"
PACKAGES = ("lightgbm", "numpy", "open-clip-torch", "sentence-transformers", "timm", "torch")


def folder_digest(folder: Path) -> str:
    """sha256 over the names and bytes of all files of `folder`, in the order of their names."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def dvc_md5(path: Path) -> str:
    """The md5 by which DVC knows the file."""
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def flat_params(params: Params) -> dict[str, object]:
    """The settings as dotted keys, as `dvc exp run -S` names them."""

    def flatten(prefix: str, value: object) -> Iterator[tuple[str, object]]:
        if isinstance(value, dict):
            for key, inner in value.items():
                yield from flatten(f"{prefix}.{key}" if prefix else key, inner)
        else:
            yield prefix, value

    return dict(flatten("", params.model_dump()))


def run_name(params: Params) -> str:
    """What tells trainings apart in a list: `clip+efficientnet_lite2 / graded_response / 6 leaves`."""
    encoders = "+".join(params.embed_images.encoders)
    return f"{encoders} / {params.aggregate.expert} / {params.train.num_leaves} leaves"


def lineage(inputs: Mapping[str, Path]) -> dict[str, str]:
    """Tags that lead from a run to its code, its data, its machine and its Prefect run."""
    tags = {f"dvc.md5.{name}": dvc_md5(path) for name, path in inputs.items()}
    tags["git.commit"] = _git("rev-parse", "HEAD") or "unknown"
    tags["git.dirty"] = str(bool(_git("status", "--porcelain", "--untracked-files=no")))
    tags |= {f"prefect.{key}": value for key, value in prefect_run().items()}
    tags |= {f"env.{package}": version(package) for package in PACKAGES}
    return tags | {
        "env.python": platform.python_version(),
        "env.platform": platform.platform(),
        "env.cpus": str(os.cpu_count()),
    }


def prefect_run() -> dict[str, str]:
    """flow_run_id and, where a server shows it, flow_run_url of the Prefect run that this process is started by."""
    named = {"flow_run_id": "PREFECT__FLOW_RUN_ID", "flow_run_url": "KADR_FLOW_RUN_URL"}
    return {key: value for key, name in named.items() if (value := os.environ.get(name))}


def way_back(tags: Mapping[str, str]) -> str:
    """A run's note: the commands that bring its code, settings and files back. Markdown, as MLflow shows it."""
    if tags["git.commit"] == "unknown":
        return "Trained outside of git: the run's settings are its artifact `params.yaml`."
    settings = (
        "The working tree had changes that were not committed: take the run's artifact `params.yaml` too.\n\n"
        if tags["git.dirty"] == "True"
        else ""
    )
    return (
        f"```\ngit checkout {tags['git.commit']}\ndvc repro\n```\n\n{settings}"
        "`dvc repro` takes what it finds in its cache, and computes only what is gone from there. "
        f"The model's sha256 is `{tags[MODEL_TAG]}`: `kadr compare` marks the run whose model is in "
        "`models/relevance`."
    )


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
