"""Errors that a user can cause and fix.

KadrError
├── ParamsError               a setting or a preset is unknown, missing or invalid
├── InputError                an image, text, rating or address cannot be read or is invalid
│   ├── TooManyInvalidError   more rows or images are invalid than ingest.max_bad_* allow
│   ├── UndecodableError      an image cannot be decoded
│   └── ImageFileError        an image file cannot be read, or has changed while a command was running
├── DiskError                 a disk is full, or a path is not writable
├── SchemaError               a table is missing, damaged or does not match its schema
├── EncoderError              an encoder cannot be found, loaded or run
├── CacheError                the embedding cache cannot be read or written
├── ModelError                a relevance model is missing or does not match its input
├── GateError                 a model does not pass the gates in evaluate.gates
├── SearchError               a query is invalid, or an index is missing or damaged
├── StoreError                a vector store cannot be used
└── ClientError               a request of kadr.Client failed

Each error message states the problem, the expected value and the fix. The command line and the pipeline stages print
the message without a stack trace. Any other exception is a bug.
"""

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

ImageProblem = Literal["empty_file", "not_an_image", "too_large", "too_slow", "truncated", "broken"]
"""Reason why an image cannot be decoded."""

FileProblem = Literal["unreadable", "changed"]
"""Reason why an image file cannot be used now. Unlike an ImageProblem, the reason may not apply to the next run."""


class KadrError(Exception):
    """Base class of all errors that a user can fix.

    Attributes:
        evidence: files and folders that show the cause, e.g. the rejected rows. They are kept after the failure.
    """

    def __init__(self, *args: object, evidence: Sequence[Path] = ()) -> None:
        super().__init__(*args)
        self.evidence = tuple(evidence)


class ParamsError(KadrError):
    """A setting or a preset is unknown, missing or invalid."""


class InputError(KadrError):
    """An image, text, rating or address cannot be read or is invalid."""


class TooManyInvalidError(InputError):
    """More rows or images are invalid than `ingest.max_bad_rows` or `ingest.max_bad_images` allow."""


class UndecodableError(InputError):
    """An image cannot be decoded.

    Attributes:
        status: reason why decoding failed, as in the column `status` of the IMAGES table.
        size: upright width and height in pixels, None if unknown.
    """

    def __init__(self, message: str, status: ImageProblem, size: tuple[int, int] | None = None) -> None:
        super().__init__(message)
        self.status: ImageProblem = status
        self.size = size


class ImageFileError(InputError):
    """An image file cannot be read, or has changed since its SHA-256 was computed.

    Attributes:
        status: reason why the image cannot be used.
    """

    def __init__(self, message: str, status: FileProblem) -> None:
        super().__init__(message)
        self.status: FileProblem = status


class DiskError(KadrError):
    """A disk is full, or a path is not writable."""


class SchemaError(KadrError):
    """A table is missing, damaged or does not match its schema."""


class EncoderError(KadrError):
    """An encoder cannot be found, loaded or run."""


class CacheError(KadrError):
    """The embedding cache cannot be read or written."""


class ModelError(KadrError):
    """A relevance model is missing or does not match its input."""


class GateError(KadrError):
    """A model does not pass the gates in `evaluate.gates`."""


class SearchError(KadrError):
    """A query is invalid, or an index is missing or damaged."""


class StoreError(KadrError):
    """A vector store does not answer, rejects a request, or has a collection that an index cannot use."""


class ClientError(KadrError):
    """A request of `kadr.Client` failed."""


_FIXES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "Free up space on this disk"),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "Give this user write permission"),
    **dict.fromkeys((errno.ENOTDIR, errno.EEXIST), "Move the file that occupies the path of a folder"),
}


@contextmanager
def clear_errors() -> Iterator[None]:
    """Convert an OSError in the `with` block to a DiskError with a fix if a disk is full or a path is not writable."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FIXES:
            raise
        raise DiskError(f"{error}. {_FIXES[error.errno]} and run the command again.") from error
