"""The library room's word to the allocator, for processes that run networks on a CPU."""

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8  # of glibc's mallopt(3)


def keep_freed_memory() -> None:
    """Let glibc keep what a layer frees for the next layer, until the process ends.

    By default each large activation is mapped from the kernel, zeroed, and unmapped again, in threads even where the
    main thread keeps it: two fifths of the processor time of a MobileNetV2 in two threads. So all threads share one
    heap. The process holds its peak of memory to its end. Call it before there are threads. Does nothing where there is
    no glibc.
    """
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except OSError:
        return
    mallopt(_M_ARENA_MAX, 1)
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
