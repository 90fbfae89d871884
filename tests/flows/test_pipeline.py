"""Tests of the pipeline flow on small DVC projects with a Prefect server: files, states and exit codes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest
import yaml

from kadr.io.stage_failure import read_failures
from tests.flows.conftest import MakeDvcProject

Run = Callable[..., subprocess.CompletedProcess[str]]

# Each stage appends its name to runs.txt, so a test can count the runs.
ROOT = {"cmd": "echo root >> runs.txt && cp input.txt root.txt", "deps": ["input.txt"], "outs": ["root.txt"]}
LEFT = {"cmd": "echo left >> runs.txt && cp root.txt left.txt", "deps": ["root.txt"], "outs": ["left.txt"]}
RIGHT = {"cmd": "echo right >> runs.txt && cp root.txt right.txt", "deps": ["root.txt"], "outs": ["right.txt"]}
JOIN = {
    "cmd": "echo join >> runs.txt && cat left.txt right.txt > join.txt",
    "deps": ["left.txt", "right.txt"],
    "outs": ["join.txt"],
}
FAILING = {**LEFT, "cmd": "echo left >> runs.txt; python failing.py"}
FAILING_SCRIPT = """
import kadr.cli.stage
from kadr.errors import GateError

def stage(_params):
    raise GateError("1 gate failed:\\n  rmse is 0.3\\nChange evaluate.gates.", evidence=["reports/rejected"])

