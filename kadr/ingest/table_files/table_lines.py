"""Lines of a text table, matched with regular expressions all at once."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_LINE_FEED = 10
_SEARCHED_BYTES = 1 << 26


class TableLines:
    """Lines of a text table.

    Args:
        body: rows of the table. The lines share its memory.
    """

    def __init__(self, body: bytes) -> None:
        starts = [np.zeros(1, np.int64)]
        for start in range(0, len(body), _SEARCHED_BYTES):
            part = np.frombuffer(body, np.uint8, min(_SEARCHED_BYTES, len(body) - start), start)
            starts.append(np.flatnonzero(part == _LINE_FEED) + start + 1)
        offsets = np.concatenate(starts)
        self._offsets = offsets if offsets[-1] == len(body) else np.append(offsets, len(body))
        self._body = body
        buffers = [None, pa.py_buffer(self._offsets), pa.py_buffer(body)]
        self._lines = pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(self), buffers)

    def __len__(self) -> int:
        """Return the number of lines."""
        return len(self._offsets) - 1

    def __getitem__(self, position: int) -> bytes:
        """Return a line with its line break."""
        return self.join(position, position + 1)

    def join(self, start: int, end: int) -> bytes:
        """Return the lines from position `start` up to position `end`, which is not included."""
        return self._body[self._offsets.item(start) : self._offsets.item(end)]

    def match(self, pattern: bytes) -> np.ndarray:
        """Return whether a regular expression of RE2 fits each whole line, apart from its line break: (n_lines,) bool.

        The pattern matches bytes.
        """
        matches = pc.match_substring_regex(self._lines, rb"(?s)\A(?:" + pattern + rb")[\r\n]*\z")
        return np.asarray(matches.to_numpy(zero_copy_only=False), dtype=bool)
