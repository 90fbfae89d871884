"""Run the commands of README.md and docs/ in a copy of the project, and check which stages run after a change."""

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import PROJECT, SAMPLE_COUNTS, FinishedProject, run

pytestmark = pytest.mark.slow

TIMEOUT_S = 300
PAGES = ("README.md", "docs/data.md", "docs/mlflow.md")
SERVERS = ("mlflow ui", "kadr serve")


def read_blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def split_commands(block: str) -> list[str]:
    """Return the commands in a code block, without comments."""
    return [command for line in block.splitlines() if (command := line.split("  #")[0].strip())]


def page_commands() -> list[str]:
    """Return the commands on the pages for a project folder.

    `make` would reinstall all packages. The commands before the section of the project are those of docs/start.md.
    """
    texts = [(PROJECT / name).read_text(encoding="utf-8") for name in PAGES]
    text = "".join(text.partition("\n## The project\n")[2] or text for text in texts)
    commands = [command for block in read_blocks(text, "bash") for command in split_commands(block)]
    return [command for command in commands if not command.startswith("make ")]


def find_command(start: str) -> str:
    return next(command for command in page_commands() if command.startswith(start))


@pytest.fixture(scope="module")
def environment(finished: FinishedProject) -> dict[str, str]:
    return finished.environment


