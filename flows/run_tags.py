"""Tags of a flow run and its task runs: the project folder, the git branch, and the experiment."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from prefect import tags
from prefect.client.orchestration import get_client
from prefect.runtime import flow_run

from kadr.operations.git import try_git


def project_tags() -> list[str]:
    """Return the tags of the project in the working directory, e.g. `project:kadr` and `branch:main`."""
    branch = try_git("branch", "--show-current")
    return [f"project:{Path.cwd().name}", *([f"branch:{branch}"] if branch else [])]


@asynccontextmanager
async def tagged(*more: str) -> AsyncIterator[None]:
    """Add the tags of the project and further tags to the current flow run, and to the task runs in a `with` block."""
    names = [*project_tags(), *more]
    async with get_client() as client:
        await client.update_flow_run(flow_run.id, tags=sorted({*flow_run.tags, *names}))
    with tags(*names):
        yield
