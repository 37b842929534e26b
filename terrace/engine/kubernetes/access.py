"""The provider's cluster: reached when it is first needed, or not at all."""

from __future__ import annotations

import threading

from terrace.engine.kubernetes.cluster import Cluster
from terrace.engine.kubernetes.connection import connect
from terrace.engine.kubernetes.errors import ClusterError
from terrace.engine.kubernetes.settings import Settings


class Access:
    """Reaches for a cluster once, and remembers how that went.

    Args:
        settings: Which cluster, and as whom.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._tried = False
        self._cluster: Cluster | None = None
        self._problem: ClusterError | None = None

    def find(self) -> Cluster | None:
        """The cluster; None if it can't be worked with, or isn't known yet."""
        with self._lock:
            if not self._tried:
                self._tried = True
                self._reach()
            return self._cluster

    def require(self) -> Cluster:
        """The cluster.

        Raises:
            ClusterError: It can't be worked with.
        """
        cluster = self.find()
        if cluster is None:
            raise self._problem or ClusterError("the cluster isn't known yet")
        return cluster

    @property
    def problem(self) -> ClusterError | None:
        """Why the cluster can't be worked with; None if it can, or isn't known yet."""
        self.find()
        return self._problem

    @property
    def namespace(self) -> str:
        """Where objects go that name no namespace."""
        cluster = self.find()
        return cluster.namespace if cluster is not None else self._settings.namespace or "default"

    def _reach(self) -> None:
        if not self._settings.known:
            return
        try:
            cluster = Cluster(connect(self._settings))
            cluster.require()
        except ClusterError as error:
            self._problem = error
        else:
            self._cluster = cluster
