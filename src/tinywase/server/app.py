"""The service: one voice out of recordings over HTTP, out of a sound that goes on over WebSocket, and a page for both.

    GET  /             the page (page/)
    GET  /api/models   which models there are
    POST /api/enroll   recordings of one speaker alone -> a voiceprint, the content of a .voice file
    POST /api/voices   a recording -> the voices in it, each with a voiceprint
    POST /api/extract  a recording and whose voice -> that voice; with `Accept: multipart/form-data` everybody else too
    GET  /api/progress/JOB  how much is done of the request with the header `Tinywase-Job: JOB`
    WS   /api/live     see live.py
    GET  /openapi.json the same for programs

It remembers nothing: what it is sent lies in a temporary folder until it has answered.
"""

from __future__ import annotations

import errno
import json
import math
import mimetypes
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, File, Form, Request, UploadFile, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from .. import __version__
from ..audio import printable
from ..errors import ConfigError, OutputError, TinyWaseError
from ..runtime.enrollment import refuse_same_recording
from ..runtime.summary import spans, spoken, summary, voice_summary
from ..runtime.voiceprint import Voiceprint
from ..runtime.voices import ALIKE
from .answers import SEVERAL, Part, one_file, several
from .catalogue import Catalogue
from .guard import Guard
from .live import Rooms
from .uploads import Folder, TooLongError, plain_name, refuse_unknown_fields, temporary_folder
from .work import MOST_VIEWS, GivenUp, Progress, Workers

PAGE = Path(__file__).resolve().parent / "page"
DEMO = Path(__file__).resolve().parent.parent / "assets" / "demo"
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; media-src 'self' blob:; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
CLIENT_CLOSED = 499  # nobody reads it any more; for logs


Place = Annotated[Folder, Depends(temporary_folder)]
Mixture = Annotated[UploadFile, File(description="The recording.")]
Recordings = Annotated[list[UploadFile], File(description="The wanted voice alone, one recording or several.")]
StartS = Annotated[float | None, Form(description="Listen from here on, in seconds.")]
StopS = Annotated[float | None, Form(description="Listen up to here, in seconds.")]
Model = Annotated[str, Form(description="A name of /api/models; empty: the first.")]
Absent = Annotated[Literal["pass", "mute", "fail"], Form(description="What to do where the voice is absent.")]
NumberOfViews = Annotated[
    int | None,
    Form(
        ge=1,
        le=MOST_VIEWS,
        description="Runs over the recording, averaged; 1 is fastest. Empty: as the model's card advises.",
    ),
]
Container = Annotated[Literal["wav", "flac"], Form(alias="format", description="Of the answer.")]


