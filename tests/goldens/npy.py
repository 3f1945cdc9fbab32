"""Writes the arrays in tests/goldens/npy. Run: python3 npy.py (NumPy 2.4.6 made the committed files)."""

import pathlib

import numpy as np

FOLDER = pathlib.Path(__file__).parent / "npy"
ROWS = np.array([[0.5, -1.25, 3.0], [1e-3, 2.0**-149, np.inf]])

ARRAYS = {
    "rows_f4": ROWS.astype("<f4"),
    "rows_f8": ROWS,
    "big_endian": ROWS.astype(">f4"),
    "fortran": np.asfortranarray(ROWS.astype("<f4")),
    "images_u1": np.arange(24, dtype=np.uint8).reshape(2, 1, 3, 4),
    "labels_i8": np.array([1, 0, 2]),
    "labels_i4": np.array([1, 0, 2], dtype=np.int32),
    "negative_i8": np.array([1, -1, 2]),
    "none_f4": np.zeros((0, 3), dtype="<f4"),
    "scalar_f4": np.float32(1.5),
    "records": np.array([(1.5, 2)], dtype=[("a", "<f4"), ("b", "<i4")]),
}

for name, array in ARRAYS.items():
    np.save(FOLDER / f"{name}.npy", array)
# The second version of the format has a longer length.
with open(FOLDER / "second_f4.npy", "wb") as file:
    np.lib.format.write_array(file, ARRAYS["rows_f4"], version=(2, 0))
