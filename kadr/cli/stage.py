"""Run a pipeline stage: read params.yaml, report errors and write metrics."""

import logging
import sys
from collections.abc import Callable

from kadr.cli.console import share_cores
from kadr.errors import KadrError, clear_errors
from kadr.io.text_files import write_json
from kadr.params import Params, load_params
from kadr.project import PROJECT

Metrics = dict[str, object]


def run_stage(name: str, stage: Callable[[Params], Metrics]) -> None:
    """Run a stage with the settings in params.yaml, and write its metrics to metrics/<name>.json.

    If a KadrError is raised, a disk is full or a path is not writable, the process prints a message and exits with code
    1. Any other exception is a bug and shows a stack trace.

    Args:
        name: name of the stage.
        stage: function that runs the stage and returns its metrics.
    """
    share_cores()
    logging.basicConfig(level=logging.WARNING, format=f"{name}: %(message)s")
    for package in ("kadr", "tasks"):
        logging.getLogger(package).setLevel(logging.INFO)
    try:
        with clear_errors():
            write_json(PROJECT.metrics / f"{name}.json", stage(load_params()))
    except KadrError as error:
        sys.exit(f"{name}: {error}")
