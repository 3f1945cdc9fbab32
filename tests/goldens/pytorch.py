"""Nets of PyTorch as safetensors files, with inputs x and outputs y.

`pytorch.py write` writes the files of tests/goldens/pytorch. `pytorch.py check DIR` loads the files in DIR with
strict=True and compares outputs: f32 within 1e-6, f64 within 1e-12.
"""

import pathlib
import sys

import torch
from safetensors.torch import load_file, save_file
from torch import nn


class Named(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 5)
        self.last = nn.Linear(5, 2)

    def forward(self, x):
        return self.last(torch.relu(self.first(x)))


NETS = {
    "mlp": (3, lambda: nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))),
    "thin": (1, lambda: nn.Sequential(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 1))),
    "named": (3, Named),
    "nested": (3, lambda: nn.Sequential(nn.Sequential(nn.Linear(3, 4), nn.Sigmoid()), nn.Linear(4, 2))),
    "norms": (3, lambda: nn.Sequential(
        nn.Linear(3, 5), nn.BatchNorm1d(5), nn.LeakyReLU(), nn.LayerNorm(5), nn.Linear(5, 2))),
    "conv": (72, lambda: nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(27, 2))),
}
SHAPES = {"conv": (2, 6, 6)}
TYPES = {"f32": torch.float32, "f64": torch.float64, "f16": torch.float16, "bf16": torch.bfloat16}
FILES = ["mlp_f32", "mlp_f64", "mlp_f16", "mlp_bf16", "thin_f32", "named_f32", "nested_f64", "conv_f32", "norms_f32"]
SAMPLES = 4


def write():
    torch.manual_seed(0)
    for name in FILES:
        net, kind = name.split("_")
        features, make = NETS[net]
        wide = torch.float64 if kind == "f64" else torch.float32
        module = make().to(TYPES[kind])
        # Running statistics that are not the first ones.
        for _ in range(3 if net == "norms" else 0):
            module(3 * torch.randn(8, features))
        module.eval()
        state = {f"net.{key}": value.clone() for key, value in module.state_dict().items()}
        x = torch.randn(SAMPLES, features, dtype=wide)
        with torch.no_grad():
            y = module.to(wide)(x.reshape(SAMPLES, *SHAPES.get(net, (-1,))))
        save_file({**state, "case.x": x, "case.y": y}, FOLDER / f"{name}.safetensors")


def check(folder):
    for path in sorted(folder.glob("*.safetensors")):
        net, kind = path.stem.split("_")
        tensors = load_file(path)
        module = NETS[net][1]().to(TYPES[kind]).eval()
        state = {key[4:]: value for key, value in tensors.items() if key.startswith("net.")}
        module.load_state_dict(state, strict=True)
        with torch.no_grad():
            y = module(tensors["case.x"].reshape(SAMPLES, *SHAPES.get(net, (-1,))))
            error = (y - tensors["case.y"]).abs().max().item()
        assert error <= {"f32": 1e-6, "f64": 1e-12}[kind], (path, error)
        print(f"{path.stem}: strict, outputs within {error:.1e}")


FOLDER = pathlib.Path(__file__).parent / "pytorch"
if __name__ == "__main__":
    write() if sys.argv[1] == "write" else check(pathlib.Path(sys.argv[2]))
