"""Deploy the flows in prefect.yaml to a Prefect server. Run it with `python -m flows.deploy`.

`prefect deploy --all` does the same, but it replaces a deployment of the same name that belongs to another checkout.
"""

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
import yaml
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL

from flows.run_tags import project_tags
from kadr.operations.git import try_git

DEPLOYMENTS = Path("prefect.yaml")
ENTER = "kadr.operations.project_folder.enter_project_folder"
CLONE = "prefect.deployments.steps.git_clone"

PullSteps = list[dict[str, dict[str, Any]]]


class DeployError(Exception):
    """The flows cannot be deployed."""


def folder_steps() -> PullSteps:
    """Return the pull steps of a deployment that runs in the working directory."""
    return [{ENTER: {"directory": str(Path.cwd())}}]


def clone_steps() -> PullSteps:
    """Return the pull steps of a deployment that clones the current branch of the remote `origin` for each run.

    Raises:
        DeployError: the working directory has no branch or no remote, or the address of the remote contains a password.
    """
    repository, branch = try_git("remote", "get-url", "origin"), try_git("branch", "--show-current")
    if not repository or not branch:
        missing = "no remote `origin`" if branch else "no current branch"
        raise DeployError(
            f"{Path.cwd()} has {missing}. Expected a git branch that is pushed to `origin`, because the worker clones "
            "it. Push the branch, or deploy without --git."
        )
    if urlsplit(repository).password:
        raise DeployError(
            "The address of the remote `origin` contains a password, which the Prefect server would store and show. "
            "Expected an address without a password. Store the password in a git credential helper of the worker."
        )
    return [{CLONE: {"repository": repository, "branch": branch}}]


def build_deployments(name: str, *, git: bool) -> list[dict[str, Any]]:
    """Return the deployments in prefect.yaml under a new name, with tags and pull steps.

    Args:
        name: name of the deployments, e.g. `local` for `pipeline/local`.
        git: clone the code from git, and exchange data with the DVC remote. The flows that need files of earlier runs,
            such as the champion, are not included.
    """
    deployments = yaml.safe_load(DEPLOYMENTS.read_text(encoding="utf-8"))["deployments"]
    steps = clone_steps() if git else folder_steps()
    if git:
        deployments = [deployment for deployment in deployments if "push" in deployment["parameters"]]
        for deployment in deployments:
            deployment["parameters"] |= {"pull": True, "push": True}
            deployment.pop("schedules", None)
    tags = project_tags()
    return [
        deployment | {"name": name, "pull": steps, "tags": [*deployment.get("tags", []), *tags]}
        for deployment in deployments
    ]


async def check_owner(deployments: list[dict[str, Any]]) -> None:
    """Check that no deployment of the same name belongs to another folder or branch.

    Raises:
        DeployError: a deployment of the same name runs in another folder, or clones another repository or branch.
    """
    async with get_client() as client:
        for deployment in deployments:
            address = f"{deployment['entrypoint'].rpartition(':')[2]}/{deployment['name']}"
            try:
                existing = await client.read_deployment_by_name(address)
            except ObjectNotFound:
                continue
            owner, source = describe_source(existing.pull_steps), describe_source(deployment["pull"])
            if owner != source:
                raise DeployError(
                    f"The deployment {address} already exists on this Prefect server and belongs to {owner}, not to "
                    f"{source}. Deploy under another name, e.g. `python -m flows.deploy --name {suggest_name()}`, or "
                    f"delete the existing deployment: `prefect deployment delete {address}`."
                )


def describe_source(pull_steps: PullSteps | None) -> str:
    """Return the folder, or the repository and branch, from which a deployment loads its code.

    >>> describe_source([{"prefect.deployments.steps.git_clone": {"repository": "git@host:kadr", "branch": "main"}}])
    'branch main of git@host:kadr'
    """
    for inputs in (inputs for step in pull_steps or [] for inputs in step.values()):
        if "repository" in inputs:
            return f"branch {inputs.get('branch')} of {inputs['repository']}"
        if "directory" in inputs:
            return f"the folder {inputs['directory']}"
    return "an unknown folder"


def suggest_name() -> str:
    """Return a deployment name that consists of the project folder and the git branch, e.g. `kadr-main`."""
    parts = [tag.partition(":")[2] for tag in project_tags()]
    return "".join(character if character.isalnum() else "-" for character in "-".join(parts))


def deploy(deployments: list[dict[str, Any]]) -> int:
    """Run `prefect deploy` for the deployments, and return its exit code."""
    settings = yaml.safe_load(DEPLOYMENTS.read_text(encoding="utf-8")) | {"deployments": deployments}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / DEPLOYMENTS.name
        path.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
        command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(path)]
        return subprocess.run(command, check=False).returncode  # noqa: S603


app = typer.Typer(pretty_exceptions_enable=False)


@app.command()
def main(
    name: Annotated[
        str | None, typer.Option(help="Name of the deployments. Default: local, or git with --git.")
    ] = None,
    *,
    git: Annotated[
        bool,
        typer.Option(
            "--git",
            help="Deploy only the pipeline. Each run clones the current branch from `origin`, and exchanges data with "
            "the DVC remote.",
        ),
    ] = False,
) -> None:
    """Deploy the flows in prefect.yaml. A deployment of another checkout is not replaced."""
    if not PREFECT_API_URL.value():
        sys.exit("A deployment needs a Prefect server. Start a server and set PREFECT_API_URL (docs/flows.md).")
    try:
        deployments = build_deployments(name or ("git" if git else "local"), git=git)
        asyncio.run(check_owner(deployments))
    except DeployError as error:
        sys.exit(str(error))
    sys.exit(deploy(deployments))


if __name__ == "__main__":
    app()