def build_app(
    catalogue: Catalogue,
    *,
    max_bytes: int,
    most_streams: int,
    longest_s: float = math.inf,
    hosts: Sequence[str] = (),
    workers: Workers | None = None,
) -> FastAPI:
    """The application, for any ASGI server.

    Args:
        max_bytes: of one request.
        most_streams: conversations over WebSocket at once.
        longest_s: that a recording may play.
        hosts: names that it answers to; empty: any.
    """
    about = {"title": "tinywase", "version": __version__, "summary": "One voice out of a crowd."}
    app = FastAPI(**about, docs_url=None, redoc_url=None)  # those pages load from elsewhere
    app.state.longest_s = longest_s
    app.add_middleware(Guard, max_bytes=max_bytes, hosts=hosts)
    _explain_errors(app)
    workers, rooms = workers or Workers(), Rooms(most_streams)

    @app.get("/api/models")
    def models() -> list[dict[str, Any]]:
        """The models, the one that recordings are given to by default first."""
        return catalogue.listed()

    @app.post("/api/enroll", dependencies=[Depends(refuse_unknown_fields)])
    async def enroll(
        request: Request,
        folder: Place,
        audio: Recordings,
        start_s: StartS = None,
        stop_s: StopS = None,
        model: Model = "",
    ) -> Response:
        """A voiceprint: what `tinywase enroll` writes to a .voice file. It is for all models of the package."""
        extractor = catalogue.find(model)

        def work(progress: Progress) -> Response:
            files = folder.keep_all("enroll", audio, progress)
            voiceprint = extractor.enroll(*files, start_s=start_s or 0.0, stop_s=stop_s, progress=progress)
            return Response(voiceprint.to_bytes(), media_type="application/json")

        return await workers.run(request, work)

    @app.post("/api/voices", dependencies=[Depends(refuse_unknown_fields)])
    async def voices(
        request: Request,
        folder: Place,
        mixture: Mixture,
        alike: Annotated[float, Form(description="Cosine from which on two stretches are one voice's.")] = ALIKE,
        model: Model = "",
    ) -> list[dict[str, Any]]:
        """The voices in a recording, who speaks most first: voiceprints, when they speak, where each is heard best."""
        extractor = catalogue.find(model)

        def work(progress: Progress) -> list[dict[str, Any]]:
            recording = folder.keep_recording("mixture", mixture)
            found = extractor.find_voices(recording, alike=alike, progress=progress)
            return [
                {"voice": json.loads(voice.voiceprint.to_bytes()), **voice_summary(extractor, voice)} for voice in found
            ]

        return await workers.run(request, work)

    @app.post("/api/extract", dependencies=[Depends(refuse_unknown_fields)])
    async def extract(
        request: Request,
        folder: Place,
        mixture: Mixture,
        enroll: Recordings = [],  # noqa: B006 (never changed)
        voice: Annotated[UploadFile | None, File(description="Instead of recordings: a .voice file.")] = None,
        start_s: StartS = None,
        stop_s: StopS = None,
        model: Model = "",
        other: Annotated[list[UploadFile], File(description="Somebody else, alone, or a .voice file.")] = [],  # noqa: B006
        absent: Absent = "pass",
        highband: Annotated[bool, Form(description="Above the model's band too, by what was found below.")] = True,
        keep_others_db: Annotated[
            float | None, Form(ge=0, description="Let everybody else through, so many dB quieter; empty: not at all.")
        ] = None,
        spatial: Annotated[
            bool, Form(description="Use what channels that differ tell about where the voice stands.")
        ] = True,
        turns: Annotated[
            bool, Form(description="Silence in others' turns, where the recording tells voices apart.")
        ] = True,
        views: NumberOfViews = None,
        container: Container = "wav",
    ) -> Response:
        """The voice, as a file; the header Tinywase-Report says in JSON how it went.

        Whose voice: `enroll`, or `voice`, or the part of the recording itself from `start_s` to `stop_s`. With `Accept:
        multipart/form-data` the answer has the parts `report`, `voice` (the .voice file), `estimate` and `residual`.
        """
        if [bool(enroll), voice is not None, stop_s is not None].count(True) != 1:
            raise ConfigError("whose voice? Send one of: enroll (recordings), voice (a file), start_s and stop_s.")
        if start_s is not None and stop_s is None:
            raise ConfigError("start_s says from where on in the mixture, and wants a stop_s. Send both or none.")
        extractor = catalogue.find(model)
        if views is not None:
            extractor = extractor.with_views(views)
        wants_several = SEVERAL in request.headers.get("accept", "")

        def others_kept(progress: Progress) -> list[Path]:
            if len(other) == 1 and (other[0].filename or "").lower().endswith(".voice"):
                return [folder.keep("other", other[0])]
            return folder.keep_all("other", other, progress)

        def voiceprint_in(recording: Path, samples: list[Path], going_on: Progress) -> Voiceprint:
            if voice is not None:
                return Voiceprint.load(folder.keep("voice", voice))
            if stop_s is not None:
                return extractor.enroll(recording, start_s=start_s or 0.0, stop_s=stop_s, progress=going_on)
            return extractor.enroll(*samples, progress=going_on)

        def work(progress: Progress) -> Response:
            began_s = time.perf_counter()

            def going_on(_: float) -> None:
                progress(0.0)  # enrolling counts for nothing beside what follows

            recording = folder.keep_recording("mixture", mixture)
            samples, others = folder.keep_all("enroll", enroll, progress), others_kept(progress)
            refuse_same_recording(samples, as_mixture=recording, as_other=others)
            voiceprint = voiceprint_in(recording, samples, going_on)
            informed = extractor
            if others:
                kept = others[0].suffix.lower() == ".voice"
                informed = extractor.with_others(
                    Voiceprint.load(others[0]) if kept else extractor.enroll(*others, progress=going_on)
                )
            estimate, residual = (folder.path / f"{recording.stem}-{what}.{container}" for what in ("voice", "others"))
            report = informed.extract_file(
                recording,
                estimate,
                voiceprint,
                residual=residual if wants_several else None,
                absent=absent,
                highband=highband,
                keep_others_db=keep_others_db,
                spatial=spatial,
                turns=turns,
                progress=progress,
            )
            told = summary(informed, voiceprint, report, time.perf_counter() - began_s)
            if not wants_several:
                return one_file(estimate, told)
            told["segments_s"] = spans(spoken(extractor, report))
            named = enroll[0].filename if enroll else voice.filename if voice is not None else recording.name
            made = folder.path / f"{Path(plain_name(named or 'voice')).stem}.voice"
            voiceprint.save(made)
            return several(
                [Part("report", told), Part("voice", made), Part("estimate", estimate), Part("residual", residual)]
            )

        return await workers.run(request, work)

    @app.get("/api/progress/{job}")
    def progress(job: str) -> float:
        """How much of the request is done, 0..1, that was sent with this name in the header Tinywase-Job."""
        return workers.done(job)

    @app.websocket("/api/live")
    async def live(socket: WebSocket) -> None:
        await rooms.converse(socket, catalogue)

    mimetypes.add_type("text/javascript", ".js")  # some systems say otherwise, and browsers refuse that
    app.mount("/demo", StaticFiles(directory=DEMO))
    app.mount("/", _Page(directory=PAGE, html=True))
    return app


