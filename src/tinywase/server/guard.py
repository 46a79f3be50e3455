"""What is refused before anything is read: too much at once, and requests that other sites' pages make.

A page from elsewhere may not use a service that runs on its visitor's machine. Browsers name the page's site in the
header `Origin`; programs that are no browsers send none. A site could give its own name the address of that machine
(DNS rebinding): then the header `Host` is its name, so a service of this machine alone answers to this machine's names.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

App = Callable[[Any, Any, Any], Awaitable[None]]
OWN_NAMES = ("localhost", "127.0.0.1", "[::1]")


class Guard:
    """An ASGI application around another one.

    Args:
        max_bytes: of a request.
        hosts: names that the service answers to, without ports; empty: any.
    """

    def __init__(self, app: App, *, max_bytes: int, hosts: Sequence[str] = ()) -> None:
        self._app, self._max_bytes, self._hosts = app, max_bytes, frozenset(hosts)

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
        host, origin = headers.get(b"host", ""), headers.get(b"origin")
        if self._hosts and host.rsplit(":", 1)[0] not in self._hosts and host not in self._hosts:
            return 403, (
                f"this service answers to {', '.join(sorted(self._hosts))}, not to '{host}'. If that is its name, "
                "start it with --allow-host."
            )
        if origin is not None and origin.split("://", 1)[-1] != host:
            return 403, (
                f"a page from {origin} may not use this service, which is called {host}. Open the service's own page; "
                "a proxy before it has to hand on the header Host."
            )
        return self._too_long(headers) if scope["type"] == "http" and scope["method"] == "POST" else None

    def _too_long(self, headers: dict[bytes, str]) -> tuple[int, str] | None:
        length = headers.get(b"content-length", "")
        if not length.isdigit() or b"transfer-encoding" in headers:  # the latter would make the former meaningless
            return 411, "the request does not say how long it is. Send Content-Length, and no chunks."
        if int(length) > self._max_bytes:
            return 413, (
                f"{int(length) / 1e6:.0f} MB were sent, expected at most {self._max_bytes / 1e6:.0f} MB. Send less, or "
                "start the service with a larger --max-mb."
            )
        return None
