"""Tests that the deployments in prefect.yaml match the flows and work with a local worker."""

import inspect
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import Flow

SETTINGS = yaml.safe_load((Path(__file__).parents[2] / "prefect.yaml").read_text())


def load_flow(deployment: dict[str, Any]) -> Flow[..., Any]:
    path, name = deployment["entrypoint"].split(":")
    flow = getattr(import_module(path.removesuffix(".py").replace("/", ".")), name)
    assert isinstance(flow, Flow)
    return flow


@pytest.mark.parametrize("deployment", SETTINGS["deployments"], ids=lambda deployment: str(deployment["name"]))
class TestDeployment:
    def test_the_parameters_match_the_flow(self, deployment: dict[str, Any]) -> None:
        flow = load_flow(deployment)
        assert set(deployment["parameters"]) == set(inspect.signature(flow.fn).parameters)
        assert flow.validate_parameters(deployment["parameters"]) == deployment["parameters"]

    def test_no_pull_step_is_defined(self, deployment: dict[str, Any]) -> None:
        assert not deployment.get("pull")
        assert not SETTINGS.get("pull")

    def test_only_experiments_can_run_at_the_same_time(self, deployment: dict[str, Any]) -> None:
        assert deployment["concurrency_limit"] == (4 if "experiment" in deployment["parameters"] else 1)


def test_every_flow_is_deployed() -> None:
    folder = Path(__file__).parents[2] / "flows"
    flow_files = {f"flows/{path.name}" for path in folder.glob("*.py") if "\n@flow" in path.read_text()}
    assert {deployment["entrypoint"].split(":")[0] for deployment in SETTINGS["deployments"]} == flow_files
