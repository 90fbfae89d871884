"""Report the progress of an import in megabytes."""

from kadr.progress import Advance

MEGABYTE = 1_000_000
"""Number of bytes in a megabyte."""


class MegabyteProgress:
    """Progress of an import that consists of several parts.

    Args:
        advance: function that takes the number of newly imported megabytes.
    """

    def __init__(self, advance: Advance) -> None:
        self._advance = advance
        self._earlier_parts = self._part = self._reported = 0

    def add(self, n_bytes: int) -> None:
        """Count bytes of the current part."""
        self._part += n_bytes
        self._report()

    def complete_part(self, size: int) -> None:
        """Count the current part as complete. Its size in bytes can differ from the size of its images."""
        self._earlier_parts += size
        self._part = 0
        self._report()

    def _report(self) -> None:
        megabytes = (self._earlier_parts + self._part) // MEGABYTE
        if megabytes > self._reported:
            self._advance(megabytes - self._reported)
            self._reported = megabytes
