"""A thread that draws what is wanted last."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

# How long sliders keep still before the whole image is drawn.
REST_S = 0.3

T = TypeVar("T")


class LatestOnly(Generic[T]):
    """Calls `coarse` with what is wanted, and `full` once nothing else was for `rest_s`.

    Both in one thread of its own. What is wanted while one of them runs replaces what waits.
    """

    def __init__(
        self, coarse: Callable[[T], None], full: Callable[[T], None], rest_s: float = REST_S
    ) -> None:
        self._coarse, self._full, self._rest_s = coarse, full, rest_s
        self._changed = threading.Condition()
        self._wanted: list[T] = []
        self._closed = False
        self._ended = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def want(self, what: T) -> None:
        with self._changed:
            self._wanted = [what]
            self._changed.notify_all()

    def wait(self) -> None:
        """Until `close`. Raises what a call raised."""
        self._ended.wait()  # Ctrl-C in Thread.join would make Python 3.11 take the thread for ended
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """End the thread, after the call that runs."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _is_due(self) -> bool:
        return self._closed or bool(self._wanted)

    def _run(self) -> None:
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(self._is_due)
                    if self._closed:
                        return
                    what = self._wanted.pop()
                self._coarse(what)
                with self._changed:
                    if self._changed.wait_for(self._is_due, self._rest_s):
                        continue
                self._full(what)
        except BaseException as error:
            self._error = error
        finally:
            self._ended.set()
