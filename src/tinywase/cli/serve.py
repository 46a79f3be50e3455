"""`tinywase serve`: extraction over HTTP and WebSocket, with a page in the browser."""

from __future__ import annotations

import ipaddress
import math
import socket
from typing import Annotated

import typer

from ..errors import TinyWaseError
from .console import Computed, Runtime, note, say

MODELS = ["default", "nano", "live"]
LARGEST_MESSAGE = 1 << 20  # bytes, over the WebSocket
FAREWELL_S = 2  # for answers that are on their way when the service is asked to end


def serve(
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8765,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", metavar="MODEL", help="Models to offer: bundled or files; repeatable."),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="A name to answer to, as of a proxy before it; repeatable. Empty: this machine's."
        ),
    ] = None,
    max_mb: Annotated[float, typer.Option(metavar="MB", min=0.1, help="Most that a request may hold.")] = 1000.0,
    max_minutes: Annotated[
        float, typer.Option(metavar="MIN", min=0, help="Most that a recording may play; 0: any length.")
    ] = 0.0,
    streams: Annotated[int, typer.Option(metavar="N", min=0, help="Live conversations at once.")] = 8,
    runtime: Computed = Runtime.AUTO,
    threads: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=64, help="Processors for a recording; 2 where there are.")
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Offer extraction over HTTP and WebSocket, with a page in the browser: drop a recording, mark a voice, listen.

    Nothing leaves the machine that runs it, and nothing is kept there. Programs use the same addresses as the page
    (docs/service.md). Ctrl-C ends it.

    Example: tinywase serve --open
    """
    import uvicorn

    from ..server.app import build_app
    from ..server.catalogue import Catalogue
    from ..server.guard import OWN_NAMES

    catalogue = Catalogue(model or MODELS, runtime=runtime.value, threads=threads)
    hosts = (*OWN_NAMES, _in_url(host), *(allow_host or [])) if _own(host) else tuple(allow_host or [])
    longest_s = 60 * max_minutes or math.inf
    app = build_app(catalogue, max_bytes=round(max_mb * 1e6), most_streams=streams, longest_s=longest_s, hosts=hosts)
    config = uvicorn.Config(
        app, log_level="error", timeout_graceful_shutdown=FAREWELL_S, ws_max_size=LARGEST_MESSAGE, ws_max_queue=4
    )
    with _listening(host, port) as listener:
        url = _url(host, listener.getsockname()[1])
        say(f"{url}  (Ctrl-C ends it)")
        if not _own(host):
            note("Whoever reaches this address can use it: no password, no encryption. A proxy can add both.")
        if show:
            import webbrowser

            webbrowser.open(url)
        try:
            uvicorn.Server(config).run(sockets=[listener])
        except KeyboardInterrupt:
            pass  # that is how it ends


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise TinyWaseError(
            f"cannot listen at {host}, port {port} ({error.strerror or error}). Choose another --port, or 0 for any."
        ) from None


def _url(host: str, port: int) -> str:
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}
    return f"http://{_in_url(everywhere.get(host, host))}:{port}/"


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _own(host: str) -> bool:
    """Does the address belong to this machine alone?"""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
