"""Times the training steps of `optimizers.rs` in PyTorch on one thread, with its fused Adam and with SGD. Prints the
least of many times, in ns of CPU time. Run: python3 optimizers.py"""

import time

import torch
from torch import nn

torch.set_num_threads(1)


def compare(name, steps, net, loss, x, t):
    optimizers = {
        "SGD": torch.optim.SGD(net.parameters(), lr=1e-6, fused=True),
        "Adam": torch.optim.Adam(net.parameters(), lr=1e-9, fused=True),
    }
    least = dict.fromkeys(optimizers, float("inf"))
    for _ in range(20):
        for kind, optimizer in optimizers.items():
            start = time.process_time()
            for _ in range(steps):
                optimizer.zero_grad()
                loss(net(x), t).backward()
                optimizer.step()
            least[kind] = min(least[kind], (time.process_time() - start) * 1e9 / steps)
    for kind, ns in least.items():
        print(f"{name}\t{kind}\t{ns:.0f} ns\t{ns / least['SGD']:.2f}")


for kind, dtype in (("f32", torch.float32), ("f64", torch.float64)):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(784, 50), nn.ReLU(), nn.Linear(50, 10)).to(dtype)
    x, t = torch.randn(100, 784, dtype=dtype), torch.arange(100) % 10
    compare(f"784-50-10, 100, {kind}", 40, net, nn.CrossEntropyLoss(), x, t)
    layers = nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1)
    net = nn.Sequential(*layers).to(dtype)
    x, t = torch.randn(32, 2, dtype=dtype), torch.randn(32, 1, dtype=dtype)
    compare(f"2-16-16-1, 32, {kind}", 300, net, nn.MSELoss(), x, t)
