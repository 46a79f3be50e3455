"""`tinywase bench`: speed here. Measured in bench/; this file asks and prints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import note, progress_bar, say, say_json

if TYPE_CHECKING:
    from ..bench.device import DeviceReport
    from ..bench.machine import Machine
    from ..bench.streams import Load


def bench(
    model: Annotated[
        str | None,
        typer.Argument(metavar="[MODEL]", help="With --streams: a causal model or .twase file instead of the paper's."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Only the paper's core, the processor's limit, and PyTorch if it is there.")
    ] = False,
    streams: Annotated[
        bool, typer.Option("--streams", help="Only how many causal streams one core serves in real time.")
    ] = False,
    chunk_ms: Annotated[float, typer.Option(metavar="MS", min=1, max=1000, help="With --streams: their chunks.")] = 8.0,
    bits: Annotated[int, typer.Option(min=1, max=8, help="With --streams: width of the paper's weights.")] = 3,
    plot: Annotated[
        Path | None, typer.Option(metavar="P.png", help="With --streams: draw latency over streams.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help="Also write JSON, to share.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that exist.")] = False,
) -> None:
    """Say how fast the bundled models are on this device, and which networks run in real time.

    Then the paper's network with random weights, which takes as long as a trained one: a clip offline, and chunks of a
    causal stream, each at 3 bits, 8 bits and float32, on one thread. RTF is computing time over audio time. The
    kernels are the best that the processor has; TINYWASE_ISA names others.

    Example: tinywase bench -o laptop.json
    """
    from ..files import refuse_output, write_whole

    if quick and streams:
        raise typer.BadParameter("--quick and --streams are two measurements: give one of them.")
    if (model is not None or plot is not None) and not streams:
        raise typer.BadParameter("MODEL and --plot go with --streams.")
    for path in (out, plot):
        if path is not None:
            refuse_output(path, force=force)
    if quick:
        content = _quick(as_json)
    elif streams:
        content = _streams(model, bits, chunk_ms, plot, as_json=as_json, force=force)
    else:
        content = _device(as_json)
    if as_json:
        say_json(content)
    if out is not None:
        import json

        write_whole(out, (json.dumps(content, indent=2) + "\n").encode(), force=force)
        note(f"wrote {out}")


def _quick(as_json: bool) -> dict[str, Any]:
    from ..bench.quick import measure_quickly

    content = measure_quickly()
    if not as_json:
        say(f"paper core at {content['bits']} bits, {content['isa']}, one thread, {content['clip_s']:g} s of audio")
        say(f"{'RTF':28}{content['paper_core_rtf']:.4f}")
        say(f"{'floor: its products alone':28}{content['int8_floor_rtf']:.4f}  (x {content['times_the_floor']:.2f})")
        if "torch_eager_rtf" in content:
            say(f"{'PyTorch, eager, float32':28}{content['torch_eager_rtf']:.4f}  (x {content['times_torch']:.1f})")
    return content


def _streams(
    name: str | None, bits: int, chunk_ms: float, plot: Path | None, *, as_json: bool, force: bool
) -> dict[str, Any]:
    import tempfile
    from dataclasses import asdict

    from ..bench.machine import describe, pinned
    from ..bench.specimen import write_specimen
    from ..bench.streams import find_most_streams, most_served
    from ..config import named_config
    from ..files import whole_file
    from ..runtime.model import open_model

    if name is not None:
        model = open_model(name)
    else:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "paper.twase"
            model = open_model(write_specimen(path, named_config("paper", causal=True), bits))
    what = model.path.stem if name is not None else f"paper at {bits} bits"
    if not as_json:
        _say_machine(describe())
        say(f"\n{what}, causal, chunks of {chunk_ms:g} ms, one core\n")
        say(f"{'streams':>8}{'median':>10}{'p99':>10}{'worst':>10}{'busy':>8}")
    with pinned():
        chunk_samples = round(chunk_ms * model.config.sample_rate_hz / 1000)
        loads = find_most_streams(model, chunk_samples, told=(lambda load: None) if as_json else _say_load)
    served = most_served(loads)
    best = next((load for load in loads if load.streams == served), None)
    if not as_json:
        say(f"\none core serves {served} streams" + (f", 99 % of chunks within {best.p99_ms:.2f} ms" if best else ""))
    if plot is not None:
        from ..bench.plot import draw_streams

        with whole_file(plot, force=force) as part:
            draw_streams(loads, part, title=f"{what}, one core of {describe().processor}")
        note(f"wrote {plot}")
    return {
        "machine": asdict(describe()),
        "model": what,
        "chunk_ms": chunk_ms,
        "streams": served,
        "p99_ms": best.p99_ms if best else None,
        "trials": [asdict(load) for load in loads],
    }


def _say_load(load: Load) -> None:
    late = "" if load.kept_up else "  too late"
    times = f"{load.median_ms:7.2f} ms{load.p99_ms:7.2f} ms{load.worst_ms:7.2f} ms"
    say(f"{load.streams:>8}{times}{load.busy:>8.0%}{late}")


def _device(as_json: bool) -> dict[str, Any]:
    from ..bench.device import measure_device

    with progress_bar("measuring", quiet=as_json) as progress:
        report = measure_device(told=progress)
    content = report.as_dict()
    if not as_json:
        from ..bench.machine import describe

        _say_machine(describe())
        _say_device(report)
    return content


def _say_machine(machine: Machine) -> None:
    sets = f"{machine.isa} of {', '.join(machine.instruction_sets)}" if machine.instruction_sets else machine.isa
    say(f"{machine.processor}, {machine.processors} to use, {machine.system}")
    say(f"tinywase {machine.tinywase}, kernels {sets}, compiled by {machine.compiler}")


def _say_device(report: DeviceReport) -> None:
    from ..bench.specimen import FLOAT_BITS

    def width(bits: int) -> str:
        return "float32" if bits == FLOAT_BITS else f"{bits} bits"

    say(f"\n{'bundled model':16}{'RTF':>10}{'an hour takes':>24}{'latency':>12}{'real time':>12}")
    for model in report.models:
        latency = "offline" if model.latency_ms is None else f"{model.latency_ms:.0f} ms"
        verdict = "–" if model.real_time is None else "yes" if model.real_time else "no"
        say(f"{model.name:16}{model.rtf:>10.4f}{3600 * model.rtf:>22.0f} s{latency:>12}{verdict:>12}")
    say("\nthe paper's network")
    say(f"{'offline clip':16}{'file':>10}{'RTF':>10}{'faster than real time':>24}")
    for clip in report.clips:
        size = f"{clip.file_bytes / 1e6:.1f} MB"
        say(f"{width(clip.bits):16}{size:>10}{clip.rtf:>10.4f}{1 / clip.rtf:>23.0f}x")
    say(f"\n{'causal stream':16}{'chunk':>10}{'median':>10}{'p99':>10}{'of a core':>12}{'real time':>12}")
    for stream in report.streams:
        chunk, median, p99 = f"{stream.chunk_ms:g} ms", f"{stream.median_ms:.2f} ms", f"{stream.p99_ms:.2f} ms"
        share, verdict = stream.median_ms / stream.chunk_ms, "yes" if stream.real_time else "no"
        say(f"{width(stream.bits):16}{chunk:>10}{median:>10}{p99:>10}{share:>12.1%}{verdict:>12}")
    others = max(stream.taken_by_others for stream in report.streams)
    if others > 0.1:
        say(f"\nOther programs took up to {others:.0%} of this core meanwhile; times are this program's alone.")
    best = report.best()
    if best is None:
        say("\nNot in real time: take longer chunks, a smaller network, or record first and extract offline.")
        return
    delay = best.latency_ms + best.chunk_ms + best.p99_ms
    say(
        f"\nReal time: yes. Chunks of {best.chunk_ms:g} ms at {width(best.bits)}, one thread, "
        f"{best.median_ms / best.chunk_ms:.0%} of a core; from microphone to result {delay:.0f} ms."
    )
