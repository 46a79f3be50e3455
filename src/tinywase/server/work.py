"""Long work beside the event loop: a few at a time, given up where nobody waits for it any more."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from typing import TypeVar

import anyio
import anyio.to_thread
from fastapi import Request

from ..progress import Progress

MOST_VIEWS = 8  # twice what cards advise; each takes as long as one
POLL_S = 0.3
JOB, LONGEST_JOB = "tinywase-job", 64
T = TypeVar("T")


class GivenUp(Exception):
    """Whoever asked has gone."""


class Workers:
    """Threads that compute. Each recording takes two processors where there are two."""

    def __init__(self, at_once: int | None = None) -> None:
        self._at_once = at_once or max(1, (os.cpu_count() or 1) // 2)
        self._limiter: anyio.CapacityLimiter | None = None
        self._done: dict[str, float] = {}  # by what clients call their requests

    def done(self, job: str) -> float:
        """How much of a request is done, 0..1; 0 while it waits, and where there is none of that name."""
        return self._done.get(job, 0.0)

    async def run(self, request: Request, work: Callable[[Progress], T]) -> T:
        """`work` in a thread, once one is free; it calls what it is given, which ends it when the client has gone.

        A client that wants to know how far it is names its request in the header `Tinywase-Job`.

        Raises:
            GivenUp: the client has gone.
        """
        gone, job = threading.Event(), request.headers.get(JOB, "")[:LONGEST_JOB]

        def progress(done: float) -> None:
            if gone.is_set():
                raise GivenUp
            if job:
                self._done[job] = done

        def begun() -> T:
            progress(0.0)
            return work(progress)

        async def watch() -> None:
            while not await request.is_disconnected():
                await asyncio.sleep(POLL_S)
            gone.set()

        self._limiter = self._limiter or anyio.CapacityLimiter(self._at_once)  # belongs to the running loop
        watcher = asyncio.create_task(watch())
        try:
            return await anyio.to_thread.run_sync(begun, abandon_on_cancel=True, limiter=self._limiter)
        finally:
            gone.set()
            watcher.cancel()
            self._done.pop(job, None)
