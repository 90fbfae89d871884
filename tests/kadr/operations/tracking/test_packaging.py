"""Tests of the requirements and the metadata of a model package."""

import ast
import subprocess
import sys
from importlib.metadata import distributions, packages_distributions
from pathlib import Path

from packaging.utils import canonicalize_name

from kadr.operations.tracking.packaging import LIBRARIES, write_distribution_metadata

LIST_KADR_FILES = """
import sys
import kadr.operations.tracking.pyfunc
for name, module in sys.modules.items():
    if name.partition(".")[0] == "kadr":
        print(module.__file__)
"""
INSTALLED_WITH = {"pydantic-core": "pydantic"}


def imported_packages(path: Path) -> set[str]:
    """Return the top-level packages that a file imports at module level."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    names = [alias.name for node in body if isinstance(node, ast.Import) for alias in node.names]
    names += [str(node.module) for node in body if isinstance(node, ast.ImportFrom)]
    return {name.partition(".")[0] for name in names} - {*sys.stdlib_module_names, "kadr"}


def test_the_package_requires_the_libraries_that_loading_it_imports() -> None:
    command = [sys.executable, "-c", LIST_KADR_FILES]
    files = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    packages = set().union(*(imported_packages(Path(file)) for file in files))
    assert {"numpy", "mlflow"} <= packages
    providers = packages_distributions()
    missing = {
        package
        for package in packages
        if not {INSTALLED_WITH.get(name, name) for name in map(canonicalize_name, providers[package])} & {*LIBRARIES}
    }
    assert missing == set()


def test_a_copy_of_kadr_finds_its_encoder_backends_through_the_packaged_metadata(tmp_path: Path) -> None:
    write_distribution_metadata(tmp_path)
    (distribution,) = distributions(path=[str(tmp_path)])
    names = {entry.name for entry in distribution.entry_points if entry.group == "kadr.image_encoders"}
    assert names == {"open_clip", "precomputed", "timm"}
