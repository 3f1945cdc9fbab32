//! Convolution and pooling over a grid of kernels, strides, paddings and dilations against the definition, summed
//! number by number. All numbers are small integers, so every sum is exact in any order.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::{Axis, Convolution, Windows};
use std::{vec, vec::Vec};

fn axis(
    input: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    dilation: usize,
) -> Option<Axis> {
    let output = (input + 2 * padding).checked_sub(dilation * (kernel - 1) + 1)? / stride + 1;
    Some(Axis { input, output, kernel, stride, padding, dilation })
}

/// Every kernel of 1 to 5, stride of 1 to 3, padding of 0 to 2, dilation of 1 and 2, on images of 9×10.
fn grid() -> Vec<Windows> {
    let mut all = vec![];
    for kernel in 1..=5 {
        for stride in 1..=3 {
            for padding in 0..=2 {
                for dilation in 1..=2 {
                    let axis = |input| axis(input, kernel, stride, padding, dilation).unwrap();
                    all.push(Windows { rows: axis(9), columns: axis(10) });
                }
            }
        }
    }
    assert_eq!(all.len(), 90);
    // Signals: one row.
    let rows = axis(1, 1, 1, 0, 1).unwrap();
    all.push(Windows { rows, columns: axis(11, 4, 2, 1, 2).unwrap() });
    all
}

/// Integers from -3 to 3, none of them 0.
fn numbers(count: usize, salt: usize) -> Vec<f64> {
    let number = |i: usize| ((i * 2654435761 + salt * 40503) >> 7) % 6;
    (0..count).map(|i| [-3.0, -2.0, -1.0, 1.0, 2.0, 3.0][number(i)]).collect()
}

