"""The error for input that cannot be used as a whole, with the rows and images that show the cause."""

import pyarrow as pa

from kadr.errors import InputError
from kadr.ingest.validation import Validation


class RejectedInputError(InputError):
    """The input exceeds a limit, has no valid rating, or fails a critical expectation.

    Attributes:
        quarantine: rejected rows and images, with the schema QUARANTINE.
        validation: validation results of the tables. Without results if the run stopped before the validation.
    """

    def __init__(self, message: str, quarantine: pa.Table, validation: Validation) -> None:
        super().__init__(message)
        self.quarantine = quarantine
        self.validation = validation
