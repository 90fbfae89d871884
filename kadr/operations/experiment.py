"""Run stages as a DVC experiment in a temporary copy of the project.

`dvc exp run --temp` also uses a temporary copy, but it runs one stage after another, and while it prepares the copy, it
resets the files of the project. A stage that runs at the same time could then read wrong settings. Here, the copy is a
git clone, which does not touch the project.
"""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvc.repo import Repo

from kadr.errors import KadrError
from kadr.io.presets import set_values
from kadr.operations.git import run_git, try_git
from kadr.operations.tracking.lineage import EXPERIMENT_VARIABLE
from kadr.operations.tracking.metric_tables import find_estimates
from kadr.params import load_params
from kadr.project import Project

LINKED_CACHE = "reflink,hardlink,copy"
"""DVC cache type of the copy. Links to the DVC cache take no disk space."""


class ExperimentError(KadrError):
    """An experiment cannot be created."""


@dataclass(frozen=True)
class Experiment:
    """A DVC experiment in a temporary copy of the project.

    Attributes:
        name: name of the experiment.
        origin: absolute path of the project folder.
        root: temporary folder that contains the copy. The path of the copy in `root` is the absolute path of the
            project, so that a relative path such as `../shared` leads to the same place below `root`.
    """

    name: str
    origin: Path
    root: Path

    @property
    def folder(self) -> Path:
        """Absolute path of the copy of the project."""
        return self.root / self.origin.relative_to(self.origin.anchor)

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables of a stage, as DVC sets them for its own experiments."""
        return {EXPERIMENT_VARIABLE: self.name, "DVC_ROOT": str(self.origin)}

    def delete(self) -> None:
        """Delete the copy of the project."""
        shutil.rmtree(self.root)


def create_experiment(name: str, overrides: Sequence[str]) -> Experiment:
    """Copy the project in the working directory, and apply the overrides to params.yaml of the copy.

    The copy contains the files that git tracks, with their uncommitted changes, and the outputs in dvc.lock. Inputs
    that are neither in git nor in DVC are links to the project.

    Args:
        name: name of the experiment.
        overrides: settings as `section.key=value`, as in `dvc exp run -S`.

    Raises:
        ParamsError: an override is not valid.
        ExperimentError: the project has no git commit, the name is not valid, or another experiment has this name.
        GitError: git cannot copy the project.
    """
    origin = Path.cwd()
    _check_git()
    _check_name(name)
    experiment = Experiment(name, origin, origin / ".dvc/tmp/exps/flow" / name)
    try:
        experiment.root.mkdir(parents=True)
    except FileExistsError as error:
        raise ExperimentError(
            f"The folder {experiment.root} already exists, because an experiment with this name is running or has "
            "failed. Choose another name, or delete the folder if the experiment has failed."
        ) from error
    try:
        _clone(experiment)
        set_values(overrides, Project(experiment.folder).params)
        _add_data(experiment)
    except BaseException:
        shutil.rmtree(experiment.root, ignore_errors=True)
        raise
    return experiment


def compare_metrics(experiment: Experiment) -> list[dict[str, object]]:
    """Return the metrics of an experiment, next to the metrics of the last run in the project.

    Returns:
        One row for each metric in metrics/evaluate.json, with the keys metric, experiment, low, high and project. The
        interval [low, high] belongs to the experiment. The list is empty if the experiment has no metrics.
    """
    metrics, old = (_read_metrics(folder) for folder in (experiment.folder, experiment.origin))
    return [
        {"metric": name, "experiment": estimate["value"], "low": estimate["low"], "high": estimate["high"]}
        | {"project": old[name]["value"] if name in old else None}
        for name, estimate in metrics.items()
    ]


def _read_metrics(folder: Path) -> dict[str, Mapping[str, float]]:
    """Return the metrics of the model in metrics/evaluate.json that have an interval."""
    path = Project(folder).metrics / "evaluate.json"
    metrics = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return {keys[0]: estimate for keys, estimate in find_estimates(metrics) if len(keys) == 1}


def _check_git() -> None:
    """Check that the working directory is the root of a git repository with a commit."""
    if try_git("rev-parse", "--verify", "-q", "HEAD") is None or run_git("rev-parse", "--show-prefix"):
        raise ExperimentError(
            "An experiment needs a project folder that is a git repository with a commit. Run `git init`, `git add .` "
            "and `git commit` in the project folder."
        )


def _check_name(name: str) -> None:
    """Check that a new experiment can have this name."""
    if try_git("check-ref-format", f"refs/exps/{name}") is None or "/" in name:
        raise ExperimentError(f"{name!r} is not a valid name of an experiment. Use letters, digits and hyphens.")
    if run_git("for-each-ref", f"refs/exps/*/*/{name}"):
        raise ExperimentError(
            f"There is already an experiment {name!r}. Choose another name, or run `dvc exp remove {name}`."
        )


def _clone(experiment: Experiment) -> None:
    """Clone the current commit with its uncommitted changes. The clone shares the git objects of the project."""
    changes = run_git("-c", "user.name=kadr", "-c", "user.email=kadr@localhost", "stash", "create")
    folder = str(experiment.folder)
    run_git("clone", "-q", "--shared", "--no-checkout", ".", folder)
    run_git("-C", folder, "checkout", "-q", "--detach", run_git("rev-parse", "HEAD"))
    if changes:
        run_git("-C", folder, "stash", "apply", "-q", changes)
    if not (lock := Project(experiment.folder).dvc_lock).exists() and Project().dvc_lock.exists():
        shutil.copy(Project().dvc_lock, lock)


def _add_data(experiment: Experiment) -> None:
    """Link the outputs in dvc.lock from the DVC cache of the project, and link all other inputs to the project."""
    with Repo(str(experiment.origin)) as project:
        settings, cache = project.config.read("local"), project.cache.local_cache_dir
    with Repo(str(experiment.folder)) as repo, repo.config.edit("local") as config:
        config.update(settings)
        config["cache"] = {**config.get("cache", {}), "dir": cache, "type": LINKED_CACHE}
    with Repo(str(experiment.folder)) as repo:
        repo.checkout(force=True, allow_missing=True)
        outs = [Path(out.fs_path) for out in repo.index.outs]
        inputs = {Path(dep.fs_path) for dep in repo.index.deps if dep.protocol == "local"}
    for path in inputs.union(_weights(experiment.folder)):
        is_copied = path.is_relative_to(experiment.root)  # not the case if the path in the settings is absolute
        if is_copied and not any(path.is_relative_to(out) or out.is_relative_to(path) for out in outs):
            _link(Path(path.anchor) / path.relative_to(experiment.root), path)


def _weights(folder: Path) -> list[Path]:
    """Return the absolute paths of the encoder weights in the settings."""
    params = load_params(Project(folder).params)
    encoders: list[Any] = [*params.embed_images.encoders.values(), *params.embed_texts.encoders.values()]
    paths = {path for encoder in encoders for path in encoder.weight_paths.values()}
    return [Path(os.path.normpath(folder / path)) for path in paths]


def _link(source: Path, target: Path) -> None:
    """Create a link to `source`. If `target` is a folder, create a link to each file that is missing in it."""
    if not target.exists() and source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(source)
    elif target.is_dir() and source.is_dir():
        for path in source.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                _link(path, target / path.relative_to(source))
