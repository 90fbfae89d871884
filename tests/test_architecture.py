"""Check that the documentation of the project structure matches the code."""

import runpy
import tomllib
from pathlib import Path

import pytest


def test_the_picture_of_the_layers_is_up_to_date(project: Path) -> None:
    module = runpy.run_path(str(project / "docs/layers.py"))
    assert (project / "docs/layers.svg").read_text(encoding="utf-8") == module["draw"](), (
        "docs/layers.svg is out of date: run `python docs/layers.py`"
    )


def test_every_package_of_kadr_is_in_a_layer(project: Path) -> None:
    layers = {name for layer in runpy.run_path(str(project / "docs/layers.py"))["layers"]() for name in layer}
    children = (path for path in (project / "kadr").iterdir() if not path.name.startswith("_"))
    packages = {f"kadr.{path.stem}" for path in children if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert packages <= layers


@pytest.mark.parametrize("name", ["LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "data/README.md", "models/README.md"])
def test_files_that_newcomers_look_for_are_tracked(project: Path, name: str) -> None:
    assert (project / name).is_file()


def test_registrations_can_be_imported(project: Path) -> None:
    from kadr.registry import Registry

    groups = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
    for group, entries in groups.items():
        registry: Registry[object] = Registry(group, group)
        assert set(entries) <= set(registry.names)
        assert all(registry.load(name) for name in entries)
