"""The stages' shell: how every stage is started, reports an error and writes its metrics."""

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from kadr.errors import KadrError, said_clearly
from kadr.io.text_files import write_json
from kadr.params import Params, load_params

if TYPE_CHECKING:
    pass

Metrics = dict[str, object]


def run(name: str, stage: Callable[[Params], Metrics]) -> None:
    """Run `stage` with params.yaml and write what it returns to metrics/<name>.json.

    A KadrError, a full disk and a closed folder end the process with their message alone and exit code 1; any other
    exception is a bug with its trace.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # stages share cores: no spinning
    logging.basicConfig(level=logging.WARNING, format=f"{name}: %(message)s")
    for room in ("kadr", "tasks"):  # what the libraries below say at INFO is about themselves
        logging.getLogger(room).setLevel(logging.INFO)
    try:
        with said_clearly():
            write_json(Path("metrics") / f"{name}.json", stage(load_params()))
    except KadrError as error:
        sys.exit(f"{name}: {error}")
