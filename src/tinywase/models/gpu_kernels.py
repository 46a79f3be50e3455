"""What lies between the products of a convolution block, forward and backward, in Triton: see gpu_block.py.

One program works on one row, the frames of one channel of one segment. PReLU, norm and depthwise convolution stay
inside it; what a norm or a gradient sums over a segment is summed row by row first. A CAUSAL norm knows other moments
at every frame: what it needs is summed over the channels of every frame, where rows add theirs. Everything is computed
in float32, whatever it is stored in. Letters: H hidden channels (HPAD the power of two that holds them), C channels, F
frames, d dilation.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def find_moments(sums, out, H, HPAD: tl.constexpr, count, eps):
    """Mean and inverse deviation of a segment, from the sums and the sums of squares of its rows."""
    segment = tl.program_id(0).to(tl.int64)
    c = tl.arange(0, HPAD)
    total = tl.sum(tl.load(sums + 2 * (segment * H + c), mask=c < H, other=0.0), 0)
    squares = tl.sum(tl.load(sums + 2 * (segment * H + c) + 1, mask=c < H, other=0.0), 0)
    mean = total / count
    variance = tl.maximum(squares / count - mean * mean, 0.0)
    tl.store(out + 2 * segment, mean)
    tl.store(out + 2 * segment + 1, 1.0 / tl.sqrt(variance + eps))


@triton.jit
def find_means(sums, gains, out, H, HPAD: tl.constexpr, count):
    """Means over a segment of the normalized values' gradient, and of it times the values."""
    segment = tl.program_id(0).to(tl.int64)
    c = tl.arange(0, HPAD)
    gain = tl.load(gains + c, mask=c < H, other=0.0)
    one = tl.sum(gain * tl.load(sums + 2 * (segment * H + c), mask=c < H, other=0.0), 0)
    two = tl.sum(gain * tl.load(sums + 2 * (segment * H + c) + 1, mask=c < H, other=0.0), 0)
    tl.store(out + 2 * segment, one / count)
    tl.store(out + 2 * segment + 1, two / count)


@triton.jit
def _pair(pairs, row, f, H, F, CAUSAL: tl.constexpr):
    """Both numbers of a row's segment; where it is causal, of its frames f."""
    segment = row // H
    if CAUSAL:
        inside = (f >= 0) & (f < F)
        first = pairs + 2 * segment * F + f
        one, two = tl.load(first, mask=inside, other=0.0), tl.load(first + F, mask=inside, other=0.0)
    else:
        one, two = tl.load(pairs + 2 * segment), tl.load(pairs + 2 * segment + 1)
    return one, two