@pytest.fixture(scope="module")
def copy(finished: FinishedProject, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the finished project. Tests can change the copy."""
    return finished.copy_to(tmp_path_factory.mktemp("copy") / "kadr")


@pytest.fixture
def restored(copy: Path, environment: dict[str, str]) -> Iterator[Path]:
    """Yield the copy of the finished project, and restore params.yaml after the test."""
    params = (copy / "params.yaml").read_bytes()
    yield copy
    (copy / "params.yaml").write_bytes(params)


def stages_run(output: str) -> set[str]:
    """Return the names of the stages that DVC reports as running."""
    return set(re.findall(r"Running stage '([^']+)'", output))


def outdated_stages(folder: Path, environment: dict[str, str]) -> set[str]:
    """Return the stages that `dvc repro` would run."""
    return stages_run(run("dvc repro --dry", folder, environment))


# These tests need the unchanged results of the finished project, so they come before the commands.


def test_a_second_repro_runs_no_stage(copy: Path, environment: dict[str, str]) -> None:
    assert "Data and pipelines are up to date" in run("dvc repro", copy, environment)


def test_the_commands_of_the_dvc_page_keep_the_results_of_changed_code(copy: Path, environment: dict[str, str]) -> None:
    code, commit, *_ = map(split_commands, read_blocks((PROJECT / "docs/dvc.md").read_text(encoding="utf-8"), "bash"))
    module = copy / "kadr/errors.py"
    source = module.read_text(encoding="utf-8")
    module.write_text(f"{source}\n# A comment.\n", encoding="utf-8")
    assert stages_run(run("dvc repro", copy, environment)) == {"code"}
    module.write_text(f"{source}\nLIMIT = 1\n", encoding="utf-8")
    assert "data/code/train.json" in "".join(run(command, copy, environment) for command in code)
    run(commit[0], copy, environment)
    assert "up to date" in run("dvc status", copy, environment)
    module.write_text(source, encoding="utf-8")
    run(f"dvc repro code && {commit[0]}", copy, environment)


def test_the_commands_of_the_dvc_page_share_a_run_with_a_clone(
    copy: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    page = (PROJECT / "docs/dvc.md").read_text(encoding="utf-8").replace("/mnt/store", str(tmp_path / "store"))
    push, pull, add, use, compare, experiments, queue = map(split_commands, read_blocks(page, "bash")[2:])
    for command in push:
        run(command, copy, environment)
    clone = tmp_path / "clone"
    run(f"git clone -q {copy} {clone}", tmp_path, environment)
    for command in re.findall(r"`(dvc remote add[^`]*)`", page):
        run(command.replace("-d store", "--local other -f"), clone, environment)
    assert "data/raw/sample" in run(f"{pull[0]} && dvc status", clone, environment)
    for command in pull[1:]:
        output = run(f"{command} {' '.join(SAMPLE_COUNTS)}" if "sample" in command else command, clone, environment)
    assert "Data and pipelines are up to date" in output
    assert not stages_run(output)
    for command in add:
        run(command, clone, environment)
    second_clone = tmp_path / "second"
    run(f"git clone -q {clone} {second_clone}", tmp_path, environment)
    assert "Data and pipelines are up to date" in run("dvc pull && dvc status", second_clone, environment)
    assert "images/" in "".join(run(command, second_clone, environment) for command in use)
    # Skip the first experiment, which README.md also contains, and the loop over experiments.
    commands = [command for command in experiments if not re.search("run -S|^for ", command)]
    output = "".join(run(command, second_clone, environment) for command in [*commands, *compare, *queue])
    assert re.search(r"\[[\w-]+\] +[\d.]+ +4 ", output)
    assert "<script src" not in (second_clone / "dvc_plots/index.html").read_text(encoding="utf-8")


# The commands of the pages


@pytest.mark.parametrize("command", [command for command in page_commands() if not command.startswith(SERVERS)])
def test_a_command_of_the_pages_runs(command: str, restored: Path, environment: dict[str, str]) -> None:
    output = run(command.replace("--trials 20", "--trials 2"), restored, environment)
    if command.startswith("kadr search"):
        assert "images/" in output
    if command.startswith("dvc exp run -S train."):
        assert stages_run(output) == {"train", "evaluate", "ablate", "report"}
    if command == "kadr register":
        assert "models:/kadr-sample/" in output
    if command == "kadr compare":
        assert "tau_c" in output
    if command.startswith("mlflow models predict"):
        predictions = json.loads((restored / "relevance.json").read_text(encoding="utf-8"))["predictions"]
        assert predictions
        assert all(0 <= prediction["relevance"] <= 1 for prediction in predictions)


def test_the_script_of_the_mlflow_page_predicts_with_the_registered_model(
    copy: Path, environment: dict[str, str]
) -> None:
    (script,) = read_blocks((PROJECT / "docs/mlflow.md").read_text(encoding="utf-8"), "python")
    (copy / "predict.py").write_text(script, encoding="utf-8")
    run("kadr register", copy, environment)
    assert "relevance" in run("python predict.py", copy, environment)


def test_the_commands_of_the_flow_page_score_only_new_pairs(copy: Path, environment: dict[str, str]) -> None:
    _, section = (PROJECT / "docs/flows.md").read_text(encoding="utf-8").split("## Scoring in bulk\n")
    (block,) = read_blocks(section, "bash")
    write, first, second, latest, read = split_commands(block)
    run(write, copy, environment)
    assert "10 scored, 0 known, 0 set_aside" in run(first, copy, environment)
    assert "0 scored, 10 known, 0 set_aside" in run(second, copy, environment)
    assert "10 already scored" in run(latest, copy, environment)
    assert "[10 rows" in run(read, copy, environment)
    with (copy / "data/pairs.csv").open("a") as pairs:
        pairs.write("missing.jpg,a tree\n")
    assert re.search(r"Rows without a score: 1 \(.*No such file", run(latest, copy, environment))


# Servers


@contextmanager
def run_server(command: str, folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """Run a server on a free port and yield its address. The command must end with the option `--port`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen(
        f"exec {command} {port}", shell=True, cwd=folder, env=environment, start_new_session=True, **silent
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def get_page(url: str) -> str:
    """Wait for the server and return its response to a GET request."""
    end = time.monotonic() + TIMEOUT_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as response:
                return str(response.read().decode())
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(1)


def test_mlflow_ui_shows_the_experiment(copy: Path, environment: dict[str, str]) -> None:
    with run_server(f"{find_command('mlflow ui')} --workers 1 --port", copy, environment) as address:
        page = get_page(f"{address}/ajax-api/2.0/mlflow/experiments/get-by-name?experiment_name=sample")
    assert '"name": "sample"' in page


def test_kadr_serve_responds(copy: Path, environment: dict[str, str]) -> None:
    with run_server(f"{find_command('kadr serve')} --port", copy, environment) as address:
        assert '"status":"ok"' in get_page(f"{address}/health")
        assert "<title>kadr" in get_page(address)


# Changes


def test_a_new_encoder_outdates_only_its_embeddings(restored: Path, environment: dict[str, str]) -> None:
    params = (restored / "params.yaml").read_text(encoding="utf-8")
    next_entry = "    tfidf:\n"
    assert next_entry in params
    encoder = {"backend": "tfidf", "max_features": 100, "ngram_max": 1, "dim": 8}
    entry = "    words:\n" + "".join(f"      {key}: {value}\n" for key, value in encoder.items())
    (restored / "params.yaml").write_text(params.replace(next_entry, entry + next_entry), encoding="utf-8")
    embedding_stages = {stage for stage in outdated_stages(restored, environment) if stage.startswith("embed")}
    assert embedding_stages == {"embed_texts@words"}


def test_a_new_image_is_the_only_image_that_is_embedded(copy: Path, environment: dict[str, str]) -> None:
    path = copy / "data/raw/sample/test_images/new.jpg"
    Image.effect_noise((160, 120), 80).convert("RGB").save(path, quality=90)
    output = run("dvc repro embed_images", copy, environment)
    assert "embed_images@clip: embed images: computed 1 vectors" in output


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("ingest.source=nowhere", "nowhere"),
        ("ingest.format=flickr8k", "ExpertAnnotations"),
        ("train.features=[cosin]", "got 'cosin'"),
        ("train.num_leavs=7", "num_leavs"),
    ],
)
def test_an_invalid_setting_gives_an_error_message_without_traceback(
    setting: str, message: str, restored: Path, environment: dict[str, str]
) -> None:
    path, value = setting.split("=")
    section, key = path.split(".")
    params = (restored / "params.yaml").read_text(encoding="utf-8")
    line = re.compile(rf"(?m)^(  {key}: ).*$")
    changed = (
        line.sub(rf"\g<1>{value}", params)
        if line.search(params)
        else re.sub(rf"(?m)^({section}:.*)$", rf"\g<1>\n  {key}: {value}", params)
    )
    (restored / "params.yaml").write_text(changed, encoding="utf-8")
    process = subprocess.run(
        "dvc repro", shell=True, cwd=restored, env=environment, capture_output=True, text=True, check=False
    )
    output = process.stdout + process.stderr
    assert process.returncode != 0
    assert message in output
    assert "Traceback" not in output
