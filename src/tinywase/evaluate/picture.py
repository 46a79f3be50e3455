"""A picture of one extraction: spectrograms on one scale, and when the target was heard. Needs matplotlib."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np

WIDTH_INCHES, ROW_INCHES, DOTS_PER_INCH = 9.0, 1.9, 120
FFT_S = 0.032
SHOWN_DB = 75.0  # below the loudest point


def extraction_picture(
    signals: Mapping[str, np.ndarray],
    *,
    sample_rate_hz: int,
    band_hz: float,
    activity: np.ndarray,
    activity_hop_s: float,
    made_by: str = "",
) -> bytes:
    """PNG of the signals up to `band_hz`, the activity above them; `made_by` is kept in its text field "Source".

    Shape: signals [T], activity [cells].
    """
    from matplotlib.figure import Figure  # without pyplot: no window, no global figure

    figure = Figure(figsize=(WIDTH_INCHES, ROW_INCHES * (len(signals) + 0.4)), layout="constrained")
    heights = [0.3, *[1.0] * len(signals)]
    top, *rows = figure.subplots(len(signals) + 1, 1, sharex=True, gridspec_kw={"height_ratios": heights})
    top.fill_between((np.arange(len(activity)) + 0.5) * activity_hop_s, activity, linewidth=0, color="tab:orange")
    top.set(ylim=(0, 1), yticks=[0, 1])
    top.set_title("activity: is the enrolled voice speaking?", loc="left", fontsize="medium")
    fft = round(FFT_S * sample_rate_hz)
    loudest_db: float | None = None
    for axes, (title, samples) in zip(rows, signals.items(), strict=True):
        # a touch of noise, far below what is shown, keeps digital silence away from log(0)
        audible = samples + 1e-7 * np.random.default_rng(0).standard_normal(len(samples))
        power, _, _, image = axes.specgram(audible, NFFT=fft, Fs=sample_rate_hz, noverlap=fft * 3 // 4, cmap="magma")
        loudest_db = 10 * float(np.log10(power.max())) if loudest_db is None else loudest_db
        image.set_clim(loudest_db - SHOWN_DB, loudest_db)
        axes.set(ylabel="Hz", ylim=(0, band_hz), xlim=(0, len(samples) / sample_rate_hz), facecolor="black")
        axes.set_title(title, loc="left", fontsize="medium")
    rows[-1].set_xlabel("s")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH, metadata={"Source": made_by})
    return buffer.getvalue()
