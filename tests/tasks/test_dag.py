"""Contracts between dvc.yaml, params.yaml, presets/, tasks/, their tests and requirements.lock."""

import ast
import re
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.dependency import ParamsDependency
from dvc.repo import Repo
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from kadr.params import load_params
from kadr.presets import use_preset
from tasks import paths

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
SHARED_TASKS = {"__init__", "stage", "paths", "tracking", "lineage", "run_plots"}
COMMANDS = {  # no stages
    *("challenge", "champion", "commands", "compare", "doctor", "doctor_tools", "drift", "judge", "packed", "pyfunc"),
    *("register", "score", "snapshot", "stale", "tune", "tune_record", "tune_study"),
}
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
    assert sorted(tasks - SHARED_TASKS - COMMANDS) == sorted(STAGES)


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_runs_the_task_of_its_name_and_has_a_test(dag: dict[str, Any], name: str) -> None:
    assert re.fullmatch(rf"python -m tasks\.{name}( \S+)?", dag[name].cmd)
    assert (PROJECT / f"tests/tasks/test_{name}.py").is_file()


# A code file missing from deps is silently not watched; one too many re-runs a stage for nothing.


def sources_of(module: str) -> Iterator[Path]:
    """Files that importing the module runs: its own and those of its packages that do something."""
    path = PROJECT / module.replace(".", "/")
    if path.with_suffix(".py").is_file():
        yield path.with_suffix(".py")
    for package in (path, *path.parents):
        init = package / "__init__.py"
        if package.is_relative_to(PROJECT) and init.is_file() and does_something(init):
            yield init


def does_something(init: Path) -> bool:
    """Whether a package's file has more than a docstring and constants such as its version."""
    return not all(
        isinstance(node, (ast.Expr, ast.Assign)) and isinstance(node.value, ast.Constant)
        for node in ast.parse(init.read_text()).body
    )


def imports_of(source: Path) -> Iterator[str]:
    """First-party modules that a file imports, in functions too; a name imported from a package may be a module."""
    package = list(source.relative_to(PROJECT).parts[:-1])
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def closure(module: str) -> set[str]:
    """Every first-party file that running the module can reach, relative to the project."""
    found: set[Path] = set()
    waiting = list(sources_of(module))
    while waiting:
        source = waiting.pop()
        if source not in found:
            found.add(source)
            first_party = (name for name in imports_of(source) if name.split(".")[0] in {"kadr", "tasks", "flows"})
            waiting += [path for name in first_party for path in sources_of(name)]
    return {path.relative_to(PROJECT).as_posix() for path in found}


def covers(dep: str, file: str) -> bool:
    return file == dep or file.startswith(f"{dep}/")


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_watches_exactly_the_code_that_it_imports(dag: dict[str, Any], name: str) -> None:
    code = closure(f"tasks.{name}")
    watched = [dep for dep in files_read(dag[name]) if dep.split("/")[0] in {"kadr", "tasks", "flows"}]
    unwatched = sorted(file for file in code if not any(covers(dep, file) for dep in watched))
    assert unwatched == [], f"add to deps of {name}"
    needless = sorted(dep for dep in watched if not any(covers(dep, file) for file in code))
    assert needless == [], f"remove from deps of {name}"


def test_the_closure_follows_functions_and_packages() -> None:
    assert {"tasks/stage.py", "kadr/params/__init__.py", "kadr/errors.py"} <= closure("tasks.stage")
    assert "tasks/paths.py" not in closure("tasks.stage")


# Files and params.


def test_every_path_of_the_tasks_is_written_by_a_stage(dag: dict[str, Any]) -> None:
    outs = [Path(out.def_path) for stage in dag.values() for out in stage.outs]
    for name, path in vars(paths).items():
        if isinstance(path, Path):
            written = any(out == path or out in path.parents or path in out.parents for out in outs)
            assert written, f"tasks/paths.py: {name} is no out of dvc.yaml"


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
