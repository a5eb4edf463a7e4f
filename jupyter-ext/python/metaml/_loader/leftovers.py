"""What a program's top level leaves behind that it does not need any more, and that can be ended: then its trials can
be forks.

Imported only where something stands in the way of a fork. Each part here is known to start again by itself when it is
next used; whether it is really gone is for the loader to see (``watcher.py``).
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

__all__ = ["end", "trackers"]

#: Seconds that threads have which are about to end by themselves.
_PATIENCE = 0.25


def end() -> None:
    """End what can be ended, and wait for what is ending."""
    for name, act in _ENDS.items():
        if (module := sys.modules.get(name)) is not None:
            with contextlib.suppress(Exception):  # of another version, or something else of that name: then it stays
                act(module)
    _pause_openmp()
    gc.collect()  # pools and executors that were given up keep their pipes until then
    until = time.monotonic() + _PATIENCE
    for thread in threading.enumerate():
        if thread not in (threading.main_thread(), threading.current_thread()):
            thread.join(max(0.0, until - time.monotonic()))


def _tqdm(module: Any) -> None:
    """The thread that redraws slow progress bars; the next bar starts another."""
    for thread in threading.enumerate():
        if isinstance(thread, module.TMonitor):
            thread.exit()


def _loky(module: Any) -> None:
    """The idle workers of joblib, as its documentation ends them; the next Parallel starts others."""
    if module._executor is not None and not module._executor._pending_work_items:
        module.get_reusable_executor().shutdown(wait=True, kill_workers=True)


def _fonts(module: Any) -> None:
    """Font files that matplotlib keeps open; it forgets them in every fork itself."""
    module._get_font.cache_clear()


def _pools(module: Any) -> None:
    """The pipes of process pools whose ``with`` block is over: such a pool refuses all work."""
    for value in gc.get_objects():
        if isinstance(value, module.Pool) and value._state == module.TERMINATE:
            for queue in (value._inqueue, value._outqueue, value._change_notifier):
                queue.close()
            for worker in value._pool:
                worker.close()


_ENDS: dict[str, Callable[[Any], None]] = {
    "tqdm._monitor": _tqdm,
    "joblib.externals.loky.reusable_executor": _loky,
    "loky.reusable_executor": _loky,
    "matplotlib.font_manager": _fonts,
    "multiprocessing.pool": _pools,
}

_OMP_PAUSE_SOFT = 1  # what is private to a thread is kept


def _pause_openmp() -> None:
    """The idle threads of OpenMP, which has a call for it since version 5.0; the next parallel region starts others."""
    import ctypes

    with contextlib.suppress(OSError):
        with open("/proc/self/maps") as f:
            files = {row.split(None, 5)[5].rstrip("\n") for row in f if len(row.split(None, 5)) == 6}
        for path in sorted(files):
            name = os.path.basename(path)
            if name.startswith(("libgomp", "libomp", "libiomp")):
                with contextlib.suppress(OSError, AttributeError):
                    ctypes.CDLL(path, mode=getattr(os, "RTLD_NOLOAD", 4)).omp_pause_resource_all(_OMP_PAUSE_SOFT)


def trackers() -> tuple[set[int], set[int]]:
    """The processes that clean up after multiprocessing and loky, and the descriptors that lead to them. Forks share
    them by design: what they write there arrives whole.
    """
    pids: set[int] = set()
    fds: set[int] = set()
    for name in (
        "multiprocessing.resource_tracker",
        "joblib.externals.loky.backend.resource_tracker",
        "loky.backend.resource_tracker",
    ):
        tracker = getattr(sys.modules.get(name), "_resource_tracker", None)
        pid, fd = getattr(tracker, "_pid", None), getattr(tracker, "_fd", None)
        if isinstance(pid, int) and isinstance(fd, int):
            pids.add(pid)
            fds.add(fd)
    return pids, fds
