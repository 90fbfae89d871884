"""The commands of the pages, run in a copy of the project on a small sample, and what re-runs on a change."""

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

from tests.conftest import COUNTS, Finished, run

pytestmark = pytest.mark.slow

WAIT_S = 300
PAGES = ("README.md", "docs/data.md", "docs/mlflow.md")


def readme_commands(project: Path) -> list[str]:
    """The commands of the pages' bash blocks, without those of make, which would install everything anew."""
    text = "".join((project / name).read_text(encoding="utf-8") for name in PAGES)
    blocks = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith("make ")]


@pytest.fixture(scope="module")
def environment(finished: Finished) -> dict[str, str]:
    """That of the finished project."""
    return finished.environment


@pytest.fixture(scope="module")
def copy(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the finished project that these tests may change."""
    return finished.copy_to(tmp_path_factory.mktemp("copy") / "kadr")


def stale(folder: Path, environment: dict[str, str]) -> set[str]:
    """The stages that `dvc repro` would run."""
    return ran(run("dvc repro --dry", folder, environment))


def ran(output: str) -> set[str]:
    """The stages that DVC says it runs."""
    return set(re.findall(r"Running stage '([^']+)'", output))


@pytest.fixture
def restored(copy: Path, environment: dict[str, str]) -> Iterator[Path]:
    """The copy, whose params.yaml is as it was afterwards."""
    before = (copy / "params.yaml").read_bytes()
    yield copy
    (copy / "params.yaml").write_bytes(before)


def test_a_second_repro_does_nothing(copy: Path, environment: dict[str, str]) -> None:
    assert "Data and pipelines are up to date" in run("dvc repro", copy, environment)


def test_what_the_page_on_dvc_shows(project: Path, copy: Path, environment: dict[str, str], tmp_path: Path) -> None:
    """A run is pushed, pulled into a clone of other path, found up to date there, pushed with its input, tried on."""
    page = (project / "docs/dvc.md").read_text(encoding="utf-8").replace("/mnt/store", str(tmp_path / "store"))
    blocks = re.findall(r"```bash\n(.*?)```", page, re.DOTALL)
    share, pull, add, experiments = ([line.split("  #")[0] for line in block.splitlines()] for block in blocks)
    for command in share:
        run(command, copy, environment)
    clone = tmp_path / "clone"
    run(f"git clone -q {copy} {clone}", tmp_path, environment)
    for address in re.findall(r"`(dvc remote add[^`]*)`", page):
        run(address.replace("-d store", "--local other -f"), clone, environment)
    assert "data/raw/sample" in run(f"{pull[0]} && dvc status", clone, environment)
    for command in pull[1:]:
        output = run(f"{command} {' '.join(COUNTS)}" if "sample" in command else command, clone, environment)
    assert "Data and pipelines are up to date" in output
    assert not ran(output)
    for command in add:
        run(command, clone, environment)
    last = tmp_path / "last"
    run(f"git clone -q {clone} {last}", tmp_path, environment)
    assert "Data and pipelines are up to date" in run("dvc pull && dvc status", last, environment)
    # the first is one of the README; of the two that are queued, one is enough
    commands = [command for command in experiments if not re.search("run -S|num_leaves=31", command)]
    output = "".join(run(command, last, environment) for command in commands)
    assert re.search(r"\[[\w-]+\] +[\d.]+ +4 ", output)
    assert (last / "dvc_plots/index.html").is_file()


SERVERS = ("mlflow ui", "kadr serve")


@pytest.mark.parametrize(
    "command", [c for c in readme_commands(Path(__file__).parents[1]) if not c.startswith(SERVERS)]
)
def test_command_of_the_readme(command: str, restored: Path, environment: dict[str, str]) -> None:
    output = run(command.replace("--trials 20", "--trials 2"), restored, environment)
    if command.startswith("kadr search"):
        assert "images/" in output
    if command.startswith("dvc exp run -S train."):
        assert ran(output) == {"train", "evaluate", "ablate", "report"}
    if command == "kadr register":
        assert "models:/kadr-sample/" in output
    if command == "kadr compare":
        assert "tau_c" in output
    if command.startswith("mlflow models predict"):
        rows = json.loads((restored / "relevance.json").read_text(encoding="utf-8"))["predictions"]
        assert all(0 <= row["relevance"] <= 1 for row in rows)


def test_script_of_the_page_on_mlflow(project: Path, copy: Path, environment: dict[str, str]) -> None:
    (script,) = re.findall(r"```python\n(.*?)```", (project / "docs/mlflow.md").read_text(encoding="utf-8"), re.DOTALL)
    (copy / "score.py").write_text(script, encoding="utf-8")
    assert "relevance" in run("kadr register", copy, environment) + run("python score.py", copy, environment)


def test_what_the_page_on_flows_shows_of_scoring(project: Path, copy: Path, environment: dict[str, str]) -> None:
    _, section = (project / "docs/flows.md").read_text(encoding="utf-8").split("## Scoring in bulk\n")
    (block,) = re.findall(r"```bash\n(.*?)```", section, re.DOTALL)
    write, first, again, latest, read = (line.split("  #")[0] for line in block.splitlines())
    run(write, copy, environment)
    assert "10 scored, 0 known, 0 set_aside" in run(first, copy, environment)
    assert "0 scored, 10 known, 0 set_aside" in run(again, copy, environment)
    assert "10 had a score" in run(latest, copy, environment)
    assert "[10 rows" in run(read, copy, environment)
    with (copy / "data/pairs.csv").open("a") as pairs:
        pairs.write("nosuch.jpg,a tree\n")
    assert "1 rows are set aside: the photo cannot be read: No such file" in run(latest, copy, environment)


def test_mlflow_ui_shows_the_training(copy: Path, environment: dict[str, str]) -> None:
    command = next(c for c in readme_commands(Path(__file__).parents[1]) if c.startswith("mlflow ui"))
    with serving(f"{command} --workers 1 --port", copy, environment) as address:
        found = ask(f"{address}/ajax-api/2.0/mlflow/experiments/get-by-name?experiment_name=sample")
    assert '"name": "sample"' in found


def test_kadr_serve_answers(copy: Path, environment: dict[str, str]) -> None:
    (command,) = (c for c in readme_commands(Path(__file__).parents[1]) if c.startswith("kadr serve"))
    with serving(f"{command} --port", copy, environment) as address:
        assert '"status":"ok"' in ask(f"{address}/health")
        assert "Find photos by words" in ask(address)


@contextmanager
def serving(command: str, folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """The address of a server started by `command` and a free port; it ends with the block."""
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


def ask(url: str) -> str:
    """The answer to a GET, once the server is up."""
    end = time.monotonic() + WAIT_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return str(answer.read().decode())
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(1)


def test_one_more_encoder_embeds_with_it_alone(restored: Path, environment: dict[str, str]) -> None:
    text = (restored / "params.yaml").read_text(encoding="utf-8")
    entry = "    tfidf:\n"
    assert entry in text
    words = {"backend": "tfidf", "max_features": 100, "ngram_max": 1, "dim": 8}
    more = text.replace(entry, "    words:\n" + "".join(f"      {k}: {v}\n" for k, v in words.items()) + entry)
    (restored / "params.yaml").write_text(more, encoding="utf-8")
    embedding = {stage for stage in stale(restored, environment) if stage.startswith("embed")}
    assert embedding == {"embed_texts@words"}


def test_one_more_photo_embeds_one_photo(copy: Path, environment: dict[str, str]) -> None:
    photo = copy / "data/raw/sample/test_images/one_more.jpg"
    Image.effect_noise((160, 120), 80).convert("RGB").save(photo, quality=90)
    output = run("dvc repro embed_images", copy, environment)
    assert "embed_images@clip: embed photos: 1 computed" in output


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("ingest.source=nowhere", "nowhere"),
        ("ingest.form=flickr8k", "ExpertAnnotations.tsv: no such file"),
        ("train.features=[cosin]", "unknown block 'cosin'"),
        ("train.num_leavs=7", "num_leavs"),
    ],
)
def test_a_wrong_setting_is_one_clear_error(
    change: str, said: str, restored: Path, environment: dict[str, str]
) -> None:
    key, value = change.split("=")
    section, name = key.split(".")
    text = (restored / "params.yaml").read_text(encoding="utf-8")
    line = re.compile(rf"(?m)^(  {name}: ).*$")
    changed = (
        line.sub(rf"\g<1>{value}", text)
        if line.search(text)
        else text.replace(f"{section}:\n", f"{section}:\n  {name}: {value}\n")
    )
    (restored / "params.yaml").write_text(changed, encoding="utf-8")
    done = subprocess.run(
        "dvc repro", shell=True, cwd=restored, env=environment, capture_output=True, text=True, check=False
    )
    output = done.stdout + done.stderr
    assert done.returncode != 0
    assert said in output
    assert "Traceback" not in output
