"""A picture of one extraction: mixture above, estimate below, and when the target was heard. Needs matplotlib."""

from __future__ import annotations

import io

import numpy as np

WIDTH_INCHES, HEIGHT_INCHES, DOTS_PER_INCH = 9.0, 4.2, 120
FFT_SAMPLES = 512
FLOOR_DB = 80.0  # below the loudest point: black


def extraction_picture(
    mixture: np.ndarray, estimate: np.ndarray, *, sample_rate_hz: int, activity: np.ndarray, activity_hop_s: float
) -> bytes:
    """PNG of both spectrograms on one scale. Shape: mixture, estimate [T], activity [cells]."""
    from matplotlib.figure import Figure  # without pyplot: no window, no global figure

    figure = Figure(figsize=(WIDTH_INCHES, HEIGHT_INCHES), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, sharey=True)
    loudest_db = None
    for axes, samples, title in ((top, mixture, "mixture"), (bottom, estimate, "estimate")):
        # a touch of noise below every floor keeps digital silence away from log(0)
        audible = samples + 1e-7 * np.random.default_rng(0).standard_normal(len(samples))
        power, _, _, image = axes.specgram(
            audible, NFFT=FFT_SAMPLES, Fs=sample_rate_hz, noverlap=FFT_SAMPLES * 3 // 4, cmap="magma"
        )
        loudest_db = 10 * float(np.log10(power.max())) if loudest_db is None else loudest_db
        image.set_clim(loudest_db - FLOOR_DB, loudest_db)
        axes.set_ylabel("Hz")
        axes.set_title(title, loc="left", fontsize="medium")
    bottom.set_xlabel("s")
    times_s = (np.arange(len(activity)) + 0.5) * activity_hop_s
    bottom.plot(times_s, activity * 0.2 * sample_rate_hz / 2, color="white", linewidth=1.2, label="activity")
    bottom.legend(loc="upper right", fontsize="small")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
    return buffer.getvalue()
