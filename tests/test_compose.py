"""Check the Dockerfile and compose.yaml. No containers run: the commands of the services run as subprocesses."""

import re
import shutil
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.conftest import PROJECT, FinishedProject, run
from tests.test_docs import read_commands

pytest_plugins = ["tests.postgres"]

COMPOSE = yaml.safe_load((PROJECT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (PROJECT / "Dockerfile").read_text(encoding="utf-8")
PORTS = ("4200", "5000", "5432", "8000")


class TestFiles:
    @pytest.mark.parametrize("command", ["hadolint Dockerfile", "compose-lint compose.yaml"])
    def test_the_linter_finds_no_problem(self, command: str) -> None:
        program, *arguments = command.split()
        path = shutil.which(program, path=str(Path(sys.executable).parent))
        if not path:
            pytest.skip(f"{program} has no package for this platform")
        process = subprocess.run([path, *arguments], cwd=PROJECT, capture_output=True, text=True, check=False)
        assert process.returncode == 0, process.stdout + process.stderr

    def test_the_extras_of_the_image_exist(self) -> None:
        project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        extras = set(re.findall(r"--extra (\w+)", DOCKERFILE))
        assert {"pipeline", "postgres"} <= extras <= set(project["optional-dependencies"])

    def test_the_files_of_the_image_are_a_project(self, tmp_path: Path) -> None:
        kept = re.findall(r"(?m)^!(.+)$", (PROJECT / ".dockerignore").read_text(encoding="utf-8"))
        command = ["git", "ls-files", "--", *kept]
        for name in subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, text=True).stdout.split():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, tmp_path / name)
        (no_git,) = re.findall(r"(?m)^RUN (dvc .*)$", DOCKERFILE)
        imports = "python -c 'import kadr, flows.pipeline, tasks.train; print(kadr.__file__)'"
        output = run(
            f"{no_git} && dvc stage list --name-only && {imports}", tmp_path, FinishedProject(tmp_path).environment
        )
        assert {"ingest", "train", "report"} <= set(output.split())
        assert str(tmp_path / "kadr/__init__.py") in output

    def test_all_addresses_are_loopback_addresses(self) -> None:
        ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
        assert len(ports) == 3
        assert all(port.startswith("127.0.0.1:") for port in ports)

    def test_the_docs_name_all_services_and_variables(self) -> None:
        page = (PROJECT / "docs/deploy.md").read_text(encoding="utf-8")
        variables = re.findall(r"\$\{(\w+)", (PROJECT / "compose.yaml").read_text(encoding="utf-8"))
        assert [name for name in [*SERVICES, *variables] if name not in page] == []


class Stack:
    """The services of compose.yaml as subprocesses on free ports of the loopback interface.

    Args:
        project: folder that the worker and the page see as /kadr.
        home: folder that the services see as /home/kadr.
        postgres: `USER@HOST:PORT` of a PostgreSQL server.
    """

    def __init__(self, project: Path, home: Path, postgres: str, environment: dict[str, str]) -> None:
        self.project, self.home, self.environment = project, home, environment
        self.ports = {port: str(free_port()) for port in PORTS} | {"5432": postgres.rpartition(":")[2]}

    def local(self, text: str) -> str:
        """Replace the hosts, ports, folders and variables of compose.yaml with those of this machine."""
        text = re.sub(r"\$\{(\w+)[^}]*\}", "0123456789abcdef", text)
        text = re.sub(r"(?<=[/@])(mlflow|postgres|prefect):", "127.0.0.1:", text.replace("0.0.0.0", "127.0.0.1"))
        text = text.replace("/home/kadr", str(self.home))
        return re.sub(rf"\b({'|'.join(PORTS)})\b", lambda match: self.ports[match[1]], text)

    def variables(self, service: str) -> dict[str, str]:
        settings = {key: self.local(value) for key, value in SERVICES[service].get("environment", {}).items()}
        return self.environment | {"PREFECT_HOME": str(self.home / service)} | settings

    def run(self, service: str, command: str) -> str:
        """Run a command in a service, as `docker compose exec` does."""
        return run(self.local(command), self.project, self.variables(service))

    def start(self, service: str) -> subprocess.Popen[bytes]:
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        command = self.local(SERVICES[service]["command"])
        return subprocess.Popen(f"exec {command}", shell=True, cwd=self.project, env=self.variables(service), **silent)

    def wait_until_healthy(self, service: str, process: subprocess.Popen[bytes]) -> None:
        """Repeat the health check of a service until it succeeds."""
        check = self.local(SERVICES[service]["healthcheck"]["test"])
        for _ in range(360):
            assert process.poll() is None, f"{service} stopped during its start"
            result = subprocess.run(check, shell=True, env=self.environment, capture_output=True, check=False)
            if result.returncode == 0:
                return
            time.sleep(0.5)
        pytest.fail(f"{service} did not start within 180 s")


def free_port() -> int:
    with socket.socket() as free_socket:
        free_socket.bind(("127.0.0.1", 0))
        return int(free_socket.getsockname()[1])


@pytest.fixture
def stack(finished: FinishedProject, postgres: str, tmp_path: Path) -> Iterator[Stack]:
    """Yield the services on empty databases. PostgreSQL, MLflow, the Prefect server and the page are running."""
    import psycopg

    inherited = {
        key: value for key, value in finished.environment.items() if not key.startswith(("MLFLOW_", "PREFECT_"))
    }
    stack = Stack(finished.copy_to(tmp_path / "kadr"), tmp_path, postgres, inherited)
    databases = [f"CREATE DATABASE {SERVICES['postgres']['environment']['POSTGRES_DB']};"]
    databases += [config["content"] for config in COMPOSE["configs"].values()]
    with psycopg.connect(f"postgresql://{postgres}/postgres", autocommit=True) as connection:
        for database in databases:
            connection.execute(database.encode())
    with ExitStack() as running:
        processes = {name: running.enter_context(stack.start(name)) for name in ("mlflow", "prefect", "page")}
        for process in processes.values():
            running.callback(process.terminate)
        for name, process in processes.items():
            stack.wait_until_healthy(name, process)
        yield stack


@pytest.mark.slow
def test_the_commands_of_all_services_run(stack: Stack) -> None:
    assert "pipeline/local" in stack.run("deployments", SERVICES["deployments"]["command"])
    (trigger,) = [
        command.removeprefix("docker compose exec worker ")
        for command in read_commands(PROJECT / "docs/deploy.md")
        if command.startswith("docker compose exec worker ")
    ]
    with stack.start("worker") as worker:
        try:
            assert "Completed" in stack.run("worker", trigger)
        finally:
            worker.terminate()
    script = (
        "import mlflow; client = mlflow.MlflowClient(); run = client.create_run(client.create_experiment('x')); "
        "client.log_text(run.info.run_id, 'text', 'file.txt'); print(client.list_artifacts(run.info.run_id)[0].path)"
    )
    assert "file.txt" in stack.run("worker", f'{sys.executable} -c "{script}"')
    mlflow = f"http://127.0.0.1:{stack.ports['5000']}/api/2.0/mlflow/experiments/search?max_results=1"
    for host, status in ((f"mlflow:{stack.ports['5000']}", 200), ("other.example", 403)):
        assert httpx.get(mlflow, headers={"Host": host}).status_code == status
    page = f"http://127.0.0.1:{stack.ports['8000']}/search"
    token = {"Authorization": "Bearer 0123456789abcdef"}
    assert httpx.post(page, json={"text": "a house"}).status_code == 401
    response = httpx.post(page, json={"text": "a house"}, headers=token, timeout=60)
    assert response.status_code == 200, response.text
