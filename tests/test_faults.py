"""The real pipeline under faults: whatever was killed or damaged, `dvc repro` ends in the bytes of an undisturbed run.

KADR_FAULTS=all kills every stage, from an empty project on (about five minutes); by default a few that write in all
the ways there are: a folder, the embedding cache, MLflow's store, a published index.
"""

import os
import random
import re
import shutil
import signal
import subprocess
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import Finished, run

pytestmark = pytest.mark.slow

KILLS = 2  # of each stage
KILLED = ["clip", "embed_texts@tfidf", "train", "index"]
LOCK_DAMAGED = re.compile(r"dvc\.lock',? (validation failed|is invalid|YAML file structure is corrupted)")


def lock_of(folder: Path) -> dict[str, Any]:
    """Stage -> command, deps, params and outs of its last run, with their md5."""
    return dict(yaml.safe_load((folder / "dvc.lock").read_text(encoding="utf-8"))["stages"])


def seconds_of(finished: Finished) -> dict[str, float]:
    """Stage -> how long it took, with DVC's own work: each writes its metrics last, and DVC ran one after another."""
    ends = sorted((path.stat().st_mtime, path.stem) for path in (finished.folder / "metrics").iterdir())
    start = (finished.folder / "params.yaml").stat().st_mtime  # `kadr use` writes it, and `dvc repro` comes next
    return {name: end - before for (before, _), (end, name) in zip([(start, ""), *ends], ends, strict=False)}


