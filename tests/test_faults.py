"""Test that `dvc repro` produces the files of an undisturbed run after stages were killed or files were damaged.

By default, a few stages are killed once, one for each kind of output: a folder, the embedding cache, the MLflow store
and a published index. If KADR_FAULTS is `all`, every stage of an empty project is killed twice, which takes about five
minutes.
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

from tests.conftest import FinishedProject, run

pytestmark = pytest.mark.slow

ALL_STAGES = os.environ.get("KADR_FAULTS") == "all"
N_KILLS = 2 if ALL_STAGES else 1  # number of kills per stage
KILLED_STAGES = ["clip", "embed_texts@tfidf", "train", "index"]
LOCK_DAMAGED = re.compile(r"dvc\.lock',? (validation failed|is invalid|YAML file structure is corrupted)")


def read_lock(folder: Path) -> dict[str, Any]:
    """Return the dvc.lock entry of each stage: command, deps, params and outs with MD5 hashes."""
    return dict(yaml.safe_load((folder / "dvc.lock").read_text(encoding="utf-8"))["stages"])


def stage_seconds(finished: FinishedProject) -> dict[str, float]:
    """Return the duration of each stage in seconds, including the overhead of DVC.

    The durations follow from the times of the metrics files, because each stage writes its metrics file last.
    """
    ends = sorted((path.stat().st_mtime, path.stem) for path in (finished.folder / "metrics").iterdir())
    start = (finished.folder / "params.yaml").stat().st_mtime  # written just before `dvc repro`
    return {name: end - begin for (begin, _), (end, name) in zip([(start, ""), *ends], ends, strict=False)}


def forget_stages(folder: Path, stages: list[str], environment: dict[str, str]) -> None:
    """Delete the outputs, the dvc.lock entries and the cached files of the given stages."""
    lock = read_lock(folder)
    for stage in stages:
        for out in lock.pop(stage)["outs"]:
            path = folder / out["path"]
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (folder / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": lock}), encoding="utf-8")
    run("dvc gc --workspace --force", folder, environment)
    shutil.rmtree(folder / ".dvc/cache/runs")


class Killer:
    """Run `dvc repro` repeatedly and kill its process group at planned times."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment = folder, environment
        self.kill_times: dict[str, list[float]] = {}  # seconds after the start of a stage, in descending order
        self.lock = ""  # content of dvc.lock before the first run
        self.killed: Counter[str] = Counter()

    def run(self, kill_times: dict[str, list[float]]) -> None:
        """Run `dvc repro` repeatedly until one run ends without being killed."""
        self.kill_times, self.lock = kill_times, (self.folder / "dvc.lock").read_text(encoding="utf-8")
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
                    if self.kill_times.get(started[1]):
                        timer = threading.Timer(
                            self.kill_times[started[1]].pop(), _kill, (process.pid, started[1], kills)
                        )
                        timer.start()
            timer.cancel()
        lock = self.folder / "dvc.lock"
        if self.killed and LOCK_DAMAGED.search("".join(lines)):  # DVC was killed while it wrote the file
            lock.write_text(self.lock, encoding="utf-8")  # like `git checkout dvc.lock`, the fix of `kadr doctor`
            return False
        self.killed.update(kills)
        assert process.returncode == (-signal.SIGKILL if kills else 0), "".join(lines)
        return not kills


