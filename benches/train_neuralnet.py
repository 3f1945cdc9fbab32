"""The training of chapter 5.7.4 as the book does it in NumPy. `train_neuralnet.sh` compares its time with
the crate's. 784-50-10, 10,000 mini-batches of 100, rate 0.1. After each update it computes the loss
again, and in each epoch the accuracy on all 60,000 and 10,000 images.

Usage: train_neuralnet.py MNIST_FOLDER [f32|f64]. f64 uses the types that the book mixes: pixels and labels as
it loads them, weights in float64. The caller must limit NumPy to one thread."""

import gzip
import sys
import time

import numpy as np

folder, scalar = sys.argv[1], (sys.argv[2:] or ["f64"])[0]
dtype = np.float32 if scalar == "f32" else np.float64


def read(name, header):
    with gzip.open(f"{folder}/{name}.gz") as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)


def images(part):
    return read(f"{part}-images-idx3-ubyte", 16).reshape(-1, 784).astype(np.float32) / 255


def one_hot(part):
    return np.eye(10, dtype=dtype)[read(f"{part}-labels-idx1-ubyte", 8)]


def softmax(scores):
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return scores / scores.sum(axis=1, keepdims=True)


x_train, t_train, x_test, t_test = images("train"), one_hot("train"), images("t10k"), one_hot("t10k")
np.random.seed(0)
w1, b1 = (0.01 * np.random.randn(784, 50)).astype(dtype), np.zeros(50, dtype)
w2, b2 = (0.01 * np.random.randn(50, 10)).astype(dtype), np.zeros(10, dtype)


def predict(x):
    return np.dot(np.maximum(np.dot(x, w1) + b1, 0), w2) + b2


def accuracy(x, t):
    return np.mean(predict(x).argmax(axis=1) == t.argmax(axis=1))


start = time.perf_counter(), time.process_time()
for i in range(10_000):
    picks = np.random.choice(60_000, 100)
    x, t = x_train[picks], t_train[picks]
    a = np.dot(x, w1) + b1
    mask = a <= 0
    a[mask] = 0
    dy = (softmax(np.dot(a, w2) + b2) - t) / 100
    da = np.dot(dy, w2.T)
    da[mask] = 0
    w1 -= 0.1 * np.dot(x.T, da)
    b1 -= 0.1 * da.sum(axis=0)
    w2 -= 0.1 * np.dot(a.T, dy)
    b2 -= 0.1 * dy.sum(axis=0)
    y = softmax(predict(x))
    loss = -np.log(y[np.arange(100), t.argmax(axis=1)] + 1e-7).mean()
    if i % 600 == 0:
        print(accuracy(x_train, t_train), accuracy(x_test, t_test), file=sys.stderr)
wall, cpu = time.perf_counter() - start[0], time.process_time() - start[1]
print(f"numpy {scalar}: {wall:.2f} s, CPU {cpu:.2f} s; test accuracy {accuracy(x_test, t_test):.4f}")