def undo(folder: Path, stages: list[str], environment: dict[str, str]) -> None:
    """Make the project forget that these stages ran: no outs, no entries in dvc.lock, nothing in DVC's cache."""
    lock = lock_of(folder)
    for stage in stages:
        for out in lock.pop(stage)["outs"]:
            path = folder / out["path"]
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (folder / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": lock}), encoding="utf-8")
    run("dvc gc --workspace --force", folder, environment)
    shutil.rmtree(folder / ".dvc/cache/runs")


class Killer:
    """Runs `dvc repro` again and again, and kills all of it at the planned moments of its stages."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment = folder, environment
        self.moments: dict[str, list[float]] = {}  # stage -> seconds after its start, the next one last
        self.lock = ""  # of before the first run
        self.killed: Counter[str] = Counter()

    def run(self, moments: dict[str, list[float]]) -> None:
        """Go on until a run is left to its end."""
        self.moments, self.lock = moments, (self.folder / "dvc.lock").read_text(encoding="utf-8")
        while not self._run_once():
            pass

    def _run_once(self) -> bool:
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        lines: list[str] = []
        kills: list[str] = []
        with subprocess.Popen(
            ["dvc", "repro"], cwd=self.folder, env=self.environment, start_new_session=True, **pipes
        ) as process:
            timer = threading.Timer(0, int)
            for line in process.stdout or ():
                lines.append(line)
                if started := re.search(r"Running stage '([^']+)'", line):
                    timer.cancel()
                    if self.moments.get(started[1]):
                        timer = threading.Timer(self.moments[started[1]].pop(), _kill, (process.pid, started[1], kills))
                        timer.start()
            timer.cancel()
        lock = self.folder / "dvc.lock"
        if self.killed and LOCK_DAMAGED.search("".join(lines)):  # DVC itself was killed while it wrote the file
            lock.write_text(self.lock, encoding="utf-8")  # as `git checkout dvc.lock` does, which `kadr doctor` advises
            return False
        self.killed.update(kills)
        assert process.returncode == (-signal.SIGKILL if kills else 0), "".join(lines)
        return not kills


def _kill(group: int, stage: str, kills: list[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
        kills.append(stage)


def test_killed_stages_end_in_the_bytes_of_an_undisturbed_run(finished: Finished, tmp_path: Path) -> None:
    copy = finished.copy_to(tmp_path / "kadr")
    environment = {**finished.environment, "KADR_CACHE": str(tmp_path / "cache"), "PYTHONUNBUFFERED": "1"}
    stages = list(lock_of(copy)) if os.environ.get("KADR_FAULTS") == "all" else KILLED
    rng, killer = random.Random(0), Killer(copy, environment)
    lived, seconds = stages, seconds_of(finished)
    while lived:
        undo(copy, lived, environment)
        killer.run({stage: sorted(rng.uniform(0, seconds[stage]) for _ in range(KILLS))[::-1] for stage in lived})
        lived = [stage for stage in stages if not killer.killed[stage]]  # they ended sooner than their moment
        seconds = {stage: of / 2 for stage, of in seconds.items()}
    assert lock_of(copy) == lock_of(finished.folder)
    assert "Data and pipelines are up to date" in run("dvc status", copy, environment)


def test_a_second_run_beside_the_first_is_refused_and_harms_nothing(finished: Finished, tmp_path: Path) -> None:
    copy = finished.copy_to(tmp_path / "kadr")
    environment = {**finished.environment, "PYTHONUNBUFFERED": "1"}
    undo(copy, ["embed_texts@tfidf"], environment)
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(["dvc", "repro"], cwd=copy, env=environment, start_new_session=True, **pipes) as first:
        assert any("Running stage" in line for line in first.stdout or ())
        os.killpg(first.pid, signal.SIGSTOP)  # it stands still in its stage, however fast this machine is
        try:
            second = subprocess.run(["dvc", "repro"], cwd=copy, env=environment, check=False, **pipes)
        finally:
            os.killpg(first.pid, signal.SIGCONT)
        errors = first.communicate()[1]
    assert first.returncode == 0, errors
    assert second.returncode != 0
    assert re.search(rf"is busy, it is being blocked by:\n  \(PID {first.pid}\)", second.stderr)
    assert "Traceback" not in second.stderr
    assert "Running stage" not in second.stdout
    assert "Running stage" not in run("dvc repro", copy, environment)
    assert lock_of(copy) == lock_of(finished.folder)


def test_damaged_files_are_mended(finished: Finished, tmp_path: Path) -> None:
    copy = finished.copy_to(tmp_path / "kadr")
    outs = {out["path"]: out["md5"] for stage in lock_of(copy).values() for out in stage["outs"]}
    kept = copy / ".dvc/cache/files/md5" / outs["metrics/index.json"][:2] / outs["metrics/index.json"][2:]
    kept.chmod(0o644)
    files = ["data/tables/ratings.parquet", "models/relevance/model.txt", "models/index/clip.faiss"]
    for path in (kept, *(copy / name for name in files)):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    output = run("dvc repro", copy, finished.environment)
    assert re.findall(r"Running stage '([^']+)'", output) == ["index"]  # what DVC itself keeps whole is put back
    assert lock_of(copy) == lock_of(finished.folder)
    for name in (*files, str(kept.relative_to(copy))):
        assert (copy / name).read_bytes() == (finished.folder / name).read_bytes()


def test_clocks_that_jump_and_what_a_killed_stage_left_make_nothing_stale(finished: Finished, tmp_path: Path) -> None:
    copy = finished.copy_to(tmp_path / "kadr")
    cache = Path(shutil.copytree(finished.environment["KADR_CACHE"], tmp_path / "cache"))
    files = sorted(path for folder in (copy, cache) for path in folder.rglob("*") if path.is_file())
    for number, path in enumerate(files):
        os.utime(path, ((0, 4102444800)[number % 2],) * 2)  # 1970, 2100
    for folder in ("images", "texts"):
        (copy / f"data/embeddings/{folder}/.clip.parquet.1.partial").write_bytes(b"half")
    assert "Data and pipelines are up to date" in run("dvc status", copy, finished.environment)
    environment = {**finished.environment, "KADR_CACHE": str(cache)}
    output = run("dvc repro --force --single-item embed_texts@tfidf", copy, environment)
    assert "embed texts: 0 computed" in output
    assert lock_of(copy) == lock_of(finished.folder)


def test_a_damaged_lock_is_named_and_mended_as_the_doctor_says(finished: Finished, tmp_path: Path) -> None:
    copy = finished.copy_to(tmp_path / "kadr")
    whole = (copy / "dvc.lock").read_text(encoding="utf-8")
    ends_in_a_key = whole[: whole.index("params:") + len("par")]
    commands = ("dvc repro", "python -m flows.pipeline", "kadr doctor")
    for damaged, tried in (("<<<<<<< HEAD\n", commands), ("", commands[:1]), (ends_in_a_key, commands[::2])):
        (copy / "dvc.lock").write_text(damaged, encoding="utf-8")
        for command in tried:
            done = subprocess.run(
                command.split(), cwd=copy, env=finished.environment, capture_output=True, text=True, check=False
            )
            output = done.stdout + done.stderr
            assert done.returncode != 0
            assert LOCK_DAMAGED.search(output)
            assert "Traceback" not in output
            assert "Running stage" not in output
    assert "rm dvc.lock; dvc repro" in output
    assert "Running stage" not in run("rm dvc.lock; dvc repro", copy, finished.environment)
    assert lock_of(copy) == lock_of(finished.folder)
