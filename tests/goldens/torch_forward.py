"""Writes torch_forward.txt: outputs of layers and losses, and gradients of losses, by PyTorch in float64.
Run: python3 torch_forward.py > torch_forward.txt (torch 2.15.0 on a CPU made the committed file).

Each line: case, name of an array, its numbers in C order. A batch of rows has the same order of numbers as a batch
of columns in nalgebra."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(6)
torch.set_default_dtype(torch.float64)


def line(case, **arrays):
    for name, array in arrays.items():
        array = torch.as_tensor(array, dtype=torch.float64).detach().reshape(-1)
        print(case, name, " ".join(repr(v) for v in array.tolist()))


edges = torch.tensor(
    [-1000, -40, -3.0, -1.5, -1.0, -1e-3, -1e-300, -0.0, 0.0, 1e-300, 1e-3, 0.3, 1.0, 1.5, 3.0, 40, 1000]
)
functions = {
    "leaky-relu": nn.LeakyReLU(),
    "leaky-relu-0.3": nn.LeakyReLU(0.3),
    "prelu": nn.PReLU(),
    "elu": nn.ELU(),
    "elu-0.5": nn.ELU(0.5),
    "selu": nn.SELU(),
    "silu": nn.SiLU(),
    "gelu-tanh": nn.GELU(approximate="tanh"),
    "hard-sigmoid": nn.Hardsigmoid(),
    "hard-tanh": nn.Hardtanh(),
}
for name, function in functions.items():
    x = edges.clone().requires_grad_()
    y = function(x)
    y.sum().backward()
    line(name, x=x, y=y, slope=x.grad)

rows = torch.randn(5, 4) * 3
line("log-softmax", x=rows, y=F.log_softmax(rows, dim=1))

w, b = torch.randn(4), torch.randn(4)
line("norm", x=rows, w=w, b=b)
line("layer-norm", y=F.layer_norm(rows, (4,), w, b))
line("layer-norm-eps", y=F.layer_norm(rows, (4,), w, b, eps=0.1))
line("rms-norm", y=F.rms_norm(rows, (4,), w))
norm = nn.BatchNorm1d(4)
norm.weight.data, norm.bias.data = w, b
line("batch-norm", trained=norm(rows), mean=norm.running_mean, variance=norm.running_var)
norm(rows + 1)
line("batch-norm-later", mean=norm.running_mean, variance=norm.running_var, predicted=norm.eval()(rows))


def loss(case, function, y, t, **more):
    y = y.clone().requires_grad_()
    value = function(y, t)
    value.backward()
    line(case, y=y, t=t, loss=value, dy=y.grad, **more)


targets = torch.randn(5, 4)
loss("mean-squared-error", nn.MSELoss(), rows, targets)
loss("absolute-error", nn.L1Loss(), rows, targets)
loss("huber", nn.HuberLoss(), rows, targets)
loss("huber-3", nn.HuberLoss(delta=3.0), rows, targets)
loss("binary-soft", nn.BCEWithLogitsLoss(), rows, torch.rand(5, 4))
loss("binary-labels", nn.BCEWithLogitsLoss(), torch.tensor([[-1000.0], [-3], [0], [2], [1000]]), torch.tensor([[0.0], [1], [1], [0], [0]]))
# A weight for each sample: PyTorch has no such setting, so the definition is written out.
weights = torch.tensor([1.0, 0.0, 0.25, 3.0, 2.0])


def weighted(y, t):
    return (F.mse_loss(y, t, reduction="none").mean(dim=1) * weights).sum() / weights.sum()


loss("weighted", weighted, rows, targets, weights=weights)

labels = torch.tensor([3, 0, 1, 1, 2])
class_weights = torch.tensor([0.5, 1.0, 2.0, 0.0])
cases = {
    "cross-entropy": {},
    "cross-entropy-smooth": {"label_smoothing": 0.1},
    "cross-entropy-weighted": {"weight": class_weights},
    "cross-entropy-ignored": {"ignore_index": 1},
    "cross-entropy-all": {"weight": class_weights, "label_smoothing": 0.2, "ignore_index": 2},
}
for name, settings in cases.items():
    loss(name, nn.CrossEntropyLoss(**settings), rows, labels)
loss("cross-entropy-soft", nn.CrossEntropyLoss(label_smoothing=0.3), rows, torch.softmax(targets, dim=1))
