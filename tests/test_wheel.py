"""Check the content and the metadata of the wheel, and use it with the base dependencies alone, as a new user does."""

import json
import os
import pty
import shutil
import socket
import subprocess
import sys
import tarfile
import time
import tomllib
import urllib.request
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from email.parser import Parser
from pathlib import Path

import pytest

from tests.base_environment import create_environment, find_dependencies

pytestmark = pytest.mark.slow

BLOCKED = ["dvc", "great_expectations", "lightgbm", "mlflow", "optuna", "prefect", "sentence_transformers", "sklearn"]
"""Packages of the extras. Indexing, searching and serving must work without them."""

N_PHOTOS = 12
START_SECONDS = 300


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
    extras = {"pipeline", "relevance", "client", "mcp", "ray", "lancedb", "pgvector", "qdrant"}
    assert extras <= set(metadata.get_all("Provides-Extra", []))
    assert metadata["License-Expression"] == "Apache-2.0"


@dataclass(frozen=True)
class BaseInstallation:
    """The wheel in an environment with the base dependencies alone.

    Attributes:
        python: Python of the environment.
        folder: empty working directory.
    """

    python: Path
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables of a user who has installed nothing else."""
        kept = {name: os.environ[name] for name in ("HOME", "LANG", "OMP_WAIT_POLICY") if name in os.environ}
        path = os.pathsep.join([str(self.python.parent), "/usr/bin", "/bin"])
        return {**kept, "PATH": path, "TERM": "xterm", "COLUMNS": "100", "KADR_HOME": str(self.folder / "home")}

    def type(self, command: str) -> str:
        """Run a shell command in a terminal, and return what the terminal shows. The test fails if the command fails.

        The output, which contains the control characters of the terminal, has the line ends of a file.
        """
        controller, terminal = pty.openpty()
        process = subprocess.Popen(
            command,
            shell=True,
            cwd=self.folder,
            env=self.environment,
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
        )
        os.close(terminal)
        chunks = []
        with suppress(OSError):  # raised when the process has closed the terminal
            while chunk := os.read(controller, 65536):
                chunks.append(chunk)
        os.close(controller)
        output = b"".join(chunks).decode().replace("\r\n", "\n")
        assert process.wait() == 0, f"{command}\n{output}"
        return output


@pytest.fixture(scope="module")
def installation(wheel: Path, project: Path, tmp_path_factory: pytest.TempPathFactory) -> BaseInstallation:
    """Install the wheel into an environment that contains its base dependencies and nothing else."""
    folder = tmp_path_factory.mktemp("base")
    settings = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    python = create_environment(folder / "venv", find_dependencies(settings["project"]["dependencies"]))
    for command in (["install", "--quiet", "--offline", "--no-deps", str(wheel)], ["check"]):
        subprocess.run([sys.executable, "-m", "uv", "pip", *command, "--python", python], check=True)
    (folder / "work").mkdir()
    return BaseInstallation(python, folder / "work")


@pytest.fixture(scope="module")
def photos(installation: BaseInstallation, shared: Path) -> Path:
    """Return a folder of real photos."""
    folder = installation.folder.parent / "My photos"
    folder.mkdir()
    for path in sorted((shared / "flickr8k" / "test_images").iterdir())[:N_PHOTOS]:
        shutil.copy(path, folder)
    return folder


@pytest.mark.parametrize("package", BLOCKED)
def test_the_base_dependencies_do_not_contain_the_packages_of_extras(
    package: str, installation: BaseInstallation
) -> None:
    process = subprocess.run(
        [installation.python, "-c", f"import {package}"], capture_output=True, text=True, check=False
    )
    assert "ModuleNotFoundError" in process.stderr


def test_the_search_packages_import_with_the_base_dependencies_alone(installation: BaseInstallation) -> None:
    code = """
import pkgutil
import kadr
names = [module.name for module in pkgutil.walk_packages(kadr.__path__, "kadr.")]
parts = ("cli", "collection", "embed", "encoders", "index", "io", "params", "search", "serve")
for name in [name for name in names if name.split(".")[1] in parts]:
    if not name.endswith((".sentence_transformers", ".lancedb", ".pgvector", ".qdrant", ".mcp")):
        __import__(name)
"""
    subprocess.run([installation.python, "-c", code], cwd=installation.folder, check=True)


def test_a_new_user_indexes_searches_and_serves_photos(
    installation: BaseInstallation, photos: Path, shared: Path
) -> None:
    model = shared.resolve() / "encoders" / "clip-mobilenetv2-flickr8k"
    assert "no such index: run `kadr index FOLDER`" in installation.type("kadr where")
    indexed = installation.type(f"kadr index '{photos}' --model {model}")
    assert f"{N_PHOTOS} photos ({N_PHOTOS} new)" in indexed
    places = json.loads(installation.type("kadr where --json"))
    (index,) = places["indexes"]
    assert index["n_images"] == N_PHOTOS
    assert index["model"] == f"local-dir:{model}"
    assert all(place["path"].startswith(str(installation.folder / "home")) for place in [index, places["embeddings"]])
    found = installation.type('kadr search "two dogs in the snow" -k 3 --paths').splitlines()
    assert len(found) == 3
    assert all(Path(path).parent == photos for path in found)
    assert "cosine" in installation.type(f"kadr similar '{found[0]}' -k 2")
    assert "works only in a project folder" in installation.type("kadr tune --trials 1; true")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = installation.folder / "serve.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            [installation.python.with_name("kadr"), "serve", "--port", str(port)],
            cwd=installation.folder,
            env=installation.environment,
            stdout=output,
            stderr=output,
        )
    try:
        health = json.loads(read_page(f"http://127.0.0.1:{port}/health", server, log))
        assert health["n_images"] == N_PHOTOS
        assert "<title>kadr" in read_page(f"http://127.0.0.1:{port}/", server, log)
    finally:
        server.terminate()
        server.wait()


def read_page(url: str, server: "subprocess.Popen[bytes]", log: Path) -> str:
    """Wait for a server and return its response to a GET request."""
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as response:
                return str(response.read().decode())
        except OSError:
            assert server.poll() is None, f"the server has ended\n{log.read_text()}"
            assert time.monotonic() < end, f"{url} does not respond\n{log.read_text()}"
            time.sleep(0.2)