@triton.jit
def _add_to_frames(sums, row, f, H, F, one, two):
    """A row's share of both sums over the channels of every frame."""
    first = sums + 2 * (row // H) * F + f
    tl.atomic_add(first, one, mask=f < F)
    tl.atomic_add(first + F, two, mask=f < F)


@triton.jit
def _row(x_ptr, row, f, F):
    """Frames of a row as float32; beyond the segment they are zero."""
    return tl.load(x_ptr + row * F + f, mask=(f >= 0) & (f < F), other=0.0).to(tl.float32)


@triton.jit
def _prelu(x, slope):
    return tl.where(x > 0, x, slope * x)


@triton.jit
def sum_values(x_ptr, bias_ptr, slope_ptr, sums, H, F, CAUSAL: tl.constexpr, BLOCK: tl.constexpr):
    """Sum and sum of squares of prelu(x + bias): of every row, or over the channels of every frame."""
    row = tl.program_id(0).to(tl.int64)
    bias, slope = tl.load(bias_ptr + row % H), tl.load(slope_ptr)
    total = tl.zeros([BLOCK], tl.float32)
    squares = tl.zeros([BLOCK], tl.float32)
    for first in range(0, F, BLOCK):
        f = first + tl.arange(0, BLOCK)
        inside = f < F
        x = _row(x_ptr, row, f, F)
        t = tl.where(inside, _prelu(x + bias, slope), 0.0)
        if CAUSAL:
            _add_to_frames(sums, row, f, H, F, t, t * t)
        total += t
        squares += t * t
    if not CAUSAL:
        tl.store(sums + 2 * row, tl.sum(total, 0))
        tl.store(sums + 2 * row + 1, tl.sum(squares, 0))


@triton.jit
def _normed(u_ptr, row, f, H, F, bias, slope, gain, shift, moments, CAUSAL: tl.constexpr):
    """Frames of the first norm's output; beyond the segment they are zero."""
    mean, deviation = _pair(moments, row, f, H, F, CAUSAL)
    h = (_prelu(_row(u_ptr, row, f, F) + bias, slope) - mean) * (gain * deviation) + shift
    return tl.where((f >= 0) & (f < F), h, 0.0)


@triton.jit(do_not_specialize=["d"])
def convolve(
    u_ptr, bias_ptr, slope_ptr, gain_ptr, shift_ptr, moments, weight_ptr, late_bias_ptr, late_slope_ptr,
    v_ptr, sums, H, F, d, CAUSAL: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """u -> prelu, norm, depthwise convolution v, and the sums of prelu(v) and of its squares, as `sum_values`."""
    row = tl.program_id(0).to(tl.int64)
    c = row % H
    bias, slope, shift = tl.load(bias_ptr + c), tl.load(slope_ptr), tl.load(shift_ptr + c)
    gain = tl.load(gain_ptr + c)
    behind = d if CAUSAL else 0
    w0, w1, w2 = tl.load(weight_ptr + 3 * c), tl.load(weight_ptr + 3 * c + 1), tl.load(weight_ptr + 3 * c + 2)
    late_bias, late_slope = tl.load(late_bias_ptr + c), tl.load(late_slope_ptr)
    total = tl.zeros([BLOCK], tl.float32)
    squares = tl.zeros([BLOCK], tl.float32)
    for first in range(0, F, BLOCK):
        f = first + tl.arange(0, BLOCK)
        inside = f < F
        middle = f - behind
        v = late_bias + w0 * _normed(u_ptr, row, middle - d, H, F, bias, slope, gain, shift, moments, CAUSAL)
        v += w1 * _normed(u_ptr, row, middle, H, F, bias, slope, gain, shift, moments, CAUSAL)
        v += w2 * _normed(u_ptr, row, middle + d, H, F, bias, slope, gain, shift, moments, CAUSAL)
        rounded = v.to(v_ptr.dtype.element_ty)
        tl.store(v_ptr + row * F + f, rounded, mask=inside)
        t = tl.where(inside, _prelu(rounded.to(tl.float32), late_slope), 0.0)
        if CAUSAL:
            _add_to_frames(sums, row, f, H, F, t, t * t)
        total += t
        squares += t * t
    if not CAUSAL:
        tl.store(sums + 2 * row, tl.sum(total, 0))
        tl.store(sums + 2 * row + 1, tl.sum(squares, 0))


@triton.jit
def normalize(
    v_ptr, slope_ptr, gain_ptr, shift_ptr, moments, h_ptr, H, F, CAUSAL: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """v -> prelu, norm."""
    row = tl.program_id(0).to(tl.int64)
    c = row % H
    slope, gain, shift = tl.load(slope_ptr), tl.load(gain_ptr + c), tl.load(shift_ptr + c)
    for first in range(0, F, BLOCK):
        f = first + tl.arange(0, BLOCK)
        inside = f < F
        mean, deviation = _pair(moments, row, f, H, F, CAUSAL)
        v = _row(v_ptr, row, f, F)
        h = (_prelu(v, slope) - mean) * (gain * deviation) + shift
        tl.store(h_ptr + row * F + f, h.to(h_ptr.dtype.element_ty), mask=inside)


@triton.jit
def _through_norm(g, x, slope, gain, mean, deviation, one, two):
    """Gradient of prelu(x) from that of the norm's output, g; one, two: what comes back through the moments."""
    value = (_prelu(x, slope) - mean) * deviation
    return deviation * (g * gain - one - value * two)


@triton.jit
def late_sums(
    g_ptr, v_ptr, slope_ptr, gain_ptr, moments, out, sums, H, F, CAUSAL: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Row sums of the second norm's output gradient g, and of g times the normalized values; where it is causal, both
    times the gain over the channels of every frame too."""
    row = tl.program_id(0).to(tl.int64)
    slope, gain = tl.load(slope_ptr), tl.load(gain_ptr + row % H)
    one = tl.zeros([BLOCK], tl.float32)
    two = tl.zeros([BLOCK], tl.float32)
    for first in range(0, F, BLOCK):
        f = first + tl.arange(0, BLOCK)
        mean, deviation = _pair(moments, row, f, H, F, CAUSAL)
        g = _row(g_ptr, row, f, F)
        weighed = g * (_prelu(_row(v_ptr, row, f, F), slope) - mean) * deviation
        if CAUSAL:
            _add_to_frames(sums, row, f, H, F, gain * g, gain * weighed)
        one += g
        two += weighed
    tl.store(out + 2 * row, tl.sum(one, 0))
    tl.store(out + 2 * row + 1, tl.sum(two, 0))


@triton.jit(do_not_specialize=["d"])
def to_convolution(
    g_ptr, v_ptr, late_slope_ptr, late_gain_ptr, late_moments, means,
    u_ptr, bias_ptr, slope_ptr, gain_ptr, shift_ptr, moments,
    dv_ptr, out, H, F, d, CAUSAL: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """g -> gradient dv of the convolution's output; row sums: of the slope, dv, and dv with each tap's input."""
    row = tl.program_id(0).to(tl.int64)
    c = row % H
    late_slope, late_gain = tl.load(late_slope_ptr), tl.load(late_gain_ptr + c)
    bias, slope, shift = tl.load(bias_ptr + c), tl.load(slope_ptr), tl.load(shift_ptr + c)
    gain = tl.load(gain_ptr + c)
    behind = d if CAUSAL else 0
    to_slope = tl.zeros([BLOCK], tl.float32)
    to_bias = tl.zeros([BLOCK], tl.float32)
    to_w0 = tl.zeros([BLOCK], tl.float32)
    to_w1 = tl.zeros([BLOCK], tl.float32)
    to_w2 = tl.zeros([BLOCK], tl.float32)
    for first in range(0, F, BLOCK):
        f = first + tl.arange(0, BLOCK)
        inside = f < F
        mean, deviation = _pair(late_moments, row, f, H, F, CAUSAL)
        one, two = _pair(means, row, f, H, F, CAUSAL)
        g = _row(g_ptr, row, f, F)
        v = _row(v_ptr, row, f, F)
        dt = tl.where(inside, _through_norm(g, v, late_slope, late_gain, mean, deviation, one, two), 0.0)
        to_slope += dt * tl.minimum(v, 0.0)
        dv = tl.where(v > 0, dt, late_slope * dt)
        rounded = dv.to(dv_ptr.dtype.element_ty)
        tl.store(dv_ptr + row * F + f, rounded, mask=inside)
        dv = rounded.to(tl.float32)
        to_bias += dv
        middle = f - behind
        to_w0 += dv * _normed(u_ptr, row, middle - d, H, F, bias, slope, gain, shift, moments, CAUSAL)
        to_w1 += dv * _normed(u_ptr, row, middle, H, F, bias, slope, gain, shift, moments, CAUSAL)
        to_w2 += dv * _normed(u_ptr, row, middle + d, H, F, bias, slope, gain, shift, moments, CAUSAL)
    tl.store(out + 5 * row, tl.sum(to_slope, 0))
    tl.store(out + 5 * row + 1, tl.sum(to_bias, 0))
    tl.store(out + 5 * row + 2, tl.sum(to_w0, 0))
    tl.store(out + 5 * row + 3, tl.sum(to_w1, 0))
    tl.store(out + 5 * row + 4, tl.sum(to_w2, 0))


@triton.jit
def _unconvolved(dv_ptr, row, f, F, d, w0, w1, w2, CAUSAL: tl.constexpr):
    """Gradient of the convolution's input."""
    middle = f + (d if CAUSAL else 0)
    first, last = _row(dv_ptr, row, middle + d, F), _row(dv_ptr, row, middle - d, F)
    return w0 * first + w1 * _row(dv_ptr, row, middle, F) + w2 * last


@triton.jit(do_not_specialize=["d"])
def early_sums(
    dv_ptr, weight_ptr, u_ptr, bias_ptr, slope_ptr, gain_ptr, moments, out, sums,
    H, F, d, CAUSAL: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """The same as `late_sums`, of the first norm."""
    row = tl.program_id(0).to(tl.int64)
    c = row % H
    bias, slope, gain = tl.load(bias_ptr + c), tl.load(slope_ptr), tl.load(gain_ptr + c)
    w0, w1, w2 = tl.load(weight_ptr + 3 * c), tl.load(weight_ptr + 3 * c + 1), tl.load(weight_ptr + 3 * c + 2)
    one = tl.zeros([BLOCK], tl.float32)
    two = tl.zeros([BLOCK], tl.float32)
    for first in range(0, F, BLOCK):
        f = first + tl.arange(0, BLOCK)
        inside = f < F
        mean, deviation = _pair(moments, row, f, H, F, CAUSAL)
        dh = tl.where(inside, _unconvolved(dv_ptr, row, f, F, d, w0, w1, w2, CAUSAL), 0.0)
        u = _row(u_ptr, row, f, F)
        weighed = dh * (_prelu(u + bias, slope) - mean) * deviation
        if CAUSAL:
            _add_to_frames(sums, row, f, H, F, gain * dh, gain * weighed)
        one += dh
        two += weighed
    tl.store(out + 2 * row, tl.sum(one, 0))
    tl.store(out + 2 * row + 1, tl.sum(two, 0))


@triton.jit(do_not_specialize=["d"])
def to_expansion(
    dv_ptr, weight_ptr, u_ptr, bias_ptr, slope_ptr, gain_ptr, moments, means, du_ptr, out,
    H, F, d, CAUSAL: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """dv -> gradient du of the first product; row sums: of the slope, and du."""
    row = tl.program_id(0).to(tl.int64)
    c = row % H
    bias, slope, gain = tl.load(bias_ptr + c), tl.load(slope_ptr), tl.load(gain_ptr + c)
    w0, w1, w2 = tl.load(weight_ptr + 3 * c), tl.load(weight_ptr + 3 * c + 1), tl.load(weight_ptr + 3 * c + 2)
    to_slope = tl.zeros([BLOCK], tl.float32)
    to_bias = tl.zeros([BLOCK], tl.float32)
    for first in range(0, F, BLOCK):
        f = first + tl.arange(0, BLOCK)
        inside = f < F
        mean, deviation = _pair(moments, row, f, H, F, CAUSAL)
        one, two = _pair(means, row, f, H, F, CAUSAL)
        dh = _unconvolved(dv_ptr, row, f, F, d, w0, w1, w2, CAUSAL)
        x = _row(u_ptr, row, f, F) + bias
        dt = tl.where(inside, _through_norm(dh, x, slope, gain, mean, deviation, one, two), 0.0)
        to_slope += dt * tl.minimum(x, 0.0)
        du = tl.where(x > 0, dt, slope * dt)
        tl.store(du_ptr + row * F + f, du.to(du_ptr.dtype.element_ty), mask=inside)
        to_bias += du
    tl.store(out + 2 * row, tl.sum(to_slope, 0))
    tl.store(out + 2 * row + 1, tl.sum(to_bias, 0))


@triton.jit
def add_outputs(x_ptr, skip_ptr, y_ptr, bias_ptr, x_out, skip_out, low_out, C, F, BLOCK: tl.constexpr):
    """x + the first half of y, skips + the second; x once more rounded. One program: a row of x and of the skips."""
    row = tl.program_id(0).to(tl.int64)
    b, c = row // C, row % C
    residual, skip = (2 * b * C + c) * F, (2 * b * C + C + c) * F
    bias, skip_bias = tl.load(bias_ptr + c), tl.load(bias_ptr + C + c)
    for first in range(0, F, BLOCK):
        f = first + tl.arange(0, BLOCK)
        inside = f < F
        x = tl.load(x_ptr + row * F + f, mask=inside) + tl.load(y_ptr + residual + f, mask=inside).to(tl.float32) + bias
        s = tl.load(skip_ptr + row * F + f, mask=inside) + tl.load(y_ptr + skip + f, mask=inside).to(tl.float32)
        tl.store(x_out + row * F + f, x, mask=inside)
        tl.store(low_out + row * F + f, x.to(low_out.dtype.element_ty), mask=inside)
        tl.store(skip_out + row * F + f, s + skip_bias, mask=inside)


@triton.jit
def join_gradients(gx_ptr, gs_ptr, y_ptr, sums, C, F, BLOCK: tl.constexpr):
    """Gradients of both outputs, rounded, one after the other; and their row sums."""
    row = tl.program_id(0).to(tl.int64)
    b, c = row // C, row % C
    residual, skip = 2 * b * C + c, 2 * b * C + C + c
    one = tl.zeros([BLOCK], tl.float32)
    two = tl.zeros([BLOCK], tl.float32)
    for first in range(0, F, BLOCK):
        f = first + tl.arange(0, BLOCK)
        inside = f < F
        gx = _row(gx_ptr, row, f, F)
        gs = _row(gs_ptr, row, f, F)
        tl.store(y_ptr + residual * F + f, gx.to(y_ptr.dtype.element_ty), mask=inside)
        tl.store(y_ptr + skip * F + f, gs.to(y_ptr.dtype.element_ty), mask=inside)
        one += gx
        two += gs
    tl.store(sums + residual, tl.sum(one, 0))
    tl.store(sums + skip, tl.sum(two, 0))
