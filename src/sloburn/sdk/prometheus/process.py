"""What this process shows at `/metrics`: one mirror, switched on at most once.

The mirror exists from the start, so that instruments that were made before somebody asked for `/metrics` are seen too;
until then it costs one comparison for each measurement.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from sloburn.errors import ConfigError
from sloburn.sdk.prometheus.mirror import Mirror
from sloburn.sdk.prometheus.series import Instrument, Series, Value

if TYPE_CHECKING:
    from sloburn.sdk.prometheus.exposition import Style
    from sloburn.sdk.prometheus.store import Store

logger = logging.getLogger("sloburn")

# Siblings see what our callbacks report this often; what is counted they see at once.
REFRESH_SECONDS = 5.0
_LOST = Instrument(
    name="sloburn.metrics.lost_updates", kind="counter", description="Measurements that found no room in /metrics."
)


@dataclass(slots=True, kw_only=True)
class Shown:
    """What is shown, and of whom.

    Args:
        mirror: Between the instruments and the store.
        service_name: Processes of the same name are shown together.
        folder: Where they keep their numbers, if it was configured.
        resource: What describes the service.
        thread: Asks callbacks from time to time.
        lock: Held while it is switched on.
    """

    mirror: Mirror = field(default_factory=Mirror)
    service_name: str = "service"
    folder: str | None = None
    resource: Mapping[str, Value] = field(default_factory=dict)
    thread: threading.Thread | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def describe(self, service_name: str, resource: Mapping[str, Value], folder: str | None) -> None:
        """Say who is shown; what is on already stays in the folder that it is in."""
        self.service_name, self.resource, self.folder = service_name, resource, folder

    def switch_on(self) -> str:
        """Begin to keep what is measured; does nothing the second time.

        Returns:
            Why only this process is shown, empty when its siblings are too.
        """
        with self.lock:
            if self.mirror.store is not None:
                return ""
            store, problem = self._make_store()
            self.mirror.store = store
            if hasattr(os, "register_at_fork"):
                os.register_at_fork(after_in_child=self._begin_anew)
            self._start()
        return problem

    def text(self, style: Style) -> str:
        """Return what all processes have counted.

        Raises:
            OSError: The siblings' numbers cannot be read.
        """
        from sloburn.sdk.prometheus.exposition import expose

        store = self.mirror.store
        if store is None:
            return expose((), self.resource, style)
        self.mirror.refresh()
        series, lost = store.collect()
        lost_updates = Series(instrument=_LOST, attributes=(), value=Fraction(lost + self.mirror.failures))
        return expose([*series, lost_updates], self.resource, style)

    def _make_store(self) -> tuple[Store, str]:
        # Loaded when it is wanted: most services have no /metrics.
        from sloburn.sdk.exemplars import MARKS
        from sloburn.sdk.prometheus.store import Store

        # Exemplars have somewhere to go now, if metrics are sent nowhere else.
        MARKS.is_on = True
        try:
            from sloburn.sdk.prometheus.place import make_folder

            return Store(make_folder(self.service_name, self.folder)), ""
        except ConfigError as error:
            return Store(), f"/metrics shows this process only: {error}"

    def _begin_anew(self) -> None:
        self.lock = threading.Lock()
        if self.mirror.store is not None:
            self.mirror.store.begin_anew()
            self._start()

    def _start(self) -> None:
        self.thread = threading.Thread(target=self._refresh_for_ever, name="sloburn-metrics", daemon=True)
        self.thread.start()

    def _refresh_for_ever(self) -> None:
        pause = threading.Event()
        while not pause.wait(REFRESH_SECONDS):
            self.mirror.refresh()


SHOWN = Shown()
