"""Read and write the failure of a stage or command, so that flows and `kadr doctor` know the reason."""

import logging
import os
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from kadr.errors import KadrError
from kadr.io.text_files import write_text
from kadr.project import PROJECT

logger = logging.getLogger(__name__)

FAILURES_VARIABLE = "KADR_FAILURES"
"""Environment variable with the folder of the failures. A flow sets it to an absolute path."""

FLOW_RUN_VARIABLE = "PREFECT__FLOW_RUN_ID"
"""Environment variable with the ID of the flow run that started this process."""


@dataclass(frozen=True)
class StageFailure:
    """The reason why a stage or command failed.

    Attributes:
        stage: DVC address of the stage, e.g. `embed_images@clip`, or the command, e.g. `kadr snapshot`.
        error: class name of the exception.
        message: error message, with all its lines.
        evidence: paths of the files and folders that show the cause, e.g. the rejected rows.
        time: time of the failure, in UTC.
        flow_run_id: ID of the Prefect flow run that started the stage, None if no flow did.
    """

    stage: str
    error: str
    message: str
    evidence: list[str] = field(default_factory=list)
    time: datetime = field(default_factory=lambda: datetime.now(UTC))
    flow_run_id: str | None = field(default_factory=lambda: os.environ.get(FLOW_RUN_VARIABLE) or None)

    def describe(self) -> str:
        """Return the message, followed by the evidence that the message does not name."""
        unnamed = [path for path in self.evidence if path not in self.message]
        return f"{self.message}\nSee {', '.join(unnamed)}." if unnamed else self.message


_FAILURE = TypeAdapter(StageFailure)


def failures_folder() -> Path:
    """Return the folder of the failures: $KADR_FAILURES if set, otherwise reports/failures."""
    return Path(os.environ.get(FAILURES_VARIABLE) or PROJECT.failures)


def describe_failure(stage: str, error: Exception) -> StageFailure:
    """Return the failure of a stage that raised an exception.

    The message of a KadrError is for the user. Any other exception is a bug, whose stack trace is in the log.
    """
    if isinstance(error, KadrError):
        return StageFailure(stage, type(error).__name__, str(error), [str(path) for path in error.evidence])
    first_line = str(error).partition("\n")[0]
    message = f"{type(error).__name__}: {first_line}. This is a bug. The log of the stage contains the stack trace."
    return StageFailure(stage, type(error).__name__, message)


def write_failure(failure: StageFailure, folder: Path | None = None) -> None:
    """Write the failure of a stage. If the file cannot be written, a warning is logged."""
    path = _path(failure.stage, folder)
    try:
        write_text(path, _FAILURE.dump_json(failure, indent=2).decode() + "\n")
    except OSError as error:
        logger.warning("%s: the reason of the failure cannot be written (%s)", path, error)


def read_failure(stage: str, folder: Path | None = None) -> StageFailure | None:
    """Return the failure of the last run of a stage, or None if that run did not fail.

    Args:
        stage: DVC address of the stage.
        folder: folder of the failures. None is `failures_folder()`.
    """
    return _read(_path(stage, folder))


def read_failures(folder: Path | None = None) -> list[StageFailure]:
    """Return the failures of all stages whose last run failed, sorted by time."""
    failures = map(_read, (folder or failures_folder()).glob("*.json"))
    return sorted((failure for failure in failures if failure), key=lambda failure: failure.time)


def clear_failure(stage: str, folder: Path | None = None) -> None:
    """Delete the failure of a stage, if there is one."""
    with suppress(FileNotFoundError, NotADirectoryError):
        _path(stage, folder).unlink()


def _path(stage: str, folder: Path | None = None) -> Path:
    return (folder or failures_folder()) / f"{stage}.json"


def _read(path: Path) -> StageFailure | None:
    try:
        return _FAILURE.validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        logger.warning("%s is not a valid failure record and is ignored (%s)", path, error)
        return None
