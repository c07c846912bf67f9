"""Memory for large feature maps on CPU."""

from __future__ import annotations

import ctypes
import functools

# glibc's malloc.h: parameters of mallopt.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_NEVER_TRIM = 2**31 - 1
_GROWTH_BYTES = 2**28


@functools.cache
def keep_freed_memory() -> None:
    """Make this process keep freed memory for its next allocations, where malloc is glibc's.

    By default every large tensor is mapped anew and zeroed page by page by the kernel, which is a
    tenth of a synthesis on CPU. The peak stays what it was; memory goes back when the process ends.
    Elsewhere than on glibc this does nothing.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, _NEVER_TRIM)
    mallopt(_M_TOP_PAD, _GROWTH_BYTES)
