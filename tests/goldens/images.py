"""Writes images.txt: outputs and gradients of the image layers, by PyTorch in float64. Run:
python3 images.py > images.txt (PyTorch 2.15 made the committed file).

Each line: case, name of an array, its numbers in C order."""

import torch
import torch.nn.functional as F

torch.manual_seed(7)


def line(case, **arrays):
    for name, array in arrays.items():
        print(case, name, " ".join(repr(v) for v in array.detach().flatten().tolist()))


def draw(*shape):
    return torch.randn(*shape, dtype=torch.float64).mul(1024).round().div(1024)


def check(case, function, x, **parameters):
    leaves = [x, *parameters.values()]
    for leaf in leaves:
        leaf.requires_grad_()
    y = function(x, *parameters.values())
    dy = draw(*y.shape)
    y.backward(dy)
    gradients = {"d" + name: value.grad for name, value in parameters.items()}
    line(case, x=x, y=y, dy=dy, dx=x.grad, **parameters, **gradients)


def conv(case, x, outputs, k, groups=1, dims=2, **settings):
    w = draw(outputs, x.shape[1] // groups, *[k] * dims)
    function = F.conv2d if dims == 2 else F.conv1d
    check(case, lambda x, w, b: function(x, w, b, groups=groups, **settings), x, w=w, b=draw(outputs))


conv("conv", draw(2, 2, 6, 5), 3, 3)
conv("conv-stride-padding", draw(2, 2, 5, 6), 3, 3, stride=2, padding=1)
conv("conv-dilation", draw(2, 3, 7, 6), 2, 3, padding=2, dilation=2)
conv("conv-leaves-pixels", draw(1, 1, 7, 8), 2, 2, stride=3)
conv("depthwise", draw(2, 3, 6, 5), 3, 3, groups=3, stride=2, padding=1)
conv("conv1d", draw(2, 2, 11), 3, 4, dims=1, stride=2, padding=1, dilation=2)

ties = draw(2, 2, 6, 7).mul(4).round()  # small integers: many windows have two largest numbers
check("max-2", lambda x: F.max_pool2d(x, 2), ties.clone())
check("max-3-2-1", lambda x: F.max_pool2d(x, 3, 2, 1), ties.clone())
check("avg-2", lambda x: F.avg_pool2d(x, 2), draw(2, 2, 6, 7))
check("avg-3-2-1", lambda x: F.avg_pool2d(x, 3, 2, 1), draw(2, 2, 6, 7))
check("global", lambda x: x.mean((2, 3)), draw(2, 2, 3, 4))
check("dense", lambda x, w, b: F.linear(x.flatten(1), w, b), draw(2, 2, 3, 4), w=draw(5, 24), b=draw(5))

mean, var = torch.zeros(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64)
batch_norm = lambda x, w, b: F.batch_norm(x, mean, var, w, b, training=True)
check("batch-norm", batch_norm, draw(3, 2, 3, 4), w=draw(2), b=draw(2))
line("batch-norm", mean=mean, var=var)
mean, var = draw(2), draw(2).square()
batch_norm_of_prediction = lambda x, w, b: F.batch_norm(x, mean, var, w, b)
check("batch-norm-predicts", batch_norm_of_prediction, draw(3, 2, 3, 4), w=draw(2), b=draw(2))
line("batch-norm-predicts", mean=mean, var=var)
