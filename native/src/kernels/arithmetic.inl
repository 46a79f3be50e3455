// Functions of one vector: what activations are made of.

// PReLU for slopes of at most 1, which is what integer layers have.
inline F32 gentle_prelu(F32 x, F32 slope) { return max(mul(x, slope), x); }

// The value that a kept sum stands for.
inline F32 kept_value(I32 sum, F32 scale, F32 bias, F32 slope) { return gentle_prelu(fma(to_float(sum), scale, bias), slope); }

// exp by 2^n * exp(r), |r| <= ln 2 / 2, the latter by its series to r^7 (the next term is below 5e-9).
inline F32 exponential(F32 x) {
  x = min(max(x, set(-87)), set(87));
  const F32 n = round(mul(x, set(1.44269504f)));
  F32 r = fma(n, set(-0.693359375f), x);  // ln 2 in two parts, so that n ln 2 loses nothing
  r = fma(n, set(2.12194440e-4f), r);
  F32 series = fma(set(1.0f / 5040), r, set(1.0f / 720));
  series = fma(series, r, set(1.0f / 120));
  series = fma(series, r, set(1.0f / 24));
  series = fma(series, r, set(1.0f / 6));
  series = fma(series, r, set(0.5f));
  series = fma(series, r, set(1));
  series = fma(series, r, set(1));
  return mul(series, power_of_two(n));
}

inline F32 sigmoid(F32 x) { return div(set(1), add(set(1), exponential(sub(set(0), x)))); }
inline F32 hyperbolic_tangent(F32 x) { return fma(set(2), sigmoid(add(x, x)), set(-1)); }
