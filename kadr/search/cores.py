"""The search's use of the cores: what one query multiplies is too small to be split, and others want the cores too."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from threading import Lock

from threadpoolctl import ThreadpoolController


class OneCore:
    """A block in which NumPy's products use one core. Threads may be in it at once; the last one out undoes it.

    Two threads for one text's 30,000 cosines gain a millisecond where both cores are free, and lose ten where the other
    one is busy: the threads of BLAS wait for each other.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._n_inside = 0

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """The block."""
        with self._lock:
            if not self._n_inside:
                self._limits = self._blas.limit(limits=1)
            self._n_inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._n_inside -= 1
                if not self._n_inside:
                    self._limits.restore_original_limits()

    @cached_property
    def _blas(self) -> ThreadpoolController:
        """All that are loaded when it is first asked for."""
        return ThreadpoolController().select(user_api="blas")


one_core = OneCore()
