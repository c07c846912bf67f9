"""The thread that draws what is wanted last."""

import threading

import pytest

from synthforge.preview.worker import LatestOnly


def test_what_waits_is_replaced_and_only_the_last_is_drawn_in_full():
    seen, started, go, done = [], threading.Event(), threading.Event(), threading.Event()

    def coarse(what):
        seen.append(("coarse", what))
        started.set()
        assert go.wait(60)

    def full(what):
        seen.append(("full", what))
        done.set()

    worker = LatestOnly(coarse, full, rest_s=0)
    worker.want(1)
    assert started.wait(60)
    for what in (2, 3, 4):
        worker.want(what)
    go.set()
    assert done.wait(60)
    worker.close()
    worker.wait()
    assert seen == [("coarse", 1), ("coarse", 4), ("full", 4)]


def test_an_error_ends_the_wait():
    def fail(what):
        raise RuntimeError(f"no {what}")

    worker = LatestOnly(fail, print, rest_s=0)
    worker.want(7)
    with pytest.raises(RuntimeError, match="no 7"):
        worker.wait()


def test_closing_does_not_wait_for_the_rest():
    coarse_done = threading.Event()
    worker = LatestOnly(lambda _: coarse_done.set(), pytest.fail, rest_s=1e6)
    worker.want(1)
    assert coarse_done.wait(60)
    worker.close()
