"""Prints the coefficients of src/kernel/simd/math.rs: Remez's exchange with 60 digits, the error
weighted by what it does to the result.
Run: python3 minimax.py (mpmath 1.3.0 and NumPy 2.4.6 made the committed ones)."""

import numpy as np
from mpmath import mp, mpf, matrix, lu_solve, atanh, erfc, expm1, log, pi, sqrt

mp.dps = 60


def remez(f, w, n, a, b, points=1200):
    """The n coefficients of the polynomial for f with the least largest |error * w| on [a, b]."""
    a, b = mpf(a), mpf(b)
    grid = [(a + b) / 2 - (b - a) / 2 * mp.cos(pi * i / points) for i in range(points + 1)]
    fs, ws = [f(x) for x in grid], [abs(w(x)) for x in grid]
    ref = [round(points * i / n) for i in range(n + 1)]
    for _ in range(30):
        m = matrix(n + 1, n + 1)
        v = matrix(n + 1, 1)
        for i, g in enumerate(ref):
            for k in range(n):
                m[i, k] = grid[g] ** k * ws[g]
            m[i, n] = (-1) ** i
            v[i] = fs[g] * ws[g]
        s = lu_solve(m, v)
        c = [s[k] for k in range(n)]
        e = [(y - sum(ck * x**k for k, ck in enumerate(c))) * wx for x, y, wx in zip(grid, fs, ws)]
        # the largest error between changes of sign
        runs, best = [], 0
        for i in range(1, len(grid)):
            if e[i] * e[best] < 0:
                runs.append(best)
                best = i
            elif abs(e[i]) > abs(e[best]):
                best = i
        runs.append(best)
        while len(runs) > n + 1:
            runs.pop(0 if abs(e[runs[0]]) < abs(e[runs[-1]]) else -1)
        if len(runs) < n + 1 or runs == ref:
            break
        ref = runs
    return c, max(abs(x) for x in e)


def fit(name, f, w, n, a, b, scalar):
    c, error = remez(f, w, n, a, b)
    c = [scalar(float(x)) for x in c]
    points = [mpf(a) + (mpf(b) - mpf(a)) * i / 3000 for i in range(3001)]
    rounded = max(abs(f(x) - sum(mpf(float(ck)) * x**k for k, ck in enumerate(c))) * abs(w(x)) for x in points)
    print(f"// {name}: error 2^{float(log(error, 2)):.1f}, rounded 2^{float(log(rounded, 2)):.1f}")
    print(", ".join(str(x) for x in c), flush=True)


def exp_q(r):
    r = mpf(r)
    if abs(r) < mpf(10) ** -12:
        return mpf(1) / 2 + r / 6
    return (expm1(r) - r) / r**2


def atanh_q(z):
    s = sqrt(z)
    return (2 * atanh(s) - 2 * s) / (s * z) if z > mpf(10) ** -15 else mpf(2) / 3 + 2 * z / 5


def normal_log(x):
    return log(erfc(x / sqrt(mpf(2))) / 2)


def softplus_q(v):
    """Its value at 0, the first coefficient, stands in math.rs."""
    t = mpf(v) + mpf(1) / 2
    return (t - log(1 + t)) / t**2 if t > mpf(10) ** -20 else mpf(1) / 2 - t / 3


def softplus_w(v):
    t = mpf(v) + mpf(1) / 2
    return t**2 / log(1 + t) if t else mpf(0)


if __name__ == "__main__":
    for scalar, exp, ln, normal, end, soft in ((np.float32, 6, 4, 9, "5.7", 9), (np.float64, 11, 7, 26, "8.5", 20)):
        print(scalar.__name__)
        fit("EXP", exp_q, lambda r: r**2 / expm1(r) if r else mpf(0), exp, "-0.29", "0.493", scalar)
        fit("LN", atanh_q, lambda z: sqrt(z) * z / (2 * atanh(sqrt(z))) if z else mpf(0), ln, 0, mpf("1.001") * (sqrt(mpf(2)) - 1) ** 2 / (sqrt(mpf(2)) + 1) ** 2, scalar)
        fit("NORMAL", normal_log, lambda x: erfc(x / sqrt(mpf(2))) / 2, normal, 0, end, scalar)
        fit("SOFTPLUS", softplus_q, softplus_w, soft, "-0.5", "0.5", scalar)
