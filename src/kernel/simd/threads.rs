//! Large work shared out to the threads of rayon's pool.
#![allow(unsafe_code)]

use super::{constants::Constants, panels::WIDTH, tile::Product};
use core::{
    hint::spin_loop,
    sync::atomic::{AtomicUsize, Ordering::*},
};
use std::{
    sync::Arc,
    thread::{Thread, current, park},
};

/// How many turns the caller waits awake for the others, some hundred microseconds: to be woken costs
/// more than they are late.
const AWAKE: usize = 1 << 14;

/// So many calls for help may wait in queues. A pool that is busy for long would collect one more for
/// every product.
const MOST_QUEUED: usize = 64;

/// Calls for help that no thread has taken yet.
static QUEUED: AtomicUsize = AtomicUsize::new(0);

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

/// Parts of one piece of work, of which every thread that comes takes the next.
struct Parts {
    /// The closure, and how to call it. It lives until all parts are done, and no longer.
    work: *const (),
    call: unsafe fn(*const (), usize),
    count: usize,
    /// The next part that nobody has taken.
    next: AtomicUsize,
    done: AtomicUsize,
    caller: Thread,
}
// SAFETY: the closure is `Sync`, as `on_threads` asks for, and only called while it lives.
unsafe impl Send for Parts {}
// SAFETY: the same.
unsafe impl Sync for Parts {}

impl Parts {
    /// Takes part after part, until none is left.
    fn help(&self) {
        loop {
            let part = self.next.fetch_add(1, Relaxed);
            if part >= self.count {
                return;
            }
            let _done = Done(self);
            // SAFETY: a part that is taken and not done keeps the caller waiting, so that its closure lives.
            unsafe { (self.call)(self.work, part) };
        }
    }

    /// Waits for the parts that others have taken. The caller does nothing else in the meantime: another
    /// task of its pool might want what the caller holds.
    fn wait(&self) {
        let left = || self.done.load(Acquire) < self.count;
        (0..AWAKE).take_while(|_| left()).for_each(|_| spin_loop());
        while left() {
            park();
        }
    }
}

/// Counts a part as done, also where it panics.
struct Done<'a>(&'a Parts);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        // After the last part the caller may be gone, and its closure: nothing but `Parts` is touched here.
        if self.0.done.fetch_add(1, Release) + 1 == self.0.count {
            self.0.caller.unpark();
        }
    }
}

/// Keeps the caller until the others are done, also where its own part panics; then nobody takes the rest.
struct Finish<'a>(&'a Parts);

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        let left = self.0.count.saturating_sub(self.0.next.swap(self.0.count, Relaxed));
        self.0.done.fetch_add(left, Relaxed);
        self.0.wait();
    }
}

/// Runs `part` for each number below `parts`, here and on threads of the pool that have nothing else to
/// do. The work gets done if none comes. A scope of rayon's would wait for threads that may never come,
/// as when they all wait for a lock that the caller holds, and would run other tasks in the meantime.
pub fn on_threads<F: Fn(usize) + Sync>(parts: usize, part: &F) {
    /// # Safety
    /// `work` points to an `F`.
    unsafe fn call<F: Fn(usize)>(work: *const (), part: usize) {
        // SAFETY: as the caller promises.
        unsafe { (*work.cast::<F>())(part) }
    }
    if parts < 2 {
        return (0..parts).for_each(part);
    }
    let shared = Arc::new(Parts {
        work: core::ptr::from_ref(part).cast(),
        call: call::<F>,
        count: parts,
        next: AtomicUsize::new(0),
        done: AtomicUsize::new(0),
        caller: current(),
    });
    let _finish = Finish(&shared);
    for _ in 1..parts {
        if QUEUED.fetch_add(1, Relaxed) >= MOST_QUEUED {
            QUEUED.fetch_sub(1, Relaxed);
            break;
        }
        let shared = Arc::clone(&shared);
        rayon::spawn(move || {
            QUEUED.fetch_sub(1, Relaxed);
            shared.help();
        });
    }
    shared.help();
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
