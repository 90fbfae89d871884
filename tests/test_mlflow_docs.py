"""Run the commands of docs/mlflow.md in a copy of the finished project."""

import json
from pathlib import Path

import pytest

from tests.conftest import PROJECT, run
from tests.project_copy import get_page, run_server
from tests.test_docs import read_blocks, read_commands

pytestmark = pytest.mark.slow

PAGE = PROJECT / "docs/mlflow.md"
SERVER = "mlflow ui"


@pytest.mark.parametrize("command", [command for command in read_commands(PAGE) if not command.startswith(SERVER)])
def test_a_command_of_the_page_runs(command: str, restored: Path, environment: dict[str, str]) -> None:
    output = run(command.replace("--trials 20", "--trials 2"), restored, environment)
    if command == "kadr register":
        assert "models:/kadr-sample/" in output
    if command == "kadr compare":
        assert "tau_c" in output
    if command.startswith("mlflow models predict"):
        predictions = json.loads((restored / "relevance.json").read_text(encoding="utf-8"))["predictions"]
        assert predictions
        assert all(0 <= prediction["relevance"] <= 1 for prediction in predictions)


def test_the_script_of_the_page_predicts_with_the_registered_model(copy: Path, environment: dict[str, str]) -> None:
    (script,) = read_blocks(PAGE, "python")
    (copy / "predict.py").write_text(script, encoding="utf-8")
    assert "relevance" in run("python predict.py", copy, environment)


def test_mlflow_ui_shows_the_experiment(copy: Path, environment: dict[str, str]) -> None:
    (command,) = (command for command in read_commands(PAGE) if command.startswith(SERVER))
    with run_server(f"{command} --workers 1 --port", copy, environment) as address:
        page = get_page(f"{address}/ajax-api/2.0/mlflow/experiments/get-by-name?experiment_name=sample")
    assert '"name": "sample"' in page
