"""Clusters that are stand-ins for Dask and Ray: everything that goes to a worker and comes back is a copy."""

import pickle
import sys
from concurrent.futures import CancelledError
from types import ModuleType, SimpleNamespace


class Cluster:
    """Workers far away: they get copies, start with the last piece, and count how often something shared came.

    `broken` is raised in place of the next result, as the cluster's package would.
    """

    def __init__(self):
        self.arrived = 0
        self.is_open = True
        self.cancelled = 0
        self.ran = 0
        self.broken = None
        self.lacks = None

    def send(self, shared):
        self.arrived += 1
        return pickle.dumps(shared)

    def run(self, work, order, sent, piece):
        if self.broken is not None:
            raise self.broken
        self.ran += 1
        told = (pickle.loads(pickle.dumps(part)) for part in (work, order))
        done = next(told)(next(told), pickle.loads(sent), pickle.loads(pickle.dumps(piece)))
        return pickle.loads(pickle.dumps(done))


class Future:
    """One piece of work, done when it is asked for."""

    def __init__(self, result):
        self._result = result
        self._is_done = False

    def result(self):
        self._is_done = True
        return self._result()

    def done(self):
        return self._is_done


def fake_dask(cluster):
    """The module `distributed`."""

    class Client:
        def __init__(self, where, timeout):
            if where == "nowhere":
                raise OSError("timed out")

        def nthreads(self):
            return {"a": 1, "b": 2}

        def run(self, function, *words):
            if cluster.lacks is not None:
                raise cluster.lacks
            if function is exec:
                exec(*words)

        def scatter(self, values, broadcast, **options):
            assert broadcast
            return [cluster.send(value) for value in values]

        def submit(self, work, order, sent, piece, pure):
            return Future(lambda: cluster.run(work, order, sent, piece))

        def cancel(self, futures):
            cluster.cancelled += len(futures)

        def close(self):
            cluster.is_open = False

    class KilledWorker(Exception):
        pass

    module = ModuleType("distributed")
    module.Client = Client
    module.LocalCluster = lambda **options: SimpleNamespace(close=lambda: None)
    module.KilledWorker = KilledWorker
    module.as_completed = reversed
    module.losses = (KilledWorker("killed"), CancelledError("lost dependencies"))
    module.without_code = (ModuleNotFoundError("No module named 'tracekit'"),)
    return module


def fake_ray(cluster):
    """The module `ray`."""
    module = ModuleType("ray")

    class RayError(Exception):
        pass

    class RayTaskError(RayError):
        def __init__(self, cause):
            super().__init__(f"{cause}\nTraceback ...")
            self.cause = cause

    def init(**options):
        if options.get("address") == "nowhere":
            raise ConnectionError("no head node")

    def get(job):
        try:
            return cluster.run(*job.told)
        except RayError:
            raise
        except Exception as error:
            raise RayTaskError(error) from error

    def remote(work):
        return SimpleNamespace(remote=lambda *told: Job(work, *told))

    class Job:
        def __init__(self, *told):
            self.told = told

    module.init = init
    module.cluster_resources = lambda: {"CPU": 3.0}
    module.put = cluster.send
    module.remote = remote
    module.wait = lambda waiting, num_returns: (waiting[-num_returns:], waiting[:-num_returns])
    module.get = get
    module.exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)
    module.shutdown = lambda: setattr(cluster, "is_open", False)
    system_error = RayError(
        "System error: No module named 'tracekit'\ntraceback: ModuleNotFoundError: No module ..."
    )
    module.losses = (
        RayError("the worker died\nand more"),
        RayTaskError(RayError("an object was lost\nsomewhere")),
    )
    module.without_code = (ModuleNotFoundError("No module named 'tracekit'"), RayTaskError(system_error))
    return module


MODULES = {"dask": fake_dask, "ray": fake_ray}


def stand_in(monkeypatch, name):
    """The cluster that an engine of that name finds."""
    cluster = Cluster()
    module = MODULES[name](cluster)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    cluster.losses, cluster.without_code = module.losses, module.without_code
    cluster.module = module.__name__
    return cluster
