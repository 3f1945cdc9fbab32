//! A product shared out to the threads of rayon's pool.
#![allow(unsafe_code)]

use super::{
    math::Constants,
    tile::{MANY, Product},
};

impl<E: Constants> Product<E> {
    /// In parts, one a thread, cut where panels and tiles end, so that every entry is summed up as it
    /// would be by one thread. `height` is a panel's, in rows.
    ///
    /// # Safety
    /// As for `tile::product`.
    pub unsafe fn by_threads(self, height: usize, threads: usize, run: &(impl Fn(Self) + Sync)) {
        struct Part<E>(Product<E>);
        // SAFETY: a part writes to rows or columns of its own, and what it reads nobody writes.
        unsafe impl<E> Send for Part<E> {}

        // The columns of a tile, whatever its height: 16, 12, 8, 6 or 4.
        const WIDTH: usize = 48;
        let half = |whole: usize, step: usize| {
            let steps = whole as f64 * (threads / 2) as f64 / threads as f64 / step as f64;
            steps.round() as usize * step
        };
        let (rows, columns) = (half(self.m, height), half(self.n, WIDTH));
        // Shared out by rows, A is packed once. The last panels of few rows might have another height.
        let by_rows = rows.min(self.m.saturating_sub(rows)) >= 2 * height;
        if threads < 2 || !by_rows && (columns == 0 || columns + MANY > self.n) {
            return run(self);
        }
        // SAFETY: within rows and columns.
        let (first, second) = unsafe {
            if by_rows {
                (Product { m: rows, ..self }, self.below(rows))
            } else {
                let b = self.b.add(columns * self.b_column);
                let c = self.c.add(columns * self.c_column);
                (Product { n: columns, ..self }, Product { n: self.n - columns, b, c, ..self })
            }
        };
        let (first, second) = (Part(first), Part(second));
        let some = threads / 2;
        rayon::join(
            move || {
                let part = first; // whole: its pointers alone could not be sent
                // SAFETY: as the caller promises.
                unsafe { part.0.by_threads(height, some, run) }
            },
            move || {
                let part = second;
                // SAFETY: as the caller promises.
                unsafe { part.0.by_threads(height, threads - some, run) }
            },
        );
    }
}
