"""The pull step of deployments that run in a project folder of the worker's machine.

Prefect calls `enter_project_folder` on a worker before it loads a flow. This module is therefore part of the package
that a wheel installs.
"""

import logging
import os
import socket

from kadr.errors import KadrError
from kadr.io.stage_failure import FLOW_RUN_VARIABLE


class ProjectFolderError(KadrError):
    """The worker's machine has no folder with the project of a deployment."""


def enter_project_folder(directory: str) -> dict[str, str]:
    """Change to the project folder of a deployment.

    An error is also written to the log of the flow run, because Prefect reports only that the process ended.

    Args:
        directory: absolute path of the folder, as on the machine where the flows were deployed.

    Returns:
        The value that Prefect expects of a pull step: `{"directory": directory}`.

    Raises:
        ProjectFolderError: the folder does not exist on this machine, or it contains no DVC project.
    """
    if not os.path.isfile(os.path.join(directory, "dvc.yaml")):
        message = (
            f"The project folder {directory} does not exist on {socket.gethostname()}, where this worker runs. "
            "Expected the folder in which `python -m flows.deploy` was called. Start the worker on a machine that has "
            "this folder, or deploy with `python -m flows.deploy --git` (docs/deploy.md)."
        )
        flow_run_id = os.environ.get(FLOW_RUN_VARIABLE)
        logging.getLogger("prefect.flow_runs").error(message, extra={"flow_run_id": flow_run_id})
        raise ProjectFolderError(message)
    os.chdir(directory)
    return {"directory": directory}
