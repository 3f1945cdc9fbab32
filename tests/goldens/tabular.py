"""Tables for examples/12_tabular, and what scikit-learn's MLPClassifier reaches on them.

    python tests/goldens/tabular.py          # prints the accuracies
    python tests/goldens/tabular.py --write  # writes examples/data/tables/*.csv

Made with scikit-learn 1.9.1. The folds are those of `chainrule::data::stratified_folds`.
"""

import csv
import pathlib
import sys

import numpy as np
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

FOLDER = pathlib.Path(__file__).parents[2] / "examples" / "data" / "tables"
SETS = {"breast_cancer": load_breast_cancer, "wine": load_wine}
MASK = (1 << 64) - 1


def mix(word):
    word = (word + 0x9E3779B97F4A7C15) & MASK
    word = ((word ^ word >> 30) * 0xBF58476D1CE4E5B9) & MASK
    word = ((word ^ word >> 27) * 0x94D049BB133111EB) & MASK
    return word ^ word >> 31


def shuffle(samples, seed):
    """`chainrule::data::Shuffle`."""
    key = mix((mix((mix(seed) + 0x6F72646572737365) & MASK)) & MASK)
    bits = (samples - 1).bit_length()
    order = []
    for number in range(samples):
        while True:
            high_bits, low_bits = bits // 2, bits - bits // 2
            high, low = number >> low_bits, number & (1 << low_bits) - 1
            for step in range(8 + 2 * (24 // max(bits, 1))):
                mixed = mix(key ^ step << 56 ^ low) & (1 << high_bits) - 1
                high, low = low, high ^ mixed
                high_bits, low_bits = low_bits, high_bits
            number = high << low_bits | low
            if number < samples:
                break
        order.append(number)
    return order


def stratified_folds(labels, k, seed):
    """`chainrule::data::stratified_folds`."""
    order = sorted(shuffle(len(labels), seed), key=lambda sample: labels[sample])
    for fold in range(k):
        test = np.array(sorted(order[fold::k]))
        yield np.setdiff1d(np.arange(len(labels)), test), test


def write():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, load in SETS.items():
        data = load()
        with open(FOLDER / f"{name}.csv", "w", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow([*data.feature_names, "class"])
            for row, label in zip(data.data, data.target):
                table.writerow([*(f"{x:g}" if float(f"{x:g}") == x else repr(float(x)) for x in row), data.target_names[label]])


def measure():
    for name, load in SETS.items():
        data = load()
        # Classes in the order of their names, as `Table::classes` numbers them.
        names = sorted(data.target_names)
        labels = [names.index(data.target_names[label]) for label in data.target]
        for k in (5, 10):
            accuracies = []
            for seed in range(5):
                for train, test in stratified_folds(labels, k, seed):
                    net = MLPClassifier((16,), max_iter=2000, random_state=seed)
                    net = make_pipeline(StandardScaler(), net)
                    net.fit(data.data[train], np.array(labels)[train])
                    accuracies.append(net.score(data.data[test], np.array(labels)[test]))
            means = np.mean(np.reshape(accuracies, (5, k)), axis=1)
            error = np.std(accuracies, ddof=1) / np.sqrt(k)
            seeds = " ".join(f"{mean:.4f}" for mean in means)
            print(f"{name} {k}-fold: {means.mean():.4f}, standard error of one run {error:.4f}; seeds 0-4: {seeds}")


if __name__ == "__main__":
    write() if "--write" in sys.argv else measure()
