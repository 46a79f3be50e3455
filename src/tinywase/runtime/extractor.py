"""The public way in: enroll a voice, extract it from any recording.

    extractor = Extractor.from_pretrained("default")
    voiceprint = extractor.enroll("me.wav")
    extraction = extractor.extract("meeting.wav", voiceprint)        # everything in memory
    report = extractor.extract_file("meeting.wav", "me-only.wav", voiceprint)  # hours, in constant memory
    stream = extractor.stream(voiceprint, sample_rate_hz=48000, delay_s=0.5)  # while it is still going on

What comes out has the length, rate, channels and loudness of what went in; it is never clipped and never NaN, and
silence stays silence. Channels that differ tell where the voice stands, which helps (spatial.py). The models work in
their own band (8 kHz models: up to 4 kHz); above it gains on the recording follow from what they
found (highband.py). T samples, C channels.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..arguments import real_number, whole_number
from ..audio import WHOLE_RATE, AudioReader, Source, is_array, open_audio, source_path
from ..errors import AudioError, ConfigError
from ..files import refuse_replaced
from ..progress import Progress, nobody
from .buffered import MOST_VIEWS, BufferedStream
from .enrollment import enroll
from .model import PackedModel, open_model
from .others import let_through, others_gain
from .passes import Heard, Separated, cell_samples, listen, render, separate_channels
from .presence import Evidence, PresenceRule, gather
from .rendering import planned_outputs, write_outputs
from .results import Extraction, ExtractionReport, report_of
from .stream import VoiceStream, check_streams
from .turns import without_others_turns
from .voiceprint import Voiceprint
from .voices import ALIKE, FoundVoice, find_voices

ABSENT = ("pass", "mute", "fail")
LISTENING_SHARE, SEPARATING_SHARE, TURNS_SHARE, WRITING_SHARE = 0.05, 0.75, 0.1, 0.1  # of the progress


class Extractor:
    """A model and what it can do for a recording."""

    def __init__(self, model: PackedModel) -> None:
        self.model = model
        self.rule = PresenceRule.from_card(model.card)

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path = "default",
        *,
        runtime: str = "auto",
        views: int | None = None,
        threads: int | None = None,
    ) -> Extractor:
        """The bundled model of that name, or a `.twase` file.

        Args:
            runtime: "native" (compiled), "reference" (numpy), or "auto": native where it is there.
            views: runs over the recording, averaged: 1 is fastest. None: as many as the model's card advises.
            threads: how many compute an offline model natively; None: two where there are two processors. The result
                is the same, bit for bit.
        """
        return cls(open_model(name_or_path, runtime, views=views, threads=threads))

    def with_views(self, views: int) -> Extractor:
        """The same model, `views` runs over a recording averaged: 1 is fastest. Nothing is opened again.

        Raises:
            ConfigError: views that the model cannot have.
        """
        return self._around(self.model.with_views(views))

    def with_others(self, voiceprint: Voiceprint) -> Extractor:
        """The same model, told what everybody else in the recordings sounds like, which helps a little
        (docs/experiments.md 34). Nothing is opened again.

        Raises:
            ConfigError: a model of one view, such as a causal one.
            FormatError: another model made the voiceprint.
        """
        return self._around(self.model.with_others(_vector_for(self.model, voiceprint)))

    def with_common(self, common: np.ndarray) -> Extractor:
        """The same model, told what all of its voiceprints have in common, as `tinywase calibrate` finds it.
        Shape: [D]."""
        return self._around(self.model.with_common(common))

    def _around(self, model: PackedModel) -> Extractor:
        """The same extractor, its rule and whatever a subclass adds, with another model."""
        other = copy.copy(self)
        other.model = model
        return other

    @property
    def sample_rate_hz(self) -> int:
        """The model's own rate; recordings may have any."""
        return self.model.config.sample_rate_hz

    def enroll(
        self,
        *audio: Source,
        sample_rate_hz: int | None = None,
        start_s: float = 0.0,
        stop_s: float | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Voiceprint:
        """The voiceprint of a speaker from recordings of them alone; several are averaged by their seconds of speech.

        Args:
            sample_rate_hz: rate of arrays; files know theirs.
            start_s, stop_s: the part of every recording to listen to.
            progress: called with the part that is done, 0..1.

        Raises:
            AudioError: less than half a second of speech in one of them, or a recording that cannot be used.
            ConfigError: a start or a stop that is no number.
        """
        return enroll(
            self.model, audio, sample_rate_hz=sample_rate_hz, start_s=start_s, stop_s=stop_s, progress=progress
        )

    def find_voices(
        self,
        recording: Source,
        *,
        sample_rate_hz: int | None = None,
        alike: float = ALIKE,
        progress: Callable[[float], None] | None = None,
    ) -> list[FoundVoice]:
        """The voices in a recording of any length, who speaks most first: for where no sample of a voice is at hand.

        Args:
            sample_rate_hz: rate of an array; files know theirs.
            alike: cosine of voiceprints from which on two stretches are one voice's; higher finds more voices.
            progress: called with the part that is done, 0..1.

        Raises:
            AudioError: the recording cannot be used.
            ConfigError: `alike` is no cosine.
        """
        alike = real_number("alike", alike, f"a cosine, -1 to 1, for example {ALIKE}", -1.0, 1.0)
        progress = progress or nobody
        folder = None if is_array(recording) else Path(tempfile.gettempdir())
        with open_audio(recording, sample_rate_hz=sample_rate_hz) as reader:
            heard = listen(reader, self.sample_rate_hz, folder, lambda done: progress(0.2 * done))
            with closing(heard.mixture):
                return find_voices(self.model, heard, alike=alike, progress=lambda done: progress(0.2 + 0.8 * done))

    def extract(
        self,
        mixture: Source,
        voiceprint: Voiceprint,
        *,
        sample_rate_hz: int | None = None,
        highband: bool = True,
        keep_others_db: float | None = None,
        spatial: bool = True,
        turns: bool = True,
    ) -> Extraction:
        """The voice of `voiceprint` in `mixture`, in memory. Shape: [T] or [T, C] -> the same.

        Args:
            sample_rate_hz: rate of an array; files know theirs.
            highband: also the band above the model's; without it that is empty.
            keep_others_db: let everybody else through, so much quieter than in the recording; None: not at all.
            spatial: use what channels that differ tell about where the voice stands (docs/experiments.md 35).
            turns: silence in others' turns of a conversation of 20 s or more, where the recording itself says that
                they are others' (docs/experiments.md 38).
        """
        gain = others_gain(keep_others_db)
        flat = np.ndim(mixture) == 1 if is_array(mixture) else None  # type: ignore[arg-type]
        with ExitStack() as stack, open_audio(mixture, sample_rate_hz=sample_rate_hz) as reader:
            heard, separated = self._separate(reader, voiceprint, None, stack, nobody, spatial=spatial, turns=turns)
            evidence = self._gather(heard, separated, voiceprint)
            pieces = render(reader, heard, separated, rate_hz=self.sample_rate_hz, highband=highband)
            parts = zip(*(let_through(both[:, 0], both[:, 1], gain) for both in pieces), strict=True)
            estimate, residual = (np.concatenate(blocks) for blocks in parts)
        if flat or (flat is None and reader.channels == 1):
            estimate, residual = estimate[:, 0], residual[:, 0]
        return Extraction(
            estimate=estimate,
            residual=residual,
            sample_rate_hz=reader.sample_rate_hz,
            activity=separated.activity,
            activity_hop_s=separated.activity_hop_s,
            presence=self.rule.verdict(evidence),
            confidence=evidence.confidence,
            evidence=evidence,
        )

    def extract_file(
        self,
        path_in: Source,
        path_out: str | Path,
        voiceprint: Voiceprint,
        *,
        sample_rate_hz: int | None = None,
        residual: str | Path | None = None,
        absent: str = "pass",
        force: bool = False,
        highband: bool = True,
        keep_others_db: float | None = None,
        spatial: bool = True,
        turns: bool = True,
        progress: Callable[[float], None] | None = None,
    ) -> ExtractionReport:
        """The voice of `voiceprint` in a recording of any length, written to a file, in constant memory.

        Args:
            sample_rate_hz: rate of an array; files know theirs.
            residual: where to write everything else (mixture - the voice).
            absent: what to do if the target is not there: "pass" writes the estimate all the same, "mute" writes
                silence, "fail" writes nothing and raises.
            force: overwrite what exists.
            highband: also the band above the model's; without it that is empty.
            keep_others_db: let everybody else through, so much quieter than in the recording; None: not at all, nor
                where the target is absent and muted.
            spatial: use what channels that differ tell about where the voice stands (docs/experiments.md 35).
            turns: silence in others' turns of a conversation of 20 s or more, where the recording itself says that
                they are others' (docs/experiments.md 38).
            progress: called with the part that is done, 0..1.

        Raises:
            AudioError: the recording cannot be used, or the target is absent and `absent` is "fail".
            OutputError: the output exists or cannot be written, or is the recording, `force` or not.
        """
        if absent not in ABSENT:
            raise ConfigError(f"absent = {absent!r}: expected one of {', '.join(ABSENT)}.")
        progress, gain = progress or nobody, others_gain(keep_others_db)
        paths = [Path(path_out), *([Path(residual)] if residual is not None else [])]
        if (source := source_path(path_in)) is not None:
            refuse_replaced(paths, [source])
        with ExitStack() as stack, open_audio(path_in, sample_rate_hz=sample_rate_hz) as reader:
            outputs = planned_outputs(reader, paths, force=force)
            folder = paths[0].parent
            heard, separated = self._separate(reader, voiceprint, folder, stack, progress, spatial=spatial, turns=turns)
            evidence = self._gather(heard, separated, voiceprint)
            presence = self.rule.verdict(evidence)
            if absent == "fail" and not presence:
                raise _absent(reader.name, evidence, self.rule)
            muted = absent == "mute" and not presence
            if muted:
                separated = replace(separated, gain=0.0, estimate_power=0 * separated.estimate_power)
                gain = np.float32(0)

            def rendered() -> Iterator[Sequence[np.ndarray]]:
                pieces = render(reader, heard, separated, rate_hz=self.sample_rate_hz, highband=highband)
                written = 0
                for both in pieces:
                    yield let_through(both[:, 0], both[:, 1], gain)[: len(outputs)]
                    written += len(both)
                    progress(1.0 - WRITING_SHARE * (1.0 - written / heard.frames))

            attenuations = [*write_outputs(rendered, outputs), 0.0]
            return report_of(
                reader,
                heard,
                separated,
                evidence,
                presence=presence,
                output=str(path_out),
                residual=None if residual is None else str(residual),
                band_hz=min(reader.sample_rate_hz, reader.sample_rate_hz if highband else self.sample_rate_hz) / 2,
                muted=muted,
                attenuation_db=attenuations[0],
                residual_attenuation_db=attenuations[1],
            )

    def stream(
        self,
        voiceprint: Voiceprint,
        *,
        sample_rate_hz: int,
        delay_s: float | None = None,
        views: int | None = None,
        keep_others_db: float | None = None,
        highband: bool = True,
    ) -> VoiceStream:
        """The voice of `voiceprint` in a sound that is still going on, fed in chunks of any size.

        Args:
            sample_rate_hz: of the chunks, and of what comes out.
            delay_s: how long an offline model waits for what comes after, 0.1 to 5; None for a causal one.
            views: runs over what an offline model hears, averaged; None: two, if the model has as many.
            keep_others_db: let everybody else through, so much quieter than in the sound; None: not at all.
            highband: also the band above the model's; without it that is empty.

        Raises:
            StreamError: an offline model without a delay, or a causal one with one.
            ConfigError: an impossible sampling rate, delay or number of views, or others louder than they are.
        """
        rate_hz = whole_number("sample_rate_hz", sample_rate_hz, WHOLE_RATE)
        check_streams(self.model, delay_s)
        model = self.model.with_views(min(MOST_VIEWS, self.model.views) if views is None else views)
        vector, gain = _vector_for(model, voiceprint), others_gain(keep_others_db)
        stream = model.stream(vector) if delay_s is None else BufferedStream(model, vector, delay_s)
        return VoiceStream(stream, model.config, rate_hz, others_gain=gain, highband=highband)

    def _separate(
        self,
        reader: AudioReader,
        voiceprint: Voiceprint,
        folder: Path | None,
        stack: ExitStack,
        progress: Progress,
        *,
        spatial: bool,
        turns: bool,
    ) -> tuple[Heard, Separated]:
        """The first two passes, and whose turn it was; their spools are closed with `stack`."""
        vector = _vector_for(self.model, voiceprint)
        heard = listen(reader, self.sample_rate_hz, folder, lambda done: progress(LISTENING_SHARE * done))
        stack.callback(heard.mixture.close)
        separated = separate_channels(
            self.model,
            vector,
            heard,
            folder,
            lambda done: progress(LISTENING_SHARE + SEPARATING_SHARE * done),
            spatial=spatial,
        )
        stack.callback(separated.estimate.close)
        if turns:
            separated = without_others_turns(
                self.model,
                vector,
                heard,
                separated,
                folder,
                lambda done: progress(LISTENING_SHARE + SEPARATING_SHARE + TURNS_SHARE * done),
            )
            stack.callback(separated.estimate.close)
        return heard, separated

    def _gather(self, heard: Heard, separated: Separated, voiceprint: Voiceprint) -> Evidence:
        """What speaks for the target's presence, from the cells where it is active."""
        active = separated.activity >= self.rule.activity
        powers = [power[active].sum() for power in (separated.estimate_power, separated.mixture_power)]
        if min(powers) <= 0:  # silence in or out: nobody
            return Evidence(0.0, None, None)
        return gather(
            self.model,
            voiceprint.vector,
            mixture=heard.mixture,
            estimate=separated.estimate,
            active=active,
            cell_samples=cell_samples(self.sample_rate_hz),
        )


def _vector_for(model: PackedModel, voiceprint: Voiceprint) -> np.ndarray:
    if not isinstance(voiceprint, Voiceprint):
        raise ConfigError(
            f"whose voice? Got a {type(voiceprint).__name__}, expected a Voiceprint. Make one with "
            "extractor.enroll(recording), or read one with Voiceprint.load(path)."
        )
    return voiceprint.vector_for(model)


def _absent(name: str, evidence: Evidence, rule: PresenceRule) -> AudioError:
    if evidence.active_s < rule.active_s or evidence.confidence is None:
        why = f"it is active for {evidence.active_s:.1f} s, expected {rule.active_s:g} s or more"
    else:
        heard = f"who is active for {evidence.active_s:.1f} s"
        why = f"{heard} sounds like somebody else (confidence {evidence.confidence:.2f}, of 1)"
    return AudioError(
        f"{name}: the enrolled voice was not found: {why}. Check the enrollment, or have the estimate written all the "
        "same, or silence (--absent pass, --absent mute; absent='pass', absent='mute')."
    )
