"""Check that dvc.yaml, params.yaml, the presets, the task modules, their tests and requirements.lock match."""

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
from kadr.io.presets import apply_preset
from kadr.operations.code_hashes import PACKAGES, modules_used
from kadr.params import load_params

# This warning comes from pygtrie, a dependency of DVC.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")

PROJECT = Path(__file__).parents[2]
STAGES = [
    "code",
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
WITH_SETTINGS = [name for name in STAGES if name != "code"]
SHARED_SECTIONS = {"decoding", "embed"}
PARAMS = yaml.safe_load((PROJECT / "params.yaml").read_text())
PRESETS = sorted((PROJECT / "presets").glob("*.yaml"))


@pytest.fixture(scope="module")
def dag() -> dict[str, Any]:
    """Return the first instance of each stage, as resolved by DVC."""
    with Repo(str(PROJECT)) as repo:
        stages = {stage.name: stage for stage in repo.index.stages if getattr(stage, "name", None)}
    return {name.partition("@")[0]: stage for name, stage in sorted(stages.items(), reverse=True)}


# Names


def test_a_stage_has_the_same_name_in_dvc_yaml_params_yaml_and_tasks(dag: dict[str, Any]) -> None:
    assert sorted(dag) == sorted(STAGES)
    sections = {key for key, section in PARAMS.items() if isinstance(section, dict)}
    assert sorted(sections - SHARED_SECTIONS) == sorted(WITH_SETTINGS)
    modules = {path.stem for path in (PROJECT / "tasks").glob("*.py")}
    assert sorted(modules - {"__init__"}) == sorted(STAGES)


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_runs_the_module_of_its_name_and_has_a_test(dag: dict[str, Any], name: str) -> None:
    assert re.fullmatch(rf"python -m tasks\.{name}( \S+)?", dag[name].cmd)
    assert (PROJECT / f"tests/tasks/test_{name}.py").is_file()


# Code: the `code` stage hashes it, and every other stage depends on its own hashes.


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_depends_on_its_own_code_hashes_and_on_no_code_file(dag: dict[str, Any], name: str) -> None:
    expected = list(PACKAGES) if name == "code" else [f"data/code/{name}.json"]
    paths = [dependency.def_path for dependency in dag[name].deps]
    assert [path for path in paths if Path(path).parts[0] in PACKAGES or "data/code" in path] == expected


def test_the_code_of_a_stage_includes_imports_in_functions_and_packages() -> None:
    assert {"kadr.params", "kadr.params.params_file", "kadr.errors"} <= modules_used("kadr.cli.stage")
    assert "kadr.cli.main" not in modules_used("kadr.cli.stage")
    assert "kadr.encoders.encoder_loading" in modules_used("tasks.embed_images")


@pytest.mark.parametrize(
    ("stage", "module"),
    [
        ("ingest", "kadr.ingest.formats.long"),
        ("aggregate", "kadr.aggregate.majority"),
        ("embed_images", "kadr.encoders.timm"),
        ("embed_texts", "kadr.encoders.tfidf"),
    ],
)
def test_the_code_of_a_stage_includes_registered_implementations(stage: str, module: str) -> None:
    assert module in modules_used(f"tasks.{stage}")


# Files and params


def test_the_project_has_a_path_for_every_output(dag: dict[str, Any]) -> None:
    layout = kadr.project.Project()
    paths = [getattr(layout, name) for name, value in vars(type(layout)).items() if isinstance(value, property)]
    for output in (Path(output.def_path) for stage in dag.values() for output in stage.outs):
        assert any(output == path or path in output.parents for path in paths), f"Project has no path for {output}"


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_writes_its_metrics(dag: dict[str, Any], name: str) -> None:
    instance = dag[name].name
    assert f"metrics/{instance}.json" in [output.def_path for output in dag[name].outs]


def test_dvc_shows_only_the_headline_metrics(dag: dict[str, Any]) -> None:
    metrics = [output.def_path for stage in dag.values() for output in stage.outs if output.metric]
    assert metrics == ["metrics/headline.json"]


def test_every_stage_has_a_description(dag: dict[str, Any]) -> None:
    assert all(stage.desc for stage in dag.values())


@pytest.mark.parametrize("name", WITH_SETTINGS)
def test_a_stage_depends_on_its_own_section_and_on_single_keys_of_other_sections(
    dag: dict[str, Any], name: str
) -> None:
    params = [dependency for dependency in dag[name].deps if isinstance(dependency, ParamsDependency)]
    keys = [key for dependency in params for key in dependency.params]
    assert any(key.split(".")[0] == name for key in keys)
    for key in keys:
        value: Any = PARAMS
        for part in key.split("."):
            assert part in value, f"{key} is not in params.yaml"
            value = value[part]
        assert key == name or "." in key or not isinstance(value, dict), f"{name} depends on the whole section {key}"


# Presets and requirements.lock


def list_keys(preset: dict[str, Any]) -> list[str]:
    """Return the keys that a preset sets. A mapping such as `encoders` counts as one key."""
    return sorted(f"{section}.{key}" for section, values in preset.items() for key in values)


def test_all_presets_set_the_same_keys() -> None:
    keys = {path.name: list_keys(yaml.safe_load(path.read_text())) for path in PRESETS}
    assert {"sample.yaml", "flickr8k.yaml", "practicum.yaml"} <= set(keys)
    assert all(preset_keys == keys["sample.yaml"] for preset_keys in keys.values()), keys


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: str(path.stem))
def test_a_preset_gives_valid_params(path: Path, tmp_path: Path) -> None:
    params_path = tmp_path / "params.yaml"
    shutil.copy(PROJECT / "params.yaml", params_path)
    apply_preset(path.stem, [], params_path, path.parent)
    params, preset = load_params(params_path), yaml.safe_load(path.read_text())
    assert params.ingest.source == preset["ingest"]["source"]
    assert set(params.embed_images.encoders) == set(preset["embed_images"]["encoders"])


def test_the_lock_pins_an_allowed_version_of_every_dependency() -> None:
    lines = (PROJECT / "requirements.lock").read_text().splitlines()
    pins = [line.split(";")[0].strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+(\[[a-z,-]+\])?==[\w.!+]+", pin) for pin in pins), "expected NAME==VERSION"
    versions = {canonicalize_name(re.split(r"[\[=]", pin)[0]): pin.split("==")[1] for pin in pins}
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    extras = [text for texts in project["optional-dependencies"].values() for text in texts]
    for text in [*project["dependencies"], *extras]:
        requirement = Requirement(text)
        if requirement.name == project["name"]:
            continue
        version = versions.get(canonicalize_name(requirement.name))
        assert version, f"{requirement.name} is not in requirements.lock"
        assert requirement.specifier.contains(version, prereleases=True), f"{text} is locked to {version}"
