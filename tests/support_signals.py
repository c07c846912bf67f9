"""Children that Ctrl-C reaches, whatever started the suite."""

import contextlib
import signal


@contextlib.contextmanager
def sigint_as(handler):
    """Children started within inherit whether SIGINT is ignored.

    A shell's background jobs, such as the suite may be, ignore it.
    """
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
