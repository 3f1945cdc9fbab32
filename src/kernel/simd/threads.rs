//! Large work shared out to the threads of rayon's pool.
#![allow(unsafe_code)]

use super::{math::Constants, panels::WIDTH, tile::Product};
use core::{
    hint::spin_loop,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

/// How many turns the caller waits awake for the others, some hundred microseconds: to be woken costs
/// more than they are late.
const AWAKE: usize = 1 << 14;
/// And how many for rayon to take note that they are done.
const NOTED: usize = 16;

/// Whole packs, whatever the level.
const ROWS: usize = 16;

/// Pointers for threads that write to parts of their own, and read what nobody writes.
#[derive(Clone, Copy)]
pub struct Shared<P>(pub P);
// SAFETY: as it says; who makes one sees to it.
unsafe impl<P> Sync for Shared<P> {}

impl<P: Copy> Shared<P> {
    /// A closure that reads the field would take its pointers alone along.
    pub fn get(&self) -> P {
        self.0
    }
}

/// Runs `part` for each number below `threads`: 0 here, the others in the pool.
pub fn on_threads(threads: usize, part: &(impl Fn(usize) + Sync)) {
    let others = &AtomicUsize::new(threads.saturating_sub(1));
    rayon::in_place_scope(|scope| {
        for thread in 1..threads {
            scope.spawn(move |_| {
                part(thread);
                others.fetch_sub(1, Relaxed);
            });
        }
        part(0);
        (0..AWAKE).take_while(|_| others.load(Relaxed) > 0).for_each(|_| spin_loop());
        (0..NOTED).for_each(|_| spin_loop());
    });
}

/// Where the part of `thread` begins of `whole`, cut at multiples of `step`, and how long it is.
pub fn cut(whole: usize, step: usize, thread: usize, threads: usize) -> (usize, usize) {
    let begin = |thread| match thread {
        _ if thread == threads => whole,
        _ => whole / step * thread / threads * step,
    };
    (begin(thread), begin(thread + 1) - begin(thread))
}

impl<E: Constants> Product<E> {
    /// In parts, one a thread, cut where packs of rows and tiles end, so that every entry is
    /// summed up as it would be by one thread.
    ///
    /// # Safety
    /// As `tile` says.
    pub unsafe fn by_threads(self, threads: usize, run: &(impl Fn(Self) + Sync)) {
        // By rows each thread keeps its rows of W in its cache, from step to step, and A is packed
        // once; but all read B, which should not be much.
        let by_rows = self.m / threads.max(1) >= 3 * ROWS && self.n <= 4 * self.m;
        let (whole, step) = if by_rows { (self.m, ROWS) } else { (self.n, WIDTH) };
        let threads = threads.min(whole / step);
        if threads < 2 {
            return run(self);
        }
        let shared = Shared(self);
        on_threads(threads, &|thread| {
            let (all, (from, len)) = (shared.get(), cut(whole, step, thread, threads));
            // SAFETY: within rows or columns.
            run(unsafe {
                if by_rows {
                    Product { m: len, ..all.below(from) }
                } else {
                    let (b, c) = (all.b.add(from * all.b_column), all.c.add(from * all.c_column));
                    Product { n: len, b, c, ..all }
                }
            });
        });
    }
}
