"""Ray without a cluster: tasks run in this process when their next report is asked for."""

import sys
from types import ModuleType, SimpleNamespace


class Died(BaseException):
    """Raised where a process would have died."""


class RayError(Exception):
    pass


class WorkerCrashedError(RayError):
    pass


class NodeDiedError(RayError):
    pass


class OutOfMemoryError(RayError):
    pass


class FakeRay(ModuleType):
    """cluster: its resources. tasks: options of each that was submitted. joined: addresses."""

    def __init__(self, **resources):
        super().__init__("ray")
        self.cluster = {"CPU": 2.0} | resources
        self.exceptions = ModuleType("ray.exceptions")
        for kind in (RayError, WorkerCrashedError, NodeDiedError, OutOfMemoryError):
            setattr(self.exceptions, kind.__name__, kind)
        self.tasks, self.cancelled, self.joined = [], [], []

    def install(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "ray", self)
        monkeypatch.setitem(sys.modules, "ray.exceptions", self.exceptions)
        return self

    def init(self, **settings):
        self.joined.append(settings["address"])

    def cluster_resources(self):
        return self.cluster

    def remote(self, **options):
        def task(function, options=options):
            def submit(*arguments):
                self.tasks.append(options)
                return Reports(function(*arguments))

            def more(**others):
                return task(function, options | others)

            return SimpleNamespace(remote=submit, options=more)

        return task

    def wait(self, at_work, num_returns=1, timeout=None, fetch_local=True):
        return at_work[:num_returns], at_work[num_returns:]

    def get(self, report):
        if isinstance(report, RayError):
            raise report
        return report

    def cancel(self, reports):
        self.cancelled.append(reports)
        reports.steps.close()


class Reports:
    def __init__(self, steps):
        self.steps = steps

    def __next__(self):
        try:
            return next(self.steps)
        except Died:
            return WorkerCrashedError("died")
        except ImportError as error:
            return RayError(f"Traceback\n  somewhere\nModuleNotFoundError: {error}")

    def completed(self):
        return self