def _kill(group: int, stage: str, kills: list[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
        kills.append(stage)


def test_killed_stages_produce_the_bytes_of_an_undisturbed_run(finished: FinishedProject, tmp_path: Path) -> None:
    copy = finished.copy_to(tmp_path / "kadr")
    environment = {**finished.environment, "KADR_CACHE": str(tmp_path / "cache"), "PYTHONUNBUFFERED": "1"}
    stages = list(read_lock(copy)) if ALL_STAGES else KILLED_STAGES
    rng, killer = random.Random(0), Killer(copy, environment)
    remaining, seconds = stages, stage_seconds(finished)
    while remaining:
        forget_stages(copy, remaining, environment)
        killer.run({stage: sorted(rng.uniform(0, seconds[stage]) for _ in range(N_KILLS))[::-1] for stage in remaining})
        remaining = [stage for stage in stages if not killer.killed[stage]]  # stages that ended before the kill
        seconds = {stage: duration / 2 for stage, duration in seconds.items()}
    assert read_lock(copy) == read_lock(finished.folder)
    assert "Data and pipelines are up to date" in run("dvc status", copy, environment)


def test_a_second_simultaneous_run_is_refused_without_harm(finished: FinishedProject, tmp_path: Path) -> None:
    copy = finished.copy_to(tmp_path / "kadr")
    environment = {**finished.environment, "PYTHONUNBUFFERED": "1"}
    forget_stages(copy, ["embed_texts@tfidf"], environment)
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(["dvc", "repro"], cwd=copy, env=environment, start_new_session=True, **pipes) as first:
        assert any("Running stage" in line for line in first.stdout or ())
        os.killpg(first.pid, signal.SIGSTOP)  # pause the run in the middle of a stage
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
    assert read_lock(copy) == read_lock(finished.folder)


def test_damaged_files_are_restored(finished: FinishedProject, tmp_path: Path) -> None:
    copy = finished.copy_to(tmp_path / "kadr")
    outs = {out["path"]: out["md5"] for stage in read_lock(copy).values() for out in stage["outs"]}
    cached = copy / ".dvc/cache/files/md5" / outs["metrics/index.json"][:2] / outs["metrics/index.json"][2:]
    cached.chmod(0o644)
    files = ["data/tables/ratings.parquet", "models/relevance/model.txt", "models/index/clip.faiss"]
    for path in (cached, *(copy / name for name in files)):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    output = run("dvc repro", copy, finished.environment)
    assert re.findall(r"Running stage '([^']+)'", output) == ["index"]  # DVC restores the other outputs from its cache
    assert read_lock(copy) == read_lock(finished.folder)
    for name in (*files, str(cached.relative_to(copy))):
        assert (copy / name).read_bytes() == (finished.folder / name).read_bytes()


def test_wrong_file_times_and_partial_files_do_not_outdate_stages(finished: FinishedProject, tmp_path: Path) -> None:
    copy = finished.copy_to(tmp_path / "kadr")
    cache = Path(shutil.copytree(finished.environment["KADR_CACHE"], tmp_path / "cache"))
    files = sorted(path for folder in (copy, cache) for path in folder.rglob("*") if path.is_file())
    for number, path in enumerate(files):
        os.utime(path, ((0, 4102444800)[number % 2],) * 2)  # the years 1970 and 2100
    for folder in ("images", "texts"):
        (copy / f"data/embeddings/{folder}/.clip.parquet.1.partial").write_bytes(b"half")
    assert "Data and pipelines are up to date" in run("dvc status", copy, finished.environment)
    environment = {**finished.environment, "KADR_CACHE": str(cache)}
    output = run("dvc repro --force --single-item embed_texts@tfidf", copy, environment)
    assert "embed texts: computed 0 vectors" in output
    assert read_lock(copy) == read_lock(finished.folder)


def test_a_damaged_lock_is_named_and_the_fix_of_the_doctor_works(finished: FinishedProject, tmp_path: Path) -> None:
    copy = finished.copy_to(tmp_path / "kadr")
    content = (copy / "dvc.lock").read_text(encoding="utf-8")
    ends_in_a_key = content[: content.index("params:") + len("par")]
    commands = ("dvc repro", "python -m flows.pipeline", "kadr doctor")
    for damaged, tried_commands in (("<<<<<<< HEAD\n", commands), ("", commands[:1]), (ends_in_a_key, commands[2:])):
        (copy / "dvc.lock").write_text(damaged, encoding="utf-8")
        for command in tried_commands:
            process = subprocess.run(
                command.split(), cwd=copy, env=finished.environment, capture_output=True, text=True, check=False
            )
            output = process.stdout + process.stderr
            assert process.returncode != 0
            assert LOCK_DAMAGED.search(output)
            assert "Traceback" not in output
            assert "Running stage" not in output
    assert "rm dvc.lock; dvc repro" in output
    assert "Running stage" not in run("rm dvc.lock; dvc repro", copy, finished.environment)
    assert read_lock(copy) == read_lock(finished.folder)
