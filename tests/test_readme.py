"""Run the commands of README.md and docs/data.md in a project, and check which stages run after a change."""

import re
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import PROJECT, run
from tests.project_copy import get_page, outdated_stages, run_server, stages_run
from tests.test_docs import read_block_commands

pytestmark = pytest.mark.slow

SERVERS = ("kadr serve", "mlflow ui")


def page_commands() -> list[str]:
    """Return the commands on the pages for a project folder.

    `make` would reinstall all packages. The commands in the first block of README.md are those of docs/start.md.
    """
    blocks = [*read_block_commands(PROJECT / "README.md")[1:], *read_block_commands(PROJECT / "docs/data.md")]
    return [command for block in blocks for command in block if not command.startswith("make ")]


@pytest.mark.parametrize("command", [command for command in page_commands() if not command.startswith(SERVERS)])
def test_a_command_of_the_pages_runs(command: str, restored: Path, environment: dict[str, str]) -> None:
    output = run(command, restored, environment)
    if command.startswith("kadr search"):
        assert "images/" in output
    if command.startswith("dvc exp run -S train."):
        assert stages_run(output) == {"train", "evaluate", "ablate", "report"}
    if command == "kadr compare":
        assert "tau_c" in output


def test_kadr_serve_responds(copy: Path, environment: dict[str, str]) -> None:
    with run_server("kadr serve --port", copy, environment) as address:
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
