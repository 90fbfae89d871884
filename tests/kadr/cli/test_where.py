"""Tests of the command `kadr where`, and of commands that only work in a project."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from kadr.cli import main as cli


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a new user. The working directory is not a project."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("KADR_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("KADR_CACHE")
    return tmp_path / "home"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, list(arguments))


def write_index(folder: Path) -> None:
    """Write the description of an index of two images."""
    folder.mkdir(parents=True)
    encoder = {"encoder": "open_clip ViT-B-32 openai"}
    description = {"encoder": "clip", "encoders": {"clip": encoder}, "n_images": 2, "addresses": ["/my photos"]}
    (folder / "index.json").write_text(json.dumps(description), encoding="utf-8")


def test_a_new_user_sees_the_folders_and_what_to_do(home: Path) -> None:
    output = run("where").output
    assert f"{home / 'config.yaml'} (no such file: built-in settings)" in output
    assert f"{home / 'data' / 'index'} (no such index: run `kadr index FOLDER`)" in output
    assert "ViT-B-32/laion2b_s34b_b79k" in output
    assert not home.exists()  # the command creates nothing


def test_the_model_is_that_of_the_index(home: Path) -> None:
    write_index(home / "data" / "index")
    (home / "config.yaml").write_text("model: large\n", encoding="utf-8")  # applies to new indexes
    output = run("where").output
    assert "(2 images, " in output
    assert "/my photos" in output
    places = json.loads(run("where", "--json").output)
    assert places["model"] == "ViT-B-32/openai"
    assert places["settings"] == {"path": str(home / "config.yaml"), "exists": True}
    (index,) = places["indexes"]
    assert index["n_images"] == 2
    assert index["bytes"] == (home / "data" / "index" / "index.json").stat().st_size
    assert places["embeddings"]["path"] == str(home / "cache")


def test_a_project_has_two_indexes(home: Path, project: Path) -> None:
    shutil.copy(project / "params.yaml", ".")
    places = json.loads(run("where", "--json").output)
    assert places["project"]["path"] == str(Path.cwd())
    assert places["settings"] == {"path": "params.yaml", "exists": True}
    assert [index["path"] for index in places["indexes"]] == ["models/index", "models/photos"]
    assert places["ratings"]["path"] == "data/raw/sample"


@pytest.mark.parametrize(
    "arguments",
    [
        ("use", "sample"),
        ("show",),
        ("snapshot", "x"),
        ("compare",),
        ("register",),
        ("tune", "--trials", "1"),
        ("score", "pairs.csv", "out"),
        ("champion", "list"),
        ("doctor",),
    ],
)
def test_a_command_of_a_project_says_so_elsewhere(arguments: tuple[str, ...], home: Path) -> None:
    result = run(*arguments)
    assert result.exit_code == 1, result.output
    name = "champion list" if arguments[0] == "champion" else arguments[0]
    assert f"contains no params.yaml, but `root {name}` works only in a project folder" in result.output
    assert "kadr index FOLDER" in result.output
    assert run(*arguments[:1], "--help").exit_code == 0


def test_a_project_sets_the_model(home: Path, project: Path) -> None:
    shutil.copy(project / "params.yaml", ".")
    result = run("index", ".", "--model", "small")
    assert result.exit_code == 1
    assert "--model small: in a project, params.yaml sets the model" in result.output


def test_search_without_an_index_says_what_to_do(home: Path) -> None:
    for arguments in (("search", "a dog"), ("serve",), ("export", "vectors.parquet")):
        result = run(*arguments)
        assert result.exit_code == 1
        assert f"{home / 'data' / 'index'}: the index does not exist. Index your photos first" in result.output


def test_a_missing_package_is_named(home: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(project / "params.yaml", ".")
    monkeypatch.setitem(__import__("sys").modules, "mlflow", None)
    result = run("compare")
    assert result.exit_code == 1
    assert "needs the package mlflow, which is not installed. Install it with `pip install 'kadr" in result.output
