"""What is refused before anything is read: uploads that are too large, and requests that other sites' pages make.

A page from elsewhere may not use a service that runs on its visitor's machine. Browsers name such a page in the header
`Origin`; programs that are no browsers send none.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

App = Callable[[Any, Any, Any], Awaitable[None]]


class Guard:
    """An ASGI application around another one."""

    def __init__(self, app: App, *, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan" or (refused := self._refusal(scope)) is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()  # the request to connect
            await send({"type": "websocket.close", "code": 1008, "reason": refused[1]})
        else:
            status, why = refused
            headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": json.dumps({"error": why}).encode()})

    def _refusal(self, scope: Any) -> tuple[int, str] | None:
        """Status and reason, or None."""
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        origin = headers.get(b"origin")
        if origin is not None and urlsplit(origin).netloc != headers.get(b"host"):
            return 403, f"a page from {origin} may not use this service. Open the service's own page."
        if scope["type"] != "http" or scope["method"] != "POST":
            return None
        length = headers.get(b"content-length", "")
        if not length.isdigit():
            return 411, "the request does not say how long it is. Send Content-Length."
        if int(length) > self._max_bytes:
            return 413, (
                f"{int(length) / 1e6:.0f} MB were sent, expected at most {self._max_bytes / 1e6:.0f} MB. Send less, or "
                "start the service with a larger --max-mb."
            )
        return None
