"""Check that the wheel contains only the package, and that its metadata lists the dependencies and extras."""

import os
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

BLOCKED = [
    "dvc",
    "fastapi",
    "great_expectations",
    "lightgbm",
    "mlflow",
    "optuna",
    "prefect",
    "sklearn",
    "starlette",
    "uvicorn",
]


@pytest.fixture(scope="module")
def wheel(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a wheel from the tracked files and return its path."""
    folder = tmp_path_factory.mktemp("wheel")
    archive = folder / "source.tar"
    subprocess.run(["git", "archive", "--output", archive, "HEAD"], cwd=project, check=True)
    with tarfile.open(archive) as tar:
        tar.extractall(folder / "source", filter="data")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        ".",
        "./source",
    ]
    environment = os.environ | {"SETUPTOOLS_SCM_PRETEND_VERSION": "1.2.3"}
    subprocess.run(command, cwd=folder, check=True, env=environment)
    (path,) = folder.glob("*.whl")
    return path


def test_the_wheel_contains_kadr_alone_with_its_data_files(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names} == {"kadr", "kadr-1.2.3.dist-info"}
    assert {
        "kadr/py.typed",
        "kadr/serve/static/index.html",
        "kadr/report/base.html.j2",
        "kadr/report/style.css",
    } <= set(names)
    assert "kadr-1.2.3.dist-info/licenses/LICENSE" in names


def test_the_metadata_name_the_base_dependencies_and_the_extras(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        metadata = Parser().parsestr(archive.read("kadr-1.2.3.dist-info/METADATA").decode())
    base = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert not [line for line in base if line.startswith(tuple(name.replace("_", "-") for name in BLOCKED))]
    assert {"pipeline", "relevance", "serve", "ray", "qdrant"} <= set(metadata.get_all("Provides-Extra", []))
    assert metadata["License-Expression"] == "Apache-2.0"


def test_the_search_packages_import_with_the_base_dependencies_alone() -> None:
    code = f"""
import pkgutil, sys
sys.modules |= dict.fromkeys({BLOCKED!r})  # None: importing the module fails
import kadr
names = [module.name for module in pkgutil.walk_packages(kadr.__path__, "kadr.")]
parts = ("cli", "collection", "embed", "encoders", "index", "io", "params", "search")
for name in [name for name in names if name.split(".")[1] in parts]:
    if not name.endswith((".serve", ".sentence_transformers")):
        __import__(name)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
