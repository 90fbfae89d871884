"""Every deployment in prefect.yaml fits its flow, and keeps to what works with a local worker."""

import inspect
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import Flow

SETTINGS = yaml.safe_load((Path(__file__).parents[2] / "prefect.yaml").read_text())


def flow_of(deployment: dict[str, Any]) -> Flow[..., Any]:
    path, name = deployment["entrypoint"].split(":")
    found = getattr(import_module(path.removesuffix(".py").replace("/", ".")), name)
    assert isinstance(found, Flow)
    return found


@pytest.mark.parametrize("deployment", SETTINGS["deployments"], ids=lambda deployment: str(deployment["name"]))
class TestDeployment:
    def test_it_names_every_parameter_of_its_flow_with_a_valid_value(self, deployment: dict[str, Any]) -> None:
        flow = flow_of(deployment)
        assert set(deployment["parameters"]) == set(inspect.signature(flow.fn).parameters)
        assert flow.validate_parameters(deployment["parameters"]) == deployment["parameters"]

    def test_it_has_no_pull_step(self, deployment: dict[str, Any]) -> None:
        assert not deployment.get("pull")
        assert not SETTINGS.get("pull")

    def test_two_runs_at_once_do_not_fight_for_the_same_files(self, deployment: dict[str, Any]) -> None:
        assert deployment["concurrency_limit"] == 1


def test_every_flow_is_deployed() -> None:
    folder = Path(__file__).parents[2] / "flows"
    with_flow = {f"flows/{path.name}" for path in folder.glob("*.py") if "\n@flow" in path.read_text()}
    assert {deployment["entrypoint"].split(":")[0] for deployment in SETTINGS["deployments"]} == with_flow
