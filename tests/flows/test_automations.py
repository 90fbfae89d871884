"""Tests that the automations of flows/automations.py send notifications, with a Prefect server and an HTTP server."""

import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from queue import Queue
from threading import Thread

import httpx
import pytest

from tests.flows.conftest import MakeDvcProject
from tests.flows.test_worker import commands

pytestmark = pytest.mark.slow

TIMEOUT_S = 120
FAILING = {"train": {"cmd": "echo 'train: no ratings'; exit 3", "outs": ["model.txt"]}}


@pytest.fixture
def notifications() -> Iterator[tuple[str, "Queue[str]"]]:
    """Address of an HTTP server, and the queue of the texts that it receives."""
    texts: Queue[str] = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            texts.put(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as webhook:
        Thread(target=webhook.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{webhook.server_port}", texts
        webhook.shutdown()


def test_a_failed_run_and_rejected_models_are_reported(
    make_dvc_project: MakeDvcProject,
    environment: dict[str, str],
    server: str,
    notifications: tuple[str, "Queue[str]"],
) -> None:
    make_dvc_project(FAILING)
    address, texts = notifications
    variables = environment | {"PREFECT_API_URL": server}
    (command,) = [command for command in commands() if "flows.automations" in command]
    create = [sys.executable, *command[1:-1], address]
    for _ in range(2):  # the second call replaces the automations
        subprocess.run(create, env=variables, check=True, capture_output=True)
    automations = httpx.post(f"{server}/automations/filter", json={}).json()
    assert sorted(automation["name"] for automation in automations) == [
        "kadr: a run failed",
        "kadr: new models were rejected",
    ]

    subprocess.run([sys.executable, "-m", "flows.pipeline"], env=variables, check=False, capture_output=True)
    failure = texts.get(timeout=TIMEOUT_S)
    assert failure.startswith("pipeline: Failed\nstage train failed: train: no ratings")
    assert "project:" in failure

    flow_id = httpx.post(f"{server}/flows/", json={"name": "refresh"}).json()["id"]
    run_id = httpx.post(f"{server}/flow_runs/", json={"flow_id": flow_id}).json()["id"]
    state = {"type": "COMPLETED", "name": "Rejected", "message": "tau_c is lower"}
    httpx.post(f"{server}/flow_runs/{run_id}/set_state", json={"state": state, "force": True}).raise_for_status()
    assert texts.get(timeout=TIMEOUT_S).startswith("refresh: Rejected\ntau_c is lower")
    assert texts.empty()


def test_without_a_server_or_an_address_the_command_explains_what_is_missing(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "flows.automations"]
    for options, message in (
        (["--webhook", "http://localhost"], "need a Prefect server"),
        ([], "--webhook and --block"),
    ):
        process = subprocess.run([*command, *options], env=environment, capture_output=True, text=True, check=False)
        assert process.returncode == 1
        assert message in process.stderr
