"""Run the commands of docs/scale.md on photos of Flickr8k, with a process that is killed while it embeds."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from kadr.cli import main as cli
from kadr.collection.part_embedding import EmbeddedPart
from kadr.collection.part_plan import PartPlan
from kadr.index import Index
from tests.test_docs import read_commands

pytestmark = pytest.mark.slow

N_PHOTOS, N_PARTS = 40, 4
PAGE = Path(__file__).parents[1] / "docs/scale.md"
KILL_TIMEOUT_S = 120


@pytest.fixture
def home(tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the home folder of a user with photos, outside of a project."""
    (tmp_path / "photos").mkdir()
    for path in sorted((shared / "flickr8k" / "test_images").iterdir())[:N_PHOTOS]:
        shutil.copy(path, tmp_path / "photos")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KADR_HOME", str(tmp_path / "kadr"))
    monkeypatch.setenv("KADR_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_command(command: str, home: Path) -> str:
    """Run a command of the page in this process, and return its output."""
    program, *arguments = (word.replace("~", str(home)) for word in shlex.split(command))
    assert program == "kadr"
    result = CliRunner().invoke(cli.app, arguments)
    assert result.exit_code == 0, f"{command}\n{result.output}"
    return result.output


def kill_while_embedding(command: str, plan: PartPlan, home: Path) -> None:
    """Start a command, and kill it when a part is embedded and another one is not."""
    arguments = [word.replace("~", str(home)) for word in shlex.split(command)[1:]]
    process = subprocess.Popen([sys.executable, "-m", "kadr", *arguments], cwd=home, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + KILL_TIMEOUT_S
    while not list(plan.folder.glob("parts/*/part.json")):
        assert process.poll() is None, "the command ended before it embedded a part"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def test_the_commands_of_the_page_index_the_photos(home: Path, shared: Path) -> None:
    model = str(shared.resolve() / "encoders" / "clip-mobilenetv2-flickr8k")
    commands = [command.replace("256", str(N_PARTS)).replace(" 017", " 3") for command in read_commands(PAGE)]
    make_plan, first_share, second_share, status, embed_all, embed_one, index, search = commands
    assert f"{N_PHOTOS} photos in {N_PARTS} parts" in run_command(f"{make_plan} --model {model}", home)
    plan = PartPlan.load(home / "plan")
    kill_while_embedding(first_share, plan, home)
    finished = {part for part in plan.images if EmbeddedPart.read(plan, part)}
    assert finished < set(plan.share(1, 2))
    assert f"{len(finished)} of {N_PARTS} parts embedded" in run_command(status, home)
    written = {path: path.stat().st_mtime_ns for path in plan.folder.glob("parts/*/vectors/*.npy")}
    assert f"{N_PARTS // 2} of {N_PARTS} parts embedded" in run_command(first_share, home)
    assert {path: path.stat().st_mtime_ns for path in written} == written  # the killed process's parts are kept
    assert f"{N_PARTS} of {N_PARTS} parts embedded" in run_command(second_share, home)
    for command in (status, embed_all, embed_one):
        assert f"{N_PARTS} of {N_PARTS} parts embedded ({N_PHOTOS} of {N_PHOTOS} photos)" in run_command(command, home)
    assert f"{N_PHOTOS} photos from {N_PARTS} parts" in run_command(index, home)
    assert str(home / "photos") in run_command(search, home)

    run_command(f"kadr index ~/photos --out ~/same --model {model}", home)
    parts, same = Index.load(home / "index", verify_all=True), Index.load(home / "same")
    assert parts.table.equals(same.table)
    assert parts.details == same.details
    vectors = [built.vectors[built.encoder].take(slice(None)) for built in (parts, same)]
    assert np.einsum("nd,nd->n", *vectors).min() > 0.999  # other batches change the last digits
