"""Contracts between dvc.yaml, params.yaml, presets/, tasks/, their tests and requirements.lock."""

import copy
import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.dependency import ParamsDependency
from dvc.repo import Repo
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import kadr.project
from kadr.io.presets import use_preset
from kadr.operations.code_dependencies import modules_used, with_code_dependencies
from kadr.params import load_params

pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")  # pygtrie under DVC

PROJECT = Path(__file__).parents[2]
STAGES = [
    "ingest",
    "aggregate",
    "clip",
    "embed_images",
    "embed_texts",
    "train",
    "evaluate",
    "ablate",
    "index",
    "report",
]
SHARED_SECTIONS = {"embed"}
PARAMS = yaml.safe_load((PROJECT / "params.yaml").read_text())
PRESETS = sorted((PROJECT / "presets").glob("*.yaml"))


@pytest.fixture(scope="module")
def dag() -> dict[str, Any]:
    """Each stage's first instance as DVC resolves it."""
    with Repo(str(PROJECT)) as repo:
        stages = {stage.name: stage for stage in repo.index.stages if getattr(stage, "name", None)}
    return {name.partition("@")[0]: stage for name, stage in sorted(stages.items(), reverse=True)}


def files_read(stage: Any) -> list[str]:
    return [dep.def_path for dep in stage.deps if not isinstance(dep, ParamsDependency)]


def params_read(stage: Any) -> list[str]:
    return [key for dep in stage.deps if isinstance(dep, ParamsDependency) for key in dep.params]


# One name everywhere.


def test_the_stages_are_those_of_the_design(dag: dict[str, Any]) -> None:
    assert sorted(dag) == sorted(STAGES)
    sections = {key for key, section in PARAMS.items() if isinstance(section, dict)}
    assert sorted(sections - SHARED_SECTIONS) == sorted(STAGES)
    tasks = {path.stem for path in (PROJECT / "tasks").glob("*.py")}
    assert sorted(tasks - {"__init__"}) == sorted(STAGES)


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_runs_the_task_of_its_name_and_has_a_test(dag: dict[str, Any], name: str) -> None:
    assert re.fullmatch(rf"python -m tasks\.{name}( \S+)?", dag[name].cmd)
    assert (PROJECT / f"tests/tasks/test_{name}.py").is_file()


# A code file missing from deps is silently not watched; one too many re-runs a stage for nothing.


def test_the_code_dependencies_are_those_of_the_imports() -> None:
    stages = yaml.safe_load((PROJECT / "dvc.yaml").read_text())
    generated = with_code_dependencies(copy.deepcopy(stages), PROJECT)
    assert generated == stages, "run `make deps`"


def test_imports_in_functions_and_of_packages_are_followed() -> None:
    assert {"kadr.params", "kadr.params.params_file", "kadr.errors"} <= modules_used("kadr.cli.stage")
    assert "kadr.cli.main" not in modules_used("kadr.cli.stage")
    assert "kadr.encoders.registry" in modules_used("tasks.embed_images")


# Files and params.


def test_the_project_has_a_path_for_every_out(dag: dict[str, Any]) -> None:
    layout = kadr.project.Project()
    paths = [getattr(layout, name) for name, value in vars(type(layout)).items() if isinstance(value, property)]
    for out in (Path(out.def_path) for stage in dag.values() for out in stage.outs):
        assert any(out == path or path in out.parents for path in paths), f"kadr/project.py has no path for {out}"


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_writes_its_metrics(dag: dict[str, Any], name: str) -> None:
    instance = dag[name].name
    assert [out.def_path for out in dag[name].outs if out.metric] == [f"metrics/{instance}.json"]


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_depends_on_its_own_params_and_single_ones_of_others(dag: dict[str, Any], name: str) -> None:
    keys = params_read(dag[name])
    assert any(key.split(".")[0] == name for key in keys)
    for key in keys:
        value: Any = PARAMS
        for part in key.split("."):
            assert part in value, f"{key} is not in params.yaml"
            value = value[part]
        assert key == name or "." in key or not isinstance(value, dict), f"{name} depends on the whole section {key}"


# Presets and the lock.


def keys_of(preset: dict[str, Any]) -> list[str]:
    """The values that a preset sets; a mapping such as `encoders` is one of them."""
    return sorted(f"{section}.{key}" for section, keys in preset.items() for key in keys)


def test_all_presets_set_the_same_keys_so_that_any_can_follow_any() -> None:
    keys = {path.name: keys_of(yaml.safe_load(path.read_text())) for path in PRESETS}
    assert {"sample.yaml", "flickr8k.yaml", "practicum.yaml"} <= set(keys)
    assert all(each == keys["sample.yaml"] for each in keys.values()), keys


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: str(path.stem))
def test_a_preset_gives_valid_params(path: Path, tmp_path: Path) -> None:
    mine = tmp_path / "params.yaml"
    shutil.copy(PROJECT / "params.yaml", mine)
    use_preset(path.stem, [], mine, path.parent)
    params, preset = load_params(mine), yaml.safe_load(path.read_text())
    assert params.ingest.source == preset["ingest"]["source"]
    assert set(params.embed_images.encoders) == set(preset["embed_images"]["encoders"])


def test_the_lock_pins_every_direct_dependency_and_no_address() -> None:
    lines = (PROJECT / "requirements.lock").read_text().splitlines()
    pins = [line.split(";")[0].strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+(\[[a-z,-]+\])?==[\w.!+]+", pin) for pin in pins), "only NAME==VERSION"
    pinned = {canonicalize_name(re.split(r"[\[=]", pin)[0]): pin.split("==")[1] for pin in pins}
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for text in [*project["dependencies"], *extras["web"], *extras["dev"]]:
        wanted = Requirement(text)
        version = pinned.get(canonicalize_name(wanted.name))
        assert version, f"{wanted.name} is not in requirements.lock"
        assert wanted.specifier.contains(version, prereleases=True), f"{text} is locked to {version}"
