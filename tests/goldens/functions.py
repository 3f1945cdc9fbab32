"""Writes math.txt: values of the functions of src/kernel/simd/math.rs in f64, by mpmath with 60 digits; hard
points, points around every seam of a computation, and random ones.
Run: python3 functions.py [points] > math.txt (mpmath 1.3.0, 300 points a function, made the committed file).

Each line: function, the bits of x, the bits of f(x) rounded, and by how much of its last place
rounding has made it smaller."""

import random
import struct
import sys

import mpmath
from mpmath import mp, mpf

mp.dps = 60
random.seed(5)
POINTS = int(sys.argv[1]) if len(sys.argv) > 1 else 300
LN2 = float(mpmath.log(2))


def bits(x):
    return struct.unpack("<Q", struct.pack("<d", x))[0]


def number(b):
    return struct.unpack("<d", struct.pack("<Q", b))[0]


def sigmoid(x):
    return 1 / (1 + mpmath.exp(-x))


def elu(x):
    return x if x > 0 else mpmath.expm1(x)


def normal(x):
    """One more, because the error of the distribution is one of 1."""
    return 1 + mpmath.ncdf(x)


def softplus(x):
    return max(x, 0) + mpmath.log1p(mpmath.exp(-abs(x)))


def small(x):
    """Where 60 digits of 1 + x would lose those of x."""
    return abs(x) < mpf(2) ** -60


# name: the function, its first terms near 0, uniform range, seams, values at -∞ and ∞
exp_seams = [(k + 0.5845) * LN2 for k in range(-4, 5)] + [709.78, 709.79, -708.4, -744.4, -745.14, -746.0, 710.0]
FUNCTIONS = {
    "exp": (mpmath.exp, lambda x: 1 + x, (-750, 712), exp_seams, (0.0, float("inf"))),
    "tanh": (mpmath.tanh, lambda x: x - x**3 / 3, (-20, 20), [(k + 0.71) * LN2 / 2 for k in range(5)] + [0.5493061443340549, 19.06, 19.1], (-1.0, 1.0)),
    "sigmoid": (sigmoid, lambda x: mpf(1) / 2 + x / 4, (-746, 45), [-a for a in exp_seams] + [-36.4, -37.1, 37.4], (0.0, 1.0)),
    "ln_1p": (mpmath.log1p, lambda x: x - x**2 / 2, (-1, 50), [2.0 ** (k + 0.5) - 1 for k in range(-4, 5)] + [1.0, 2.0**-52, 2.0**53, 2.0**54], (float("nan"), float("inf"))),
    "normal": (normal, lambda x: mpf(3) / 2 + x / mpmath.sqrt(2 * mp.pi), (-9, 9), [0.5, 1.0, 2.0, 8.2, 8.3, 8.5], (1.0, 2.0)),
    "elu": (elu, lambda x: x if x > 0 else x + x**2 / 2, (-40, 4), [-abs(a) for a in exp_seams] + [-36.7, -37.5], (-1.0, float("inf"))),
    "softplus": (softplus, lambda x: mpmath.log(2) + x / 2, (-750, 45), exp_seams + [0.6931471805599453, 36.4, 37.1], (0.0, float("inf"))),
}


def rounded(y):
    """The nearest f64, and what is missing in its last places; mpmath knows no subnormal numbers."""
    if y == 0:
        return 0.0, 0.0
    exponent = max(int(mpmath.floor(mpmath.log(abs(y), 2))), -1022) - 52
    if abs(y) >= mpf(2) ** 1024 - mpf(2) ** 970:
        return float("inf") if y > 0 else float("-inf"), 0.0
    n = int(mpmath.nint(mpmath.ldexp(y, -exponent)))
    nearest = float(mpmath.ldexp(mpf(n), exponent)) if exponent > -1074 else n * 5e-324
    return nearest, float(mpmath.ldexp(y, -exponent) - n)


for name, (f, near, (low, high), seams, ends) in FUNCTIONS.items():
    xs = [a for b in (5e-324, 1.5e-323, 2.2e-308, 1e-300, 1e-155, 1e-20, 2.0**-54, 2.0**-53, 1e-9, 0.1, 1.0, 30.0, 1e5, 1e300, 1.7976931348623157e308) for a in (b, -b)]
    for s in seams:
        for t in (s, -s):
            xs += [t] + [number(bits(t) + k) for k in (1, 2, 1000, 1 << 40)] + [number(bits(t) - k) for k in (1, 2, 1000, 1 << 40) if bits(t) & ~(1 << 63) >= k]
    xs += [random.uniform(low, high) for _ in range(POINTS // 3)]
    xs += [random.choice((-1, 1)) * 2.0 ** random.uniform(-34, 6) for _ in range(POINTS // 3)]
    xs += [random.gauss(0, 1) for _ in range(POINTS // 3)]
    out = []
    for x in xs:
        if name == "exp" and x > 1000:
            y, rest = float("inf"), 0.0
        elif name == "ln_1p" and x <= -1:
            y, rest = float("nan") if x < -1 else float("-inf"), 0.0
        elif name in ("exp", "sigmoid") and x < -2000:
            y, rest = 0.0, 0.0
        elif small(mpf(x)):
            y, rest = rounded(near(mpf(x)))
        else:
            # e to a large number is not, and far out nothing is missing
            y, rest = rounded(f(mpf(x if name in ("ln_1p", "elu", "softplus") else max(min(x, 1e4), -1e4))))
        out.append((x, y, rest))
    origin = {"exp": 1.0, "sigmoid": 0.5, "softplus": LN2, "normal": 1.5}.get(name)
    out += [(s, s if origin is None else origin, 0.0) for s in (0.0, -0.0)]
    out += [(float("-inf"), ends[0], 0.0), (float("inf"), ends[1], 0.0), (float("nan"), float("nan"), 0.0)]
    for x, y, rest in out:
        print(name, f"{bits(x):x}", f"{bits(y):x}" if y == y else "nan", f"{rest:.3f}")
