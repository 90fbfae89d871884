"""Choose the number of images between two interim versions of an index."""

from collections.abc import Iterator

import pandas as pd

FIRST_SIZE = 64
"""Number of images in the first batch. An encoder of 20 images/s embeds them in about 3 s."""

_MAX_SECONDS = 60.0  # time after which a batch does not grow further, unless publishing is slow
_MAX_PUBLISH_SHARE = 0.03  # largest share of the time that is spent on publishing interim versions


class BatchSizes:
    """Batch sizes that double until a batch takes a minute, or longer if publishing an interim version is slow.

    Attributes:
        size: number of images in the next batch.
    """

    def __init__(self) -> None:
        self.size = FIRST_SIZE

    def record(self, n_images: int, embed_seconds: float, publish_seconds: float) -> None:
        """Set the size of the next batch from the times of the last batch.

        Args:
            n_images: number of images in the last batch.
            embed_seconds: time to scan and embed the batch.
            publish_seconds: time to publish the interim version after the batch.
        """
        seconds = max(_MAX_SECONDS, publish_seconds / _MAX_PUBLISH_SHARE)
        longest = int(n_images * seconds / max(embed_seconds, 1e-9))
        self.size = max(FIRST_SIZE, min(2 * self.size, longest))

    def split(self, files: pd.DataFrame) -> Iterator[tuple[pd.DataFrame, bool]]:
        """Yield the rows of a table in batches, and whether the batch is the last one.

        The last batch has up to half more rows, so that no small batch is left at the end.
        """
        start, n = 0, len(files)
        while start < n:
            end = start + self.size if n - start > 1.5 * self.size else n
            yield files.iloc[start:end], end == n
            start = end
