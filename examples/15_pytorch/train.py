"""Trains a 64-32-10 net on the 8×8 digits in PyTorch. Writes digits.safetensors, and predicted.txt with the predicted
class of each of the 360 test digits.

`train.py FILE` loads that file with strict=True instead, and counts equal predictions.
"""

import gzip
import pathlib
import sys

import numpy
import torch
from safetensors.torch import load_file, save_file
from torch import nn

HERE = pathlib.Path(__file__).parent
DATA = HERE.parent / "data" / "digits"


def read(name, header):
    return numpy.frombuffer(gzip.decompress((DATA / name).read_bytes()), numpy.uint8, offset=header)


def digits(part):
    images = torch.tensor(read(f"{part}-images-idx3-ubyte.gz", 16).reshape(-1, 64)).float() / 255
    return images, torch.tensor(read(f"{part}-labels-idx1-ubyte.gz", 8)).long()


torch.manual_seed(0)
net = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
x, labels = digits("t10k")
if len(sys.argv) == 2:
    net.load_state_dict(load_file(sys.argv[1]), strict=True)
    predicted = "".join(str(digit.item()) for digit in net(x).argmax(1))
    same = sum(a == b for a, b in zip(predicted, (HERE / "predicted.txt").read_text()))
    print(f"{same} of {len(x)} predictions are equal")
else:
    optimizer = torch.optim.Adam(net.parameters(), 0.01)
    train, targets = digits("train")
    for epoch in range(60):
        for batch in torch.randperm(len(train)).split(100):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(train[batch]), targets[batch]).backward()
            optimizer.step()
    predicted = net(x).argmax(1)
    print(f"test accuracy {(predicted == labels).float().mean():.4f}")
    save_file(net.state_dict(), HERE / "digits.safetensors")
    (HERE / "predicted.txt").write_text("".join(str(digit.item()) for digit in predicted) + "\n")
