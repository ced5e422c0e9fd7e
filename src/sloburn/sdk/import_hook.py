"""Run something when a module is imported, now if it already is: frameworks must not be loaded only to patch them."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import logging
import sys
from collections.abc import Callable, Sequence
from types import ModuleType

logger = logging.getLogger("sloburn")


def when_imported(name: str, act: Callable[[], None]) -> None:
    """Call a function as soon as a module has been executed.

    Args:
        name: The module's full name.
        act: What to do; when it raises, one line is logged and the import goes on.
    """
    if name in sys.modules:
        _attempt(name, act)
    else:
        sys.meta_path.insert(0, _Finder(name, act))


def _attempt(name: str, act: Callable[[], None]) -> None:
    try:
        act()
    except Exception as error:
        logger.warning("%s is not instrumented: %s: %s", name, type(error).__name__, error)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds one module the usual way, once, and wraps its loader."""

    def __init__(self, name: str, act: Callable[[], None]) -> None:
        self._name = name
        self._act = act
        self._is_searching = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the module's spec with a loader that tells us when it is done."""
        if fullname != self._name or self._is_searching:
            return None
        self._is_searching = True
        try:
            spec = _find(fullname, path, target)
        finally:
            self._is_searching = False
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, self._finish)
        return spec

    def _finish(self) -> None:
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        _attempt(self._name, self._act)


def _find(
    fullname: str, path: Sequence[str] | None, target: ModuleType | None
) -> importlib.machinery.ModuleSpec | None:
    for finder in sys.meta_path:
        spec = finder.find_spec(fullname, path, target)
        if spec is not None:
            return spec
    return None


class _Loader(importlib.abc.Loader):
    """Loads a module with its own loader and then calls back."""

    def __init__(self, loader: importlib.abc.Loader, done: Callable[[], None]) -> None:
        self._loader = loader
        self._done = done

    def __getattr__(self, name: str) -> object:
        # Resource readers, source inspection and pkgutil ask the loader for more than loading.
        return getattr(self._loader, name)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        """Create the module with its own loader."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Execute the module with its own loader, put that loader back, and call back."""
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._done()
