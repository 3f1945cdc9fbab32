"""Compares training steps and predictions of three convolutional nets with PyTorch on one thread, interleaved, in both
of PyTorch's layouts. Prints a table; a ratio is chainrule's time over the better layout's. Run:

    cargo bench --bench convnet --no-run   # prints the path of the program
    taskset -c 0 python3 benches/convnet.py PROGRAM [ROUNDS]
"""

import collections
import statistics
import subprocess
import sys
import time

import torch
from torch import nn

torch.set_num_threads(1)
program, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3


def conv(*sizes):
    return nn.Sequential(nn.Conv2d(*sizes), nn.ReLU(), nn.MaxPool2d(2))


NETS = {
    "8-16": lambda: nn.Sequential(conv(1, 8, 3), conv(8, 16, 3), nn.Flatten(), nn.Linear(400, 10)),
    "SimpleConvNet": lambda: nn.Sequential(
        conv(1, 30, 5), nn.Flatten(), nn.Linear(4320, 100), nn.ReLU(), nn.Linear(100, 10)
    ),
    "LeNet-5": lambda: nn.Sequential(
        conv(1, 6, 5), conv(6, 16, 5), nn.Flatten(),
        nn.Linear(256, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    ),
}


def best(f):
    f()
    begin, least = time.perf_counter(), float("inf")
    while time.perf_counter() - begin < 0.2:
        start = time.thread_time()
        f()
        least = min(least, time.thread_time() - start)
    return least * 1e9


def measure(name, scalar, batch, what, layout):
    net = NETS[name]().to(dtype=scalar, memory_format=layout)
    x = torch.rand(batch, 1, 28, 28, dtype=scalar).to(memory_format=layout)
    labels = torch.arange(batch) % 10
    sgd = torch.optim.SGD(net.parameters(), lr=1e-3)

    def train():
        sgd.zero_grad()
        nn.functional.cross_entropy(net(x), labels).backward()
        sgd.step()

    def predict():
        with torch.inference_mode():
            net(x)

    return best(train if what == "train" else predict)


own, peers = collections.defaultdict(list), collections.defaultdict(list)
for _ in range(rounds):
    for line in subprocess.run([program, "--bench"], capture_output=True, text=True, check=True).stdout.splitlines():
        *key, ns = line.split()
        own[tuple(key)].append(float(ns))
    for key in own:
        name, scalar, batch, what = key
        kind = {"f32": torch.float32, "f64": torch.float64}[scalar]
        for layout in (torch.contiguous_format, torch.channels_last):
            peers[key, layout].append(measure(name, kind, int(batch), what, layout))

print(f"Least CPU times of {rounds} rounds, PyTorch {torch.__version__}, one thread.\n")
print("| net | type | batch | | PyTorch, contiguous | channels last | chainrule | ratio |")
print("|---|---|---|---|---|---|---|---|")
for key in own:
    mine = min(own[key])
    torches = [min(peers[key, layout]) for layout in (torch.contiguous_format, torch.channels_last)]
    cells = [*key, *(f"{ns / 1e3:.0f} µs" for ns in (*torches, mine)), f"{mine / min(torches):.2f}"]
    print("|", " | ".join(cells), "|")
