"""A sound that is still going on, over a WebSocket; messages are JSON, sound is binary.

    client                                                   server
    {"sample_rate_hz": 48000, "voice": {...a .voice file},
     "model": "live", "format": "f32",
     "delay_s": null, "views": null, "other": null,
     "keep_others_db": null, "highband": true}           ->
                                                         <-  {"latency_s": 0.07, "step_s": 0.008, "model": "live"}
    samples, one channel, little-endian, f32 or s16      ->
                                                         <-  as many samples of that voice as are finished, for every
                                                             message one, and now and then {"activity": 0..1}
    {"end": true}                                        ->
                                                         <-  the rest, then the connection closes

All but the rate and the voice may be left out; with `delay_s`, an offline model waits so long for what comes after, and
`step_s` of sound is computed at once; `other` is a .voice file's content too, of somebody else. What is wrong is said
by {"error": "..."} before the connection closes. Who says nothing for a minute is not waited for.
"""

from __future__ import annotations

import json
from typing import Any

import anyio
import anyio.to_thread
from fastapi import WebSocket, WebSocketDisconnect

from ..errors import TinyWaseError
from ..pcm import KINDS, decoded, encoded, sample_bytes
from ..runtime.stream import VoiceStream
from ..runtime.voiceprint import Voiceprint
from .catalogue import Catalogue
from .work import MOST_VIEWS

TOLD_EVERY_S = 0.1
WAITS_S = 60.0
MOST_AT_ONCE_S = 2.0  # of sound: a thread at work cannot be interrupted
KEYS = {"sample_rate_hz", "voice", "model", "format", "delay_s", "views", "other", "keep_others_db", "highband"}
WRONG, BUSY = 1008, 1013  # reasons to close, of RFC 6455 and its registry


class LiveError(TinyWaseError):
    """A message that the protocol does not know."""


class Rooms:
    """How many conversations may go on at once."""

    def __init__(self, most: int) -> None:
        self._most, self._taken = most, 0

    async def converse(self, socket: WebSocket, catalogue: Catalogue) -> None:
        """One conversation from its beginning to its end."""
        await socket.accept()
        if self._taken >= self._most:
            await _refuse(socket, f"{self._most} conversations go on already, as many as may. Try again later.", BUSY)
            return
        self._taken += 1
        try:
            await _converse(socket, catalogue)
        except TinyWaseError as error:
            await _refuse(socket, str(error), WRONG)
        except WebSocketDisconnect:
            pass
        finally:
            self._taken -= 1


async def _converse(socket: WebSocket, catalogue: Catalogue) -> None:
    hello = _spoken(await _next(socket))
    stream, kind, model = await anyio.to_thread.run_sync(_begin, hello, catalogue)
    step_s = stream.step_samples / stream.sample_rate_hz
    await socket.send_json({"latency_s": stream.latency_s, "step_s": step_s, "model": model})
    untold = 0.0
    while isinstance(message := await _next(socket), bytes):
        if len(message) % sample_bytes(kind):
            raise LiveError(f"{len(message)} bytes are no whole number of {kind} samples. Send whole samples.")
        samples = decoded(message, kind)
        if len(samples) > MOST_AT_ONCE_S * stream.sample_rate_hz:
            raise LiveError(
                f"{len(samples)} samples at once: expected at most {MOST_AT_ONCE_S:g} s. Send them bit by bit."
            )
        await socket.send_bytes(encoded(await anyio.to_thread.run_sync(stream.feed, samples), kind))
        untold += len(samples) / stream.sample_rate_hz
        if untold >= TOLD_EVERY_S:
            untold = 0.0
            await socket.send_json({"activity": round(stream.activity, 3)})
    if _spoken(message) != {"end": True}:
        raise LiveError(f'got {message!r:.80}, expected samples or {{"end": true}}.')
    await socket.send_bytes(encoded(await anyio.to_thread.run_sync(stream.flush), kind))
    await socket.close()


def _begin(hello: dict[str, Any], catalogue: Catalogue) -> tuple[VoiceStream, str, str]:
    """The stream that was asked for, the kind of its samples, and its model's name."""
    rate_hz, voice, kind = hello.get("sample_rate_hz"), hello.get("voice"), str(hello.get("format", "f32"))
    delay_s, others_db = hello.get("delay_s"), hello.get("keep_others_db")
    views, other, highband = hello.get("views"), hello.get("other"), hello.get("highband", True)
    unclear = (
        hello.keys() - KEYS
        or kind not in KINDS
        or any(value is not None and type(value) not in (int, float) for value in (delay_s, others_db))
        or (views is not None and (type(views) is not int or not 1 <= views <= MOST_VIEWS))
        or (other is not None and not isinstance(other, dict))
        or not isinstance(highband, bool)
    )
    if unclear or type(rate_hz) is not int or not isinstance(voice, dict):
        raise LiveError(
            'a conversation begins with {"sample_rate_hz": 48000, "voice": {...}}, the latter the content of a .voice '
            f'file; "model", "format" ({" or ".join(KINDS)}), "delay_s", "views" (1 to {MOST_VIEWS}), "other" (a '
            f'.voice file too), "keep_others_db" and "highband" may be there. Got {", ".join(sorted(hello)) or "{}"}.'
        )
    extractor = catalogue.find(str(hello.get("model", "")), causal=delay_s is None)
    if other is not None:
        extractor = extractor.with_others(_voiceprint(other, "other"))
    stream = extractor.stream(
        _voiceprint(voice, "voice"),
        sample_rate_hz=rate_hz,
        delay_s=delay_s,
        views=views,
        keep_others_db=others_db,
        highband=highband,
    )
    return stream, kind, extractor.model.name


def _voiceprint(content: dict[str, Any], name: str) -> Voiceprint:
    return Voiceprint.from_bytes(json.dumps(content).encode(), name)


async def _next(socket: WebSocket) -> str | bytes:
    try:
        with anyio.fail_after(WAITS_S):
            message = await socket.receive()
    except TimeoutError:
        raise LiveError(f"nothing was said for {WAITS_S:g} s. Connect again.") from None
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    text, raw = message.get("text"), message.get("bytes")
    return raw or b"" if text is None else text


def _spoken(message: str | bytes) -> dict[str, Any]:
    """A message as the JSON object that it has to be, of text that answers can repeat."""
    try:
        value = json.loads(message) if isinstance(message, str) else None
        json.dumps(value, ensure_ascii=False).encode()  # refuses halves of surrogate pairs
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise LiveError(f"got {message!r:.80}, expected a JSON object, its text Unicode.")
    return value


async def _refuse(socket: WebSocket, why: str, code: int) -> None:
    await socket.send_json({"error": why})
    await socket.close(code)
