"""The library room's errors: one small class per kind of failure, all under KadrError.

KadrError
├── ParamsError      params.yaml or a preset has an unknown, missing or invalid key
├── InputError       the user's photos, texts or ratings cannot be read as what they should be
│   ├── TooManyBad   more rows or photos were set aside than the limits in params allow
│   └── UndecodableError  a photo does not decode
├── DiskError        a disk is full, or a file or folder there cannot be written
├── SchemaError      a table does not have the columns that kadr/io/schemas.py gives it
├── EncoderError     an encoder cannot be found, loaded or run
├── CacheError       the embedding cache cannot be read or written
├── ModelError       a relevance model is missing or does not fit its input
├── GateError        a trained model is worse than evaluate.gates allow
└── SearchError      a query or an index that cannot be searched

Every message says what was got, what was wanted and what to do. The command line and the stages print the message
alone; the stack trace is for bugs.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager


class KadrError(Exception):
    """Base of every error that a user can cause and mend."""


class ParamsError(KadrError):
    """params.yaml or a preset has an unknown, missing or invalid key."""


class InputError(KadrError):
    """The user's photos, texts or ratings cannot be read as what they should be."""


class TooManyBad(InputError):
    """More rows or photos were set aside than the limits in params allow."""


class UndecodableError(InputError):
    """A photo does not decode; `status` says why in one word: unreadable or too_large."""

    def __init__(self, message: str, status: str) -> None:
        super().__init__(message)
        self.status = status


class DiskError(KadrError):
    """A disk is full, or a file or folder there cannot be written."""


class SchemaError(KadrError):
    """A table does not have the columns that kadr/io/schemas.py gives it."""


class EncoderError(KadrError):
    """An encoder cannot be found, loaded or run."""


class CacheError(KadrError):
    """The embedding cache cannot be read or written."""


class ModelError(KadrError):
    """A relevance model is missing or does not fit its input."""


class GateError(KadrError):
    """A trained model is worse than `evaluate.gates` allow."""


class SearchError(KadrError):
    """A query or an index that cannot be searched."""


_MENDS = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "make room on that disk"),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "let this user write there"),
    **dict.fromkeys((errno.ENOTDIR, errno.EEXIST), "a file is where a folder is wanted: move it away"),
}


@contextmanager
def said_clearly() -> Iterator[None]:
    """A block in which a full disk, or a file or folder that cannot be written, raises DiskError."""
    try:
        yield
    except OSError as error:
        if error.errno not in _MENDS:
            raise
        raise DiskError(f"{error}: {_MENDS[error.errno]}, then run this again") from error
