"""Run a pipeline stage: read params.yaml, report errors and write metrics."""

import logging
import sys
from collections.abc import Callable

from kadr.cli.console import (
    PrintableFormatter,
    escape_unencodable,
    hide_decoder_warnings,
    printable,
    share_cores,
)
from kadr.errors import KadrError, clear_errors
from kadr.io.stage_failure import clear_failure, describe_failure, write_failure
from kadr.io.text_files import write_json
from kadr.params import Params, load_params
from kadr.project import PROJECT

Metrics = dict[str, object]


def run_stage(name: str, stage: Callable[[Params], Metrics]) -> None:
    """Run a stage with the settings in params.yaml, and write its metrics to metrics/<name>.json.

    If a KadrError is raised, a disk is full or a path is not writable, the process prints a message and exits with code
    1. Any other exception is a bug and shows a stack trace. The reason of a failure is also written to
    reports/failures/<name>.json, or to the folder $KADR_FAILURES.

    Args:
        name: name of the stage.
        stage: function that runs the stage and returns its metrics.
    """
    share_cores()
    escape_unencodable()
    hide_decoder_warnings()
    handler = logging.StreamHandler()
    handler.setFormatter(PrintableFormatter(f"{name}: %(level)s%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    for package in ("kadr", "tasks"):
        logging.getLogger(package).setLevel(logging.INFO)
    try:
        with clear_errors():
            clear_failure(name)
            write_json(PROJECT.metrics / f"{name}.json", stage(load_params()))
    except Exception as error:
        write_failure(describe_failure(name, error))
        if isinstance(error, KadrError):
            sys.exit(printable(f"{name}: error: {error}"))
        raise
