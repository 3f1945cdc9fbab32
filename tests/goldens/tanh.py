"""Prints the table of src/kernel/simd/tanh.rs: for each interval a centre, chosen such that tanh of it is
nearly an f32, and the polynomial around it; by Remez's exchange, as in minimax.py.
Run: python3 tanh.py"""

import numpy as np
from minimax import mpf, remez
from mpmath import log, mp, tanh

mp.dps = 40


def f32(x):
    return float(np.float32(float(x)))


# The last ends at 10 in use; fitted to 11, its centre lies where tanh is as good as 1.
starts = [0.0] + [2.0**e * (1 + m / 4) for e in range(-2, 3) for m in range(4)] + [8.0]
worst = 0
for a, b in zip(starts, starts[1:] + [11.0]):
    if a == 0:
        # x + x²·(…): exact where x is small
        c = 0.0
        more, _ = remez(lambda x: (tanh(x) - x) / x**2 if x > 1e-10 else -x / 3, lambda x: x**2 / tanh(x) if x else mpf(0), 5, 0, b, 400)
        row = [0.0, 1.0] + [f32(v) for v in more]
    else:
        tries = [f32((a + b) / 2 + (b - a) * k / 40000) for k in range(-2000, 2001)]
        c = min(tries, key=lambda c: abs(tanh(mpf(c)) - f32(tanh(mpf(c)))))
        t = tanh(mpf(c))
        more, _ = remez(lambda r: (tanh(c + r) - t) / r if abs(r) > 1e-12 else 1 - t * t, lambda r: abs(r) / tanh(c + r), 6, a - c, b - c, 400)
        row = [f32(t)] + [f32(v) for v in more]
    for i in range(400):
        x = mpf(a) + (mpf(b) - a) * (2 * i + 1) / 800
        worst = max(worst, abs(sum(v * (x - c) ** k for k, v in enumerate(row)) / tanh(x) - 1))
    print("    [" + ", ".join(str(np.float32(v)) for v in [c] + row) + "],")
print(f"// error 2^{float(log(worst, 2)):.1f}")
