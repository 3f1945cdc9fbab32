"""Times Jacobians and Hessians by torch.func, to compare with benches/calculus.rs: the same nets, one thread, f32."""

import time

import torch
from torch import nn
from torch.func import functional_call, hessian, jacfwd, jacrev, vmap

torch.set_num_threads(1)


def net(*sizes):
    layers = []
    for a, b in zip(sizes, sizes[1:]):
        layers += [nn.Linear(a, b), nn.Tanh()]
    return nn.Sequential(*layers[:-1])


def best(name, f):
    for _ in range(10):
        f()
    least = float("inf")
    for _ in range(30):
        start = time.perf_counter()
        for _ in range(10):
            f()
        least = min(least, (time.perf_counter() - start) / 10)
    print(f"torch {name:32} {least * 1e6:10.1f} µs")


wide, x = net(3, 64, 5), torch.randn(128, 3)
weights = dict(wide.named_parameters())


def call(x):
    return functional_call(wide, weights, (x,))


with torch.no_grad():
    best("3-64-5, 128: vmap(jacrev)", lambda: vmap(jacrev(call))(x))
    best("3-64-5, 128: vmap(jacfwd)", lambda: vmap(jacfwd(call))(x))
    tiny, at = net(8, 16, 16, 4), torch.randn(8)
    best("8-16-16-4: predict", lambda: tiny(at))
    best("8-16-16-4: jacrev", lambda: jacrev(tiny)(at))
    best("8-16-16-4: hessian of one output", lambda: hessian(lambda x: tiny(x)[1])(at))
