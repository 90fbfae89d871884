"""Tests of the command line: output, files, exit codes and error messages."""

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from kadr import sample
from kadr.cli import main as cli
from kadr.encoders import fit_text_encoder
from kadr.encoders.tfidf import TfidfParams
from kadr.index import build_index
from kadr.io.embeddings import Embeddings
from kadr.io.presets import apply_preset
from kadr.io.schemas import IMAGES
from kadr.params import load_params
from kadr.project import PROJECT

CAPTIONS = {"ball.jpg": "a red ball left of a tree", "boat.jpg": "a boat on the sea", "dog.jpg": "a dog in the snow"}


@pytest.fixture
def folder(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create a folder with the settings and presets of the project."""
    shutil.copy(project / "params.yaml", tmp_path)
    shutil.copytree(project / "presets", tmp_path / "presets")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def searchable(folder: Path) -> Path:
    """Index three images by the TF-IDF vectors of their captions, so that search needs no CLIP model."""
    apply_preset("sample", ["index.rerank=0"], PROJECT.params, PROJECT.presets)
    params = load_params(PROJECT.params).embed_texts.encoders["tfidf"]
    assert isinstance(params, TfidfParams)
    encoder = fit_text_encoder(params, "fp32", list(CAPTIONS.values()), 0)
    encoder.save(PROJECT.artifacts().text_encoders / "tfidf")
    rows = []
    for name, colour in zip(CAPTIONS, ("red", "green", "yellow"), strict=True):
        Image.new("RGB", (40, 30), colour).save(name)
        sha256 = hashlib.sha256(Path(name).read_bytes()).hexdigest()
        columns = {"sha256": sha256, "width": 40, "height": 30, "status": "ok"}
        rows.append({"image_id": name, "path": name, "split": "test", **columns})
    images = pa.Table.from_pylist(rows, IMAGES)
    vectors = encoder.transform(list(CAPTIONS.values()))
    embeddings = Embeddings(list(CAPTIONS), vectors, encoder.identity.metadata)
    PROJECT.index.mkdir(parents=True)
    build_index(images, {"tfidf": embeddings}, "tfidf", 100).write(PROJECT.index)
    return folder


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, list(arguments))


@pytest.mark.parametrize("command", ["sample", "use", "index", "export", "search", "similar", "recommend", "show"])
def test_every_command_has_help(command: str) -> None:
    assert command in run("--help").stdout
    result = run(command, "--help")
    assert result.exit_code == 0
    assert "Usage" in result.stdout


def test_help_lists_all_commands_in_panels() -> None:
    output = run("--help").stdout
    positions = [output.index(f"─ {panel} ─") for panel in ("Data", "Pipeline", "Search", "Models", "Maintenance")]
    assert positions == sorted(positions)


def test_defaults_of_sample() -> None:
    assert (cli.N_TRAIN, cli.N_TEST, cli.N_CORPUS) == (sample.N_TRAIN, sample.N_TEST, sample.N_CORPUS)


@pytest.mark.parametrize("arguments", [("similar",), ("use",), ("nothing",), ("search", "a", "-k", "many")])
def test_usage_errors_exit_with_2(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


def test_search_prints_the_best_match_first(searchable: Path) -> None:
    result = run("search", "the red ball", "-k", "2")
    assert result.exit_code == 0, result.stderr
    lines = [line for line in result.stdout.splitlines() if ".jpg" in line]
    assert len(lines) == 2
    assert "ball.jpg" in lines[0]


def test_search_prints_json(searchable: Path) -> None:
    result = run("search", "a dog", "-k", "5", "--json")
    output = json.loads(result.stdout)
    assert output["text"] == "a dog"
    assert len(output["matches"]) == 3
    assert output["matches"][0]["path"] == "dog.jpg"
    assert output["matches"][0]["relevance"] is None
    scores = [match["score"] for match in output["matches"]]
    assert scores == sorted(scores, reverse=True)


def test_search_writes_a_grid(searchable: Path) -> None:
    result = run("search", "a dog", "--grid", "found/grid.png", "--json")
    assert result.exit_code == 0
    assert "found/grid.png" in result.stderr
    with Image.open("found/grid.png") as grid:
        assert grid.width > 3 * 240
    json.loads(result.stdout)
    result = run("search", "a dog", "--grid", "grid.nothing")
    assert result.exit_code == 1
    assert "Use a file name that ends in .png or .jpg" in result.stderr


def test_a_missing_photo_is_drawn_as_a_placeholder(searchable: Path) -> None:
    Path("dog.jpg").unlink()
    result = run("search", "a dog", "--grid", "grid.png", "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["matches"][0]["path"] == "dog.jpg"
    assert Path("grid.png").is_file()


@pytest.mark.parametrize(
    "arguments", ["'-ball dog' -k 1", "-k1 '-ball dog'", "-k 1 '- ball + dog'", "-k1 -ball", "-k 1 -- '-ball dog'"]
)
def test_a_query_can_start_with_a_minus_sign(searchable: Path, arguments: str) -> None:
    output = json.loads(run("search", "--json", *shlex.split(arguments)).stdout)
    assert "- ball" in output["read_as"]
    assert len(output["matches"]) == 1
    assert "ball.jpg" not in output["matches"][0]["path"]


def test_the_value_of_an_option_can_start_with_a_minus_sign(searchable: Path) -> None:
    assert run("search", "a dog", "--folder", "-no such folder").exit_code == 0


def test_search_prints_paths(searchable: Path) -> None:
    assert run("search", "a dog", "-k", "1", "--paths").stdout == "dog.jpg\n"
    assert run("similar", "dog.jpg", "-k", "2", "-0").stdout.split("\0")[2:] == [""]
    assert run("recommend", "dog.jpg", "-k", "2", "--print0").stdout.count("\0") == 2
    assert run("search", "a dog", "--paths", "--json").exit_code == 2


def test_search_with_weights_and_filters(searchable: Path) -> None:
    output = json.loads(run("search", "dog - ball", "-k", "1", "--json").stdout)
    assert output["matches"][0]["path"] == "dog.jpg"
    result = run("search", "a dog", "--min-side", "31")
    assert (result.exit_code, result.stdout) == (0, "No photo matches. Remove a filter.\n")
    assert "min_relevance requires predictions" in run("search", "a dog", "--min-relevance", "0.5").stderr
    assert run("search", "a dog", "--after", "yesterday").exit_code == 2


def test_similar_and_recommend_accept_photos_of_the_index(searchable: Path) -> None:
    similar = json.loads(run("similar", "dog.jpg", "-k", "5", "--json").stdout)["matches"]
    assert sorted(match["path"] for match in similar) == sorted({*CAPTIONS} - {"dog.jpg"})
    recommended = run("recommend", "--likes", "dog.jpg", "ball.jpg", "-k", "5", "--json")
    assert [match["path"] for match in json.loads(recommended.stdout)["matches"]] == [
        *({*CAPTIONS} - {"dog.jpg", "ball.jpg"})
    ]
    Image.new("RGB", (40, 30), "blue").save("new.jpg")
    assert "params.yaml has no image encoder 'tfidf'" in run("similar", "new.jpg").stderr
    assert "nothing.jpg: the photo cannot be read" in run("similar", "nothing.jpg").stderr
    assert "The list of liked images is empty" in run("recommend").stderr


def test_another_index_is_searched(searchable: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    PROJECT.index.rename("elsewhere")
    assert run("search", "a dog", "--index", "elsewhere").exit_code == 0
    monkeypatch.setenv("KADR_INDEX", "elsewhere")
    assert run("search", "a dog").exit_code == 0


def test_a_champion_is_searched_with_its_own_settings_and_models(searchable: Path) -> None:
    version = PROJECT.champion.with_name(".champion") / "v000001"
    Path("models").rename("version")
    Path("version/relevance").mkdir()
    version.parent.mkdir(parents=True)
    Path("version").rename(version)
    PROJECT.params.rename(version / "params.yaml")
    PROJECT.champion.symlink_to(".champion/v000001")
    output = json.loads(run("search", "a dog", "-k", "1", "--json", "--index", str(PROJECT.champion)).stdout)
    assert output["matches"][0]["path"] == "dog.jpg"


def test_index_without_photos_is_an_error(folder: Path) -> None:
    apply_preset("sample", [], PROJECT.params, PROJECT.presets)
    assert "models/photos: there is no index to update. Name the folders to index" in run("index").stderr
    assert "nowhere: the file or folder does not exist" in run("index", "nowhere").stderr


def test_a_search_error_is_one_line(searchable: Path) -> None:
    assert "The query is empty" in run("search", " ").stderr
    assert "k is 0" in run("search", "a dog", "-k", "0").stderr
    apply_preset("sample", ["index.rerank=5"], PROJECT.params, PROJECT.presets)
    shutil.rmtree(PROJECT.index)
    result = run("search", "a dog")
    assert result.exit_code == 1
    message = "kadr: error: models/index: the index does not exist. Build an index with `dvc repro index`"
    assert result.stderr.startswith(message)
    assert result.stderr.count("\n") == 1


def test_use_prints_the_changed_settings(folder: Path) -> None:
    run("use", "sample")
    result = run("use", "flickr8k", "-S", "train.num_leaves=7", "-S", "seed=1")
    assert result.exit_code == 0
    assert "  ingest.source: data/raw/sample -> ../shared/flickr8k\n" in result.stdout
    assert load_params(PROJECT.params).train.num_leaves == 7
    assert load_params(PROJECT.params).seed == 1
    assert "already" in run("use", "flickr8k").stdout


def test_use_of_an_unknown_preset_lists_them(folder: Path) -> None:
    result = run("use", "nothing")
    assert result.exit_code == 1
    assert "Its presets are: captions, flickr8k, multilingual, practicum, sample" in result.stderr


def test_show_prints_the_main_metrics(folder: Path) -> None:
    assert "Run `make run`" in run("show").stderr
    PROJECT.metrics.mkdir()
    estimate = {"value": 48.9, "low": 47.0, "high": 50.0}
    (PROJECT.metrics / "evaluate.json").write_text(
        json.dumps({"tau_c": estimate, "baselines": {"cosine": {"tau_c": estimate}}})
    )
    result = run("show")
    assert result.exit_code == 0
    assert "tau-c" in result.stdout
    assert "47.0 to 50.0; cosine 48.9" in result.stdout


def test_an_existing_sample_is_not_generated_again(folder: Path) -> None:
    small = ("--n-train", "6", "--n-test", "2", "--n-corpus", "1")
    result = run("sample", "generated", *small)
    assert result.exit_code == 0
    assert "6 rated, 2 test and 1 captioned images" in result.stdout
    stamp = Path("generated/sample.json").stat().st_mtime_ns
    assert "already exists" in run("sample", "generated", *small).stdout
    assert Path("generated/sample.json").stat().st_mtime_ns == stamp
    next(Path("generated/test_images").iterdir()).unlink()
    assert "already exists" not in run("sample", "generated", *small).stdout
    assert "already exists" not in run("sample", "generated", "--seed", "1", *small).stdout
    assert "already exists" not in run("sample", "generated", "--seed", "1", *small, "--force").stdout
    (folder / "mine").mkdir()
    (folder / "mine" / "photo.jpg").touch()
    assert run("sample", "mine", *small).exit_code == 1


def test_the_command_starts_without_heavy_imports() -> None:
    code = "import sys, kadr.cli.main; print(sorted({'torch', 'pandas', 'numpy', 'faiss'} & set(sys.modules)))"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout == "[]\n"


def test_idle_threads_of_a_command_sleep() -> None:
    names = ("OMP_WAIT_POLICY", "OPENBLAS_THREAD_TIMEOUT")
    code = f"from kadr.cli.main import app\ntry: app(['--help'])\nfinally: import os; print(*map(os.getenv, {names}))"
    environment = {name: value for name, value in os.environ.items() if name not in names}
    process = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert process.stdout.splitlines()[-1] == "PASSIVE 4"
