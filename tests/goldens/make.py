"""Writes forward.txt: outputs of every layer and loss, computed by NumPy in the chapter's notation,
one sample a row. Run: python3 make.py > forward.txt (NumPy 2.4.6 made the committed file).

Each line: case, name of an array, its numbers in C order, by which a batch of rows has the same
order of numbers as a batch of columns in nalgebra. Where float64 would lose digits, exact numbers of
the module `decimal` are rounded to float64 once."""

from decimal import Decimal, getcontext

import numpy as np

getcontext().prec = 700
# Machin: π = 16 arctan 1/5 - 4 arctan 1/239.
PI = sum(
    sign * m * Decimal((-1) ** k) / ((2 * k + 1) * Decimal(n) ** (2 * k + 1))
    for sign, m, n in ((1, 16, 5), (-1, 4, 239))
    for k in range(520)
)
rng = np.random.RandomState(5)


def line(case, **arrays):
    for name, array in arrays.items():
        numbers = " ".join(repr(float(v)) for v in np.asarray(array, dtype=np.float64).ravel())
        print(case, name, numbers)


def exact(function, x):
    return np.array([float(function(Decimal(float(v)))) for v in np.ravel(x)]).reshape(np.shape(x))


def softmax(x):
    rows = [[(Decimal(float(v)) - Decimal(float(max(row)))).exp() for v in row] for row in x]
    return np.array([[float(v / sum(row)) for v in row] for row in rows])


def cross_entropy(x, t):
    total = Decimal(0)
    for row, target in zip(x, t):
        row = [Decimal(float(v)) for v in row]
        top = max(row)
        log_sum = top + sum((v - top).exp() for v in row).ln()
        total += sum(Decimal(float(p)) * (log_sum - v) for v, p in zip(row, target))
    return float(total / len(x))


def sigmoid(v):
    return 1 / (1 + (-v).exp())


def tanh(v):
    e = (-2 * abs(v)).exp()
    return ((1 - e) / (1 + e)).copy_sign(v)


def erf(v):
    term = total = v
    n = 1
    while abs(term) > abs(total) * Decimal("1e-500"):
        n += 2
        term *= 2 * v * v / n
        total += term
    return 2 / PI.sqrt() * (-v * v).exp() * total


def gelu(v):
    if abs(v) > 40:
        return max(v, Decimal(0))
    return v * (1 + erf(v / Decimal(2).sqrt())) / 2


def softplus(v):
    return max(v, Decimal(0)) + (1 + (-abs(v)).exp()).ln()


edges = [-1000, -745, -40, -1.5, -1e-3, -1e-300, -0.0, 0.0, 1e-300, 1e-3, 0.3, 1.5, 40, 745, 1000]

x, w, b = rng.randn(4, 3), rng.randn(3, 5), rng.randn(5)
line("affine", x=x, w=w, b=b, y=np.dot(x, w) + b)
x, w, b = rng.randn(40, 30), rng.randn(30, 20), rng.randn(20)
line("affine-large", x=x, w=w, b=b, y=np.dot(x, w) + b)
line("relu", x=edges, y=np.maximum(edges, 0))
line("sigmoid", x=edges, y=exact(sigmoid, edges))
line("tanh", x=edges, y=exact(tanh, edges))
line("gelu", x=edges, y=exact(gelu, edges))
line("softplus", x=edges, y=exact(softplus, edges))
line("identity", x=edges, y=edges)
x = np.concatenate([rng.randn(3, 4) * 5, [[1000, -1000, 0, 999], [-1000] * 4]])
line("softmax", x=x, y=softmax(x))

labels = [3, 0, 1, 1, 2]
one_hot = np.eye(4)[labels]
soft = rng.rand(5, 4)
soft /= soft.sum(axis=1, keepdims=True)
for name, t in ("labels", one_hot), ("soft", soft):
    dy = (softmax(x) - t) / len(x)
    line(f"softmax-cross-entropy-{name}", x=x, t=t, loss=cross_entropy(x, t), dy=dy)
line("softmax-cross-entropy-numbers", labels=labels)
x, t = rng.randn(6, 3) * 1000, rng.randn(6, 3)
line("sum-squared-error", x=x, t=t, loss=0.5 * np.sum((x - t) ** 2) / len(x), dy=(x - t) / len(x))