/// Calls `f` for each product of the definition with the indices of output, weight and input.
fn definition(c: &Convolution, samples: usize, mut f: impl FnMut(usize, usize, usize)) {
    let (Windows { rows, columns }, all) = (c.windows, c.groups * c.outputs);
    for sample in 0..samples {
        for o in 0..all {
            for r in 0..rows.output {
                for q in 0..columns.output {
                    for channel in 0..c.channels {
                        for i in 0..rows.kernel {
                            for j in 0..columns.kernel {
                                let y = rows.stride * r + rows.dilation * i;
                                let x = columns.stride * q + columns.dilation * j;
                                let (Some(y), Some(x)) =
                                    (y.checked_sub(rows.padding), x.checked_sub(columns.padding))
                                else {
                                    continue;
                                };
                                if y >= rows.input || x >= columns.input {
                                    continue;
                                }
                                let tap = (channel * rows.kernel + i) * columns.kernel + j;
                                let from = c.groups * c.channels * sample
                                    + o / c.outputs * c.channels
                                    + channel;
                                f(
                                    ((sample * all + o) * rows.output + r) * columns.output + q,
                                    tap * all + o,
                                    (from * rows.input + y) * columns.input + x,
                                );
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Passes of a convolution by im2col are those of the definition; a fold that does not add up is found wherever windows
/// overlap.
#[test]
fn convolution_is_its_definition() {
    let mut overlapping = 0;
    for windows in grid() {
        for (groups, channels, outputs) in [(1, 2, 3), (3, 1, 1), (2, 2, 2)] {
            for band in [1, 2, 100] {
                let c = Convolution { windows, groups, channels, outputs, band };
                let ([plane, places], samples, all) = (windows.planes(), 2, groups * outputs);
                let x = numbers(samples * groups * channels * plane, 1);
                let w = numbers(c.taps() * all, 2);
                let b = numbers(all, 3);
                let dy = numbers(samples * all * places, 4);
                let mut col = vec![f64::NAN; c.taps() * places];

                let (mut y, mut dx, mut dw) =
                    (vec![0.0; dy.len()], vec![0.0; x.len()], vec![0.0; w.len()]);
                let mut db = vec![0.0; all];
                let (mut last, mut covered) = (vec![0.0; x.len()], vec![0; x.len()]);
                definition(&c, samples, |to, tap, from| {
                    y[to] += w[tap] * x[from];
                    dx[from] += w[tap] * dy[to];
                    dw[tap] += x[from] * dy[to];
                    last[from] = w[tap] * dy[to];
                    covered[from] += 1;
                });
                for (i, (y, dy)) in y.iter_mut().zip(&dy).enumerate() {
                    *y += b[i / places % all];
                    db[i / places % all] += dy;
                }

                let mut found = [
                    vec![f64::NAN; y.len()],
                    vec![f64::NAN; x.len()],
                    vec![0.0; w.len()],
                    vec![0.0; all],
                ];
                let [found_y, found_dx, found_dw, found_db] = &mut found;
                c.forward(&x, &w, &b, found_y, &mut col);
                c.input(&w, &dy, found_dx, &mut col);
                c.weight(&x, &dy, 0..c.taps(), found_dw, &mut col);
                c.bias(&dy, found_db);
                assert_eq!(found, [y, dx.clone(), dw.clone(), db], "{c:?}");

                // In pieces of some numbers of the window.
                let mut pieces = vec![0.0; w.len()];
                let half = c.taps() / 2;
                let (low, high) = pieces.split_at_mut(half * all);
                c.weight(&x, &dy, 0..half, low, &mut col);
                c.weight(&x, &dy, half..c.taps(), high, &mut col);
                assert_eq!(pieces, dw, "{c:?}");

                let overlaps = covered.iter().any(|&covered| covered > outputs);
                if overlaps && outputs == 1 {
                    overlapping += 1;
                    assert_ne!(last, dx, "a fold that overwrites is not seen: {c:?}");
                }
            }
        }
    }
    // In three heights of bands: the cells of the grid where some pixel is under two places of the window.
    assert_eq!(overlapping, 3 * 51);
}

/// Pooling takes each window as the definition says: in a tie the first number, row after row, has the slope.
#[test]
fn pooling_is_its_definition() {
    let odd = |input| axis(input, 2, 2, 0, 1).unwrap();
    let pairs = Windows { rows: odd(9), columns: odd(11) };
    for windows in grid().into_iter().chain([pairs]) {
        let Windows { rows, columns } = windows;
        if rows.padding * 2 > rows.kernel || columns.dilation > 1 {
            continue;
        }
        let [plane, places] = windows.planes();
        let (x, dy) = (numbers(3 * plane, 1), numbers(3 * places, 2));
        let size = (rows.kernel * columns.kernel) as f64;
        let (mut largest, mut mean) = (vec![], vec![]);
        let (mut dlargest, mut dmean) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        for (at, dy) in dy.iter().enumerate() {
            let (sample, r, q) = (at / places, at % places / columns.output, at % columns.output);
            let mut under = vec![];
            for i in 0..rows.kernel {
                for j in 0..columns.kernel {
                    let y = (r * rows.stride + i).wrapping_sub(rows.padding);
                    let x = (q * columns.stride + j).wrapping_sub(columns.padding);
                    if y < rows.input && x < columns.input {
                        under.push(sample * plane + y * columns.input + x);
                    }
                }
            }
            let top = under.iter().map(|&i| x[i]).fold(f64::MIN, f64::max);
            largest.push(top);
            dlargest[*under.iter().find(|&&i| x[i] == top).unwrap()] += dy;
            mean.push(under.iter().map(|&i| x[i]).sum::<f64>() * (1.0 / size));
            under.iter().for_each(|&i| dmean[i] += dy * (1.0 / size));
        }
        let (mut y, mut dx) = (vec![f64::NAN; dy.len()], vec![f64::NAN; x.len()]);
        windows.max(&x, &mut y);
        windows.max_back(&x, &y, &dy, &mut dx);
        assert_eq!((&y, &dx), (&largest, &dlargest), "{windows:?}");
        windows.mean(&x, &mut y);
        windows.mean_back(&dy, &mut dx);
        assert_eq!((&y, &dx), (&mean, &dmean), "{windows:?}");
    }
}
