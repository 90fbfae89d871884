"""Runs of the pipeline flow on toy DVC projects with a real Prefect server, judged by files, states and exit codes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml

Run = Callable[..., subprocess.CompletedProcess[str]]
Toy = Callable[[dict[str, Any]], Path]

# Each stage notes in runs.txt that it ran, so that a test sees what ran and how often.
ROOT = {"cmd": "echo root >> runs.txt && cp input.txt root.txt", "deps": ["input.txt"], "outs": ["root.txt"]}
LEFT = {"cmd": "echo left >> runs.txt && cp root.txt left.txt", "deps": ["root.txt"], "outs": ["left.txt"]}
RIGHT = {"cmd": "echo right >> runs.txt && cp root.txt right.txt", "deps": ["root.txt"], "outs": ["right.txt"]}
JOIN = {
    "cmd": "echo join >> runs.txt && cat left.txt right.txt > join.txt",
    "deps": ["left.txt", "right.txt"],
    "outs": ["join.txt"],
}
FAILING = {**LEFT, "cmd": "echo left >> runs.txt; echo 'left: no such photo'; exit 3"}
SLEEPER = "import pathlib, time; pathlib.Path('started.txt').touch(); time.sleep(300)"
SLOW = {"cmd": f'python -c "{SLEEPER}"', "outs": ["slow.txt"]}


@pytest.fixture
def run(environment: dict[str, str], server: str) -> Run:
    """Run `python -m flows.pipeline OPTIONS` and give its exit code and what it wrote."""

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "flows.pipeline", *options]
        on_server = {**environment, "PREFECT_API_URL": server}
        return subprocess.run(command, env=on_server, capture_output=True, text=True, timeout=300, check=False)

    return run


def ran(project: Path) -> list[str]:
    return (project / "runs.txt").read_text().split()


def newest(server: str, key: str) -> list[dict[str, str]]:
    """Rows of the newest table artifact of that key."""
    found = httpx.post(f"{server}/artifacts/latest/filter", json={"artifacts": {"key": {"any_": [key]}}}).json()
    return list(json.loads(found[0]["data"]))


def summary(server: str) -> dict[str, str]:
    """What became of each stage, by the newest run's summary."""
    return {row["stage"]: row["status"] for row in newest(server, "pipeline")}


def wait_for(path: Path) -> None:
    for _ in range(900):
        if path.exists():
            return
        time.sleep(0.1)
    pytest.fail(f"{path} did not come within 90 s")


