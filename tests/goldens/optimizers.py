"""Writes optimizers.txt. Run: python3 optimizers.py > optimizers.txt (PyTorch 2.15.0 made the committed
file). Each line: kind, case, number of the step, numbers.

`net`: a net of 2-3-1 with sigmoid after both layers in float64. The loss is the sum of the outputs of three
samples. All parameters after steps 1, 101, ..., 1001, weights column after column. These are the cases of
PyTorch's own test of its optimizers in C++, and AdamW and NAdam.

`book`: 30 steps on x²/20 + y² from (-7, 2), as the optimizers of chapter 6 are written in the book.

`rate`: the learning rates of 200 steps, from 0.4. PyTorch computes some of them from the rate of the step
before, which adds up roundings, so its closed forms are taken here, except for OneCycleLR."""

import math
import warnings

import torch
from torch import optim
from torch.optim import lr_scheduler as schedules

warnings.filterwarnings("ignore")
# Else NAdam's product is a float32.
torch.set_default_dtype(torch.float64)


def line(kind, case, step, numbers):
    print(kind, case, step, " ".join(repr(float(v)) for v in numbers))


def net(case, optimizer, **settings):
    layers = torch.nn.Sequential(
        torch.nn.Linear(2, 3), torch.nn.Sigmoid(), torch.nn.Linear(3, 1), torch.nn.Sigmoid()
    )
    first = iter([-0.21, -0.50, -0.14, -0.34, -0.25, 0.70, -0.11, -0.30, 0.69, -0.05, -0.39, -0.28, -0.07])
    with torch.no_grad():
        for p in layers.parameters():
            numbers = [next(first) for _ in range(p.numel())]
            p.copy_(torch.tensor(numbers).reshape(p.shape))
    x = torch.tensor([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])
    optimizer = optimizer(layers.parameters(), **settings)
    for step in range(1, 1002):
        optimizer.zero_grad()
        layers(x).sum().backward()
        optimizer.step()
        if step % 100 == 1:
            numbers = [v for p in layers.parameters() for v in p.detach().t().reshape(-1).tolist()]
            line("net", case, step, numbers)


net("adam", optim.Adam, lr=1.0)
net("adam-decay", optim.Adam, lr=1.0, weight_decay=1e-2)
net("amsgrad", optim.Adam, lr=1.0, weight_decay=1e-6, amsgrad=True)
net("adamw", optim.AdamW, lr=1.0)
net("nadam", optim.NAdam, lr=1.0)
net("nadam-decay", optim.NAdam, lr=1.0, weight_decay=1e-2)
net("nadamw", optim.NAdam, lr=1.0, weight_decay=1e-2, decoupled_weight_decay=True)
net("adagrad", optim.Adagrad, lr=1.0)
net("adagrad-decay", optim.Adagrad, lr=1.0, weight_decay=1e-2)
net("adagrad-slowing", optim.Adagrad, lr=1.0, weight_decay=1e-6, lr_decay=1e-3)
net("rmsprop", optim.RMSprop, lr=0.1)
net("rmsprop-decay", optim.RMSprop, lr=0.1, weight_decay=1e-2)
net("rmsprop-momentum", optim.RMSprop, lr=0.1, weight_decay=1e-6, momentum=0.9)
net("rmsprop-centred", optim.RMSprop, lr=0.1, weight_decay=1e-6, centered=True)
net("rmsprop-both", optim.RMSprop, lr=0.1, weight_decay=1e-6, centered=True, momentum=0.9)
net("sgd", optim.SGD, lr=0.1)
net("sgd-decay", optim.SGD, lr=0.1, weight_decay=1e-2)
net("sgd-momentum", optim.SGD, lr=0.1, weight_decay=1e-2, momentum=0.9)
net("sgd-dampening", optim.SGD, lr=0.1, momentum=0.9, dampening=0.5)
net("sgd-nesterov", optim.SGD, lr=0.1, weight_decay=1e-6, momentum=0.9, nesterov=True)


def book(case, update):
    """`update(w, g, s, t)`: the parameter after step t, from its gradient and a list of two states."""
    at, state = [-7.0, 2.0], [[0.0, 0.0], [0.0, 0.0]]
    for t in range(1, 31):
        gradient = [at[0] / 10.0, 2.0 * at[1]]
        at = [update(w, g, s, t) for w, g, s in zip(at, gradient, state)]
        line("book", case, t, at)


def sgd(w, g, s, t):
    return w - 0.95 * g


def momentum(w, g, s, t):
    s[0] = 0.9 * s[0] - 0.1 * g
    return w + s[0]


def nesterov(w, g, s, t):
    s[0] *= 0.9
    s[0] -= 0.1 * g
    w += 0.9 * 0.9 * s[0]
    return w - (1 + 0.9) * 0.1 * g


def adagrad(w, g, s, t):
    s[0] += g * g
    return w - 1.5 * g / (math.sqrt(s[0]) + 1e-7)


def rmsprop(w, g, s, t):
    s[0] *= 0.99
    s[0] += (1 - 0.99) * g * g
    return w - 0.1 * g / (math.sqrt(s[0]) + 1e-7)


def adam(w, g, s, t):
    rate = 0.3 * math.sqrt(1.0 - 0.999**t) / (1.0 - 0.9**t)
    s[0] += (1 - 0.9) * (g - s[0])
    s[1] += (1 - 0.999) * (g**2 - s[1])
    return w - rate * s[0] / (math.sqrt(s[1]) + 1e-7)


for function in (sgd, momentum, nesterov, adagrad, rmsprop, adam):
    book(function.__name__, function)


def rates(make):
    """The learning rates of 200 steps."""
    optimizer = optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.4)
    schedule, found = make(optimizer), []
    for step in range(200):
        schedule.last_epoch = step
        if hasattr(schedule, "_get_closed_form_lr"):
            found += schedule._get_closed_form_lr()
        else:
            found += schedule.get_lr()
    return found


step = rates(lambda o: schedules.StepLR(o, 30, 0.1))
exponential = rates(lambda o: schedules.ExponentialLR(o, 0.95))
cosine = rates(lambda o: schedules.CosineAnnealingLR(o, 200, 0.004))
cosine_to_0 = rates(lambda o: schedules.CosineAnnealingLR(o, 170))
warm_up = rates(lambda o: schedules.LinearLR(o, 0.1, 1.0, 30))
line("rate", "step", 0, step)
line("rate", "exponential", 0, exponential)
line("rate", "cosine", 0, cosine)
line("rate", "warm-up", 0, warm_up)
line("rate", "one-cycle", 0, rates(lambda o: schedules.OneCycleLR(o, 0.4, 200, cycle_momentum=False)))
line("rate", "then", 0, warm_up[:30] + cosine_to_0[:170])
line("rate", "chained", 0, [a * b / 0.4 for a, b in zip(step, exponential)])