class _Page(StaticFiles):
    def file_response(self, *arguments: Any, **options: Any) -> Response:
        response = super().file_response(*arguments, **options)
        response.headers.update(PAGE_HEADERS)
        return response


def _explain_errors(app: FastAPI) -> None:
    """Every refusal is {"error": what was got, what was expected, what to do}."""

    @app.exception_handler(TinyWaseError)
    @app.exception_handler(HTTPException)
    @app.exception_handler(OSError)
    def refused(request: Request, error: Exception) -> Response:
        disk = _disk_error(error)
        if disk is not None or isinstance(error, OutputError):  # what is written here is the service's own
            why = disk.strerror if disk is not None else "something failed"
            full = disk is not None and disk.errno in (errno.ENOSPC, errno.EDQUOT)
            return _refusal(f"the service could not write: {why}.", 507 if full else 500)
        if isinstance(error, HTTPException):
            return _refusal(f"{error.detail.rstrip('.')}. See /openapi.json.", error.status_code)
        return _refusal(str(error), 413 if isinstance(error, TooLongError) else 400)

    @app.exception_handler(RequestValidationError)
    def misunderstood(request: Request, error: RequestValidationError) -> Response:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'][1:]))}: {e['msg']}" for e in error.errors())
        return _refusal(f"the request is not as expected: {wrong}. See /openapi.json.", 422)

    @app.exception_handler(GivenUp)
    def gone(request: Request, error: GivenUp) -> Response:
        return Response(status_code=CLIENT_CLOSED)


def _refusal(why: str, status: int) -> JSONResponse:
    """What is repeated of the client's words may be no text: there are charsets that spell halves of characters."""
    return JSONResponse({"error": printable(why)}, status)


def _disk_error(error: BaseException) -> OSError | None:
    """What the system said where the service could not write, wherever in the chain of causes.

    What a decoder says about a recording may be an OSError too, but that is the client's.
    """
    cause: BaseException | None = error if isinstance(error, (OutputError, OSError)) else None
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__cause__ or cause.__context__
    return cause
