"""A store for tests that write thousands of times, on whatever disk they find."""

from __future__ import annotations

from sloburn.server.storage import Store


class HastyStore(Store):
    """Does not wait for the disk: a process that ends loses nothing by that, and no test cuts the power."""

    def _set_up(self, now: int) -> None:
        super()._set_up(now)
        self._db.execute("PRAGMA synchronous=OFF").fetchall()