def left_behind(project: Path) -> list[list[str]]:
    """Commands of processes that still run in the project's folder, ten seconds after they were told to end."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.cwd() == str(project):
                found.append(process)
        except psutil.Error:
            continue
    _, alive = psutil.wait_procs(found, timeout=10)
    return [process.cmdline() for process in alive if process.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.slow
def test_all_stages_run_once_and_a_second_run_does_nothing(toy: Toy, run: Run, server: str) -> None:
    project = toy({"join": JOIN, "left": LEFT, "right": RIGHT, "root": ROOT})
    done = run()
    assert done.returncode == 0, done.stderr
    assert sorted(ran(project)) == ["join", "left", "right", "root"]
    assert (project / "join.txt").read_text() == "1\n1\n"
    assert set(yaml.safe_load((project / "dvc.lock").read_text())["stages"]) == {"join", "left", "right", "root"}
    assert summary(server) == dict.fromkeys(["root", "left", "right", "join"], "ran")

    assert run().returncode == 0
    assert len(ran(project)) == 4
    assert set(summary(server).values()) == {"unchanged"}

    (project / "join.txt").unlink()
    (project / "dvc.lock").unlink()
    assert run("--target", "join").returncode == 0
    assert len(ran(project)) == 4
    assert set(summary(server).values()) == {"from cache"}
    assert (project / "join.txt").read_text() == "1\n1\n"

    assert run("--target", "left", "--force").returncode == 0
    assert ran(project)[4:] == ["root", "left"]


@pytest.mark.slow
def test_what_will_run_is_said_and_only_what_is_stale_is_handed_to_dvc(toy: Toy, run: Run, server: str) -> None:
    same = {**ROOT, "cmd": "echo root >> runs.txt && echo same > root.txt"}
    project = toy(
        {
            "root": same,
            "left": LEFT,
            "right": {**RIGHT, "deps": ["left.txt"]},
            "other": {**SLOW, "cmd": "touch slow.txt"},
        }
    )
    assert run().returncode == 0
    (project / "input.txt").write_text("2\n")
    done = run()
    assert done.returncode == 0, done.stderr
    why = {
        "root": "input.txt modified",
        "left": "after root, if what it reads changes",
        "right": "after left, if what it reads changes",
        "other": "up to date",
    }
    assert {row["stage"]: row["why"] for row in newest(server, "plan")} == why
    assert "root will run: input.txt modified" in done.stderr
    assert "1 of 4 stages are up to date" in done.stderr
    assert ran(project)[3:] == ["root"]  # its out is the same as before, as DVC finds for left
    assert "Stage 'left' didn't change" in done.stderr
    assert "Stage 'right'" not in done.stderr  # left is unchanged, so nothing that right reads can have changed
    assert summary(server) == {"root": "ran", "left": "unchanged", "right": "unchanged", "other": "unchanged"}


@pytest.mark.slow
def test_independent_stages_overlap(toy: Toy, run: Run) -> None:
    meet = "touch {0}.here; for _ in $(seq 900); do test -e {1}.here && touch {0}.txt && exit; sleep 0.1; done; exit 1"
    toy(
        {"a": {"cmd": meet.format("a", "b"), "outs": ["a.txt"]}, "b": {"cmd": meet.format("b", "a"), "outs": ["b.txt"]}}
    )
    assert run().returncode == 0


@pytest.mark.slow
def test_no_more_stages_than_the_limit_overlap(toy: Toy, run: Run) -> None:
    alone = "mkdir alone && touch {0}.txt && sleep 2 && rmdir alone"
    toy({name: {"cmd": alone.format(name), "outs": [f"{name}.txt"]} for name in ("a", "b", "c")})
    assert run("--max-parallel", "1").returncode == 0


@pytest.mark.slow
def test_a_failed_stage_fails_the_flow_and_independent_branches_finish(toy: Toy, run: Run, server: str) -> None:
    last = {"cmd": "echo last >> runs.txt && cp right.txt last.txt", "deps": ["right.txt"], "outs": ["last.txt"]}
    project = toy({"root": ROOT, "left": FAILING, "right": RIGHT, "join": JOIN, "last": last})
    done = run()
    assert done.returncode == 1
    assert done.stderr.endswith("\nstage left failed: left: no such photo\n")
    assert "Traceback" not in done.stderr
    assert sorted(ran(project)) == ["last", "left", "right", "root"]  # left once: its own error is not tried again
    assert summary(server) == {"root": "ran", "left": "failed", "right": "ran", "last": "ran", "join": "skipped"}


@pytest.mark.slow
def test_files_in_use_by_another_dvc_process_are_waited_for(toy: Toy, run: Run) -> None:
    project = toy({"root": ROOT})
    with subprocess.Popen(["sleep", "300"]) as other:
        entry = {"write": {str(project / "root.txt"): {"pid": other.pid, "cmd": "dvc repro"}}, "read": {}}
        (project / ".dvc/tmp/rwlock").write_text(json.dumps(entry))
        done = run("--retries", "0")
        assert done.returncode == 1
        assert "is busy, it is being blocked by" in done.stderr
        assert not (project / "runs.txt").exists()

        with ThreadPoolExecutor() as side:
            waiting = side.submit(run)
            time.sleep(10)
            other.kill()
            other.wait()
            assert waiting.result().returncode == 0
    assert ran(project) == ["root"]


@pytest.mark.slow
def test_a_stage_past_its_timeout_is_stopped_with_all_it_started(toy: Toy, run: Run) -> None:
    project = toy({"slow": SLOW})
    done = run("--stage-timeout-s", "20")
    assert done.returncode == 1
    assert done.stderr.endswith("\nstage slow failed: Task run exceeded timeout of 20.0 second(s)\n")
    assert (project / "started.txt").exists()
    assert left_behind(project) == []


@pytest.mark.slow
def test_an_unknown_target_is_named(toy: Toy, run: Run) -> None:
    toy({"root": ROOT})
    done = run("--target", "nosuch")
    assert done.returncode == 1
    assert done.stderr.endswith("\nStage 'nosuch' not found inside 'dvc.yaml' file\n")


@pytest.mark.slow
def test_the_command_needs_no_server_and_stages_get_its_python(toy: Toy, environment: dict[str, str]) -> None:
    project = toy({"root": {**ROOT, "cmd": 'python -c \'import sys; open("root.txt", "w").write(sys.executable)\''}})
    command = [sys.executable, "-m", "flows.pipeline"]
    alone = {**environment, "PATH": os.defpath}
    done = subprocess.run(command, env=alone, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert (project / "root.txt").read_text() == sys.executable
    assert left_behind(project) == []


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_flow_leaves_no_process_behind(
    toy: Toy, environment: dict[str, str], how: signal.Signals
) -> None:
    project = toy({"slow": SLOW})
    with subprocess.Popen([sys.executable, "-m", "flows.pipeline"], env=environment, stderr=subprocess.DEVNULL) as flow:
        wait_for(project / "started.txt")
        assert len(left_behind(project)) >= 4  # the flow, its temporary server, DVC and the stage
        flow.send_signal(how)
        assert flow.wait(60) != 0
    assert left_behind(project) == []
    assert not any(json.loads((project / ".dvc/tmp/rwlock").read_text()).values())