kadr.cli.stage.load_params = dict
kadr.cli.stage.run_stage("left", stage)
"""
FAILURE = "1 gate failed:\n  rmse is 0.3\nChange evaluate.gates.\nSee reports/rejected."
KILLED = "killed by signal 9 (SIGKILL). The machine probably ran out of memory."
SLEEPER = "import pathlib, time; pathlib.Path('started.txt').touch(); time.sleep(300)"
SLOW = {"cmd": f'python -c "{SLEEPER}"', "outs": ["slow.txt"]}


@pytest.fixture
def run(environment: dict[str, str], server: str) -> Run:
    """Return a function that runs `python -m flows.pipeline OPTIONS`."""

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "flows.pipeline", *options]
        variables = {**environment, "PREFECT_API_URL": server}
        return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=300, check=False)

    return run


def stages_run(project: Path) -> list[str]:
    return (project / "runs.txt").read_text().split()


def latest_artifact(server: str, key: str) -> list[dict[str, str]]:
    """Return the rows of the latest table artifact with the given key."""
    artifacts = httpx.post(f"{server}/artifacts/latest/filter", json={"artifacts": {"key": {"any_": [key]}}}).json()
    return list(json.loads(artifacts[0]["data"]))


def summary(server: str) -> dict[str, str]:
    """Return the status of each stage in the latest run."""
    return {row["stage"]: row["status"] for row in latest_artifact(server, "pipeline")}


def wait_for(path: Path) -> None:
    for _ in range(900):
        if path.exists():
            return
        time.sleep(0.1)
    pytest.fail(f"{path} did not appear within 90 s")


def remaining_processes(project: Path) -> list[list[str]]:
    """Return the command lines of processes that are still running in the project folder after ten seconds."""
    processes = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.cwd() == str(project):
                processes.append(process)
        except psutil.Error:
            continue
    _, alive = psutil.wait_procs(processes, timeout=10)
    return [process.cmdline() for process in alive if process.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.slow
def test_a_second_run_does_nothing(make_dvc_project: MakeDvcProject, run: Run, server: str) -> None:
    project = make_dvc_project({"join": JOIN, "left": LEFT, "right": RIGHT, "root": ROOT})
    done = run()
    assert done.returncode == 0, done.stderr
    assert sorted(stages_run(project)) == ["join", "left", "right", "root"]
    assert (project / "join.txt").read_text() == "1\n1\n"
    assert set(yaml.safe_load((project / "dvc.lock").read_text())["stages"]) == {"join", "left", "right", "root"}
    assert summary(server) == dict.fromkeys(["root", "left", "right", "join"], "ran")

    assert run().returncode == 0
    assert len(stages_run(project)) == 4
    assert set(summary(server).values()) == {"unchanged"}

    (project / "join.txt").unlink()
    (project / "dvc.lock").unlink()
    assert run("--target", "join").returncode == 0
    assert len(stages_run(project)) == 4
    assert set(summary(server).values()) == {"from cache"}
    assert (project / "join.txt").read_text() == "1\n1\n"

    assert run("--target", "left", "--force").returncode == 0
    assert stages_run(project)[4:] == ["root", "left"]


@pytest.mark.slow
def test_the_plan_is_published_and_only_changed_stages_are_passed_to_dvc(
    make_dvc_project: MakeDvcProject, run: Run, server: str
) -> None:
    same = {**ROOT, "cmd": "echo root >> runs.txt && echo same > root.txt"}
    project = make_dvc_project(
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
        "left": "if the outputs of root change",
        "right": "if the outputs of root change",
        "other": "up to date",
    }
    assert {row["stage"]: row["why"] for row in latest_artifact(server, "plan")} == why
    assert "root will run: input.txt modified" in done.stderr
    assert "1 of 4 stages are up to date" in done.stderr
    assert stages_run(project)[3:] == ["root"]  # the output of root did not change
    assert "Stage 'left' didn't change" in done.stderr
    assert "Stage 'right'" not in done.stderr  # right reads only the unchanged output of left
    assert summary(server) == {"root": "ran", "left": "unchanged", "right": "unchanged", "other": "unchanged"}


@pytest.mark.slow
def test_independent_stages_run_in_parallel(make_dvc_project: MakeDvcProject, run: Run) -> None:
    meet = "touch {0}.here; for _ in $(seq 900); do test -e {1}.here && touch {0}.txt && exit; sleep 0.1; done; exit 1"
    make_dvc_project(
        {"a": {"cmd": meet.format("a", "b"), "outs": ["a.txt"]}, "b": {"cmd": meet.format("b", "a"), "outs": ["b.txt"]}}
    )
    assert run().returncode == 0


@pytest.mark.slow
def test_the_number_of_parallel_stages_is_limited(make_dvc_project: MakeDvcProject, run: Run) -> None:
    command = "mkdir alone && touch {0}.txt && sleep 2 && rmdir alone"
    make_dvc_project({name: {"cmd": command.format(name), "outs": [f"{name}.txt"]} for name in ("a", "b", "c")})
    assert run("--max-parallel", "1").returncode == 0


@pytest.mark.slow
def test_independent_stages_finish_after_a_failed_stage(
    make_dvc_project: MakeDvcProject, run: Run, server: str
) -> None:
    last = {"cmd": "echo last >> runs.txt && cp right.txt last.txt", "deps": ["right.txt"], "outs": ["last.txt"]}
    killed = {"cmd": "kill -9 $$", "deps": ["root.txt"], "outs": ["killed.txt"]}
    stages = {"root": ROOT, "left": FAILING, "right": RIGHT, "join": JOIN, "last": last, "killed": killed}
    project = make_dvc_project(stages)
    (project / "failing.py").write_text(FAILING_SCRIPT)
    done = run()
    assert done.returncode == 1
    messages = {f"stage left failed: {FAILURE}", f"stage killed failed: {KILLED}"}
    assert all(message in done.stderr for message in messages), done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(stages_run(project)) == ["last", "left", "right", "root"]  # a stage that fails is not retried
    failed = {"left": "failed", "killed": "failed", "join": "skipped"}
    assert summary(server) == failed | dict.fromkeys(["root", "right", "last"], "ran")
    rows = {row["stage"]: row["message"] for row in latest_artifact(server, "pipeline")}
    assert rows["left"] == FAILURE
    assert rows["killed"].startswith(KILLED)
    runs = httpx.post(f"{server}/flow_runs/filter", json={"sort": "START_TIME_DESC", "limit": 1}).json()
    assert all(message in runs[0]["state"]["message"] for message in messages)
    failures = read_failures(project / "reports/failures")
    assert {failure.stage for failure in failures} == {"left", "killed"}
    assert {failure.flow_run_id for failure in failures} == {runs[0]["id"]}


@pytest.mark.slow
def test_the_flow_waits_for_files_that_another_dvc_process_uses(make_dvc_project: MakeDvcProject, run: Run) -> None:
    project = make_dvc_project({"root": ROOT})
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
    assert stages_run(project) == ["root"]


@pytest.mark.slow
def test_a_stage_is_stopped_at_its_timeout_with_its_child_processes(make_dvc_project: MakeDvcProject, run: Run) -> None:
    project = make_dvc_project({"slow": SLOW})
    done = run("--stage-timeout-s", "20")
    assert done.returncode == 1
    assert done.stderr.endswith("\nstage slow failed: Task run exceeded timeout of 20.0 second(s)\n")
    assert (project / "started.txt").exists()
    assert remaining_processes(project) == []


@pytest.mark.slow
def test_an_unknown_target_is_named(make_dvc_project: MakeDvcProject, run: Run) -> None:
    make_dvc_project({"root": ROOT})
    done = run("--target", "nosuch")
    assert done.returncode == 1
    assert done.stderr.endswith("\nStage 'nosuch' not found inside 'dvc.yaml' file\n")


@pytest.mark.slow
def test_the_command_works_without_a_server_and_stages_use_its_python(
    make_dvc_project: MakeDvcProject, environment: dict[str, str]
) -> None:
    project = make_dvc_project(
        {"root": {**ROOT, "cmd": 'python -c \'import sys; open("root.txt", "w").write(sys.executable)\''}}
    )
    command = [sys.executable, "-m", "flows.pipeline"]
    variables = {**environment, "PATH": os.defpath}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert (project / "root.txt").read_text() == sys.executable
    assert remaining_processes(project) == []


@pytest.mark.slow
@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_flow_stops_all_its_processes(
    make_dvc_project: MakeDvcProject, environment: dict[str, str], signal_number: signal.Signals
) -> None:
    project = make_dvc_project({"slow": SLOW})
    with subprocess.Popen([sys.executable, "-m", "flows.pipeline"], env=environment, stderr=subprocess.DEVNULL) as flow:
        wait_for(project / "started.txt")
        assert len(remaining_processes(project)) >= 4  # the flow, its temporary server, DVC and the stage
        flow.send_signal(signal_number)
        assert flow.wait(60) != 0
    assert remaining_processes(project) == []
    assert not any(json.loads((project / ".dvc/tmp/rwlock").read_text()).values())
