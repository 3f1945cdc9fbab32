//! Large work on the threads of the rayon pool.
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

/// How many turns the caller spins while it waits for the other threads: some hundred microseconds. Sleeping and being
/// woken would take longer than the others are late.
const AWAKE: usize = 1 << 14;

/// The most tasks that wait in queues. Without a limit, a pool that is busy for long would collect one more for every
/// product.
const MOST_QUEUED: usize = 64;

/// Tasks that no thread has taken yet.
static QUEUED: AtomicUsize = AtomicUsize::new(0);

/// Whole packs at every level.
const ROWS: usize = 16;

/// Pointers for threads. Each thread writes only to its own part, and nobody writes what it reads.
#[derive(Clone, Copy)]
pub struct Shared<P>(pub P);
// SAFETY: the code that makes one ensures what its description says.
unsafe impl<P> Sync for Shared<P> {}

impl<P: Copy> Shared<P> {
    /// A closure that reads the field would capture only the pointers, which are not `Sync`.
    pub fn get(&self) -> P {
        self.0
    }
}

/// The parts of one piece of work. Each thread takes the next part.
struct Parts {
    /// The closure, and the function that calls it. It lives only until all parts are done.
    work: *const (),
    call: unsafe fn(*const (), usize),
    count: usize,
    /// The next part that nobody has taken.
    next: AtomicUsize,
    done: AtomicUsize,
    caller: Thread,
}
// SAFETY: `on_threads` requires that the closure is `Sync`, and it is called only while it lives.
unsafe impl Send for Parts {}
// SAFETY: the same.
unsafe impl Sync for Parts {}

impl Parts {
    /// Takes parts until none is left.
    fn help(&self) {
        loop {
            let part = self.next.fetch_add(1, Relaxed);
            if part >= self.count {
                return;
            }
            let _done = Done(self);
            // SAFETY: the caller waits while a part is taken and not done, so its closure lives.
            unsafe { (self.call)(self.work, part) };
        }
    }

    /// Waits for the parts that other threads have taken. The caller does not run other tasks of its pool meanwhile:
    /// such a task might need a lock that the caller holds.
    fn wait(&self) {
        let left = || self.done.load(Acquire) < self.count;
        (0..AWAKE).take_while(|_| left()).for_each(|_| spin_loop());
        while left() {
            park();
        }
    }
}

/// Counts a part as done, even if it panics.
struct Done<'a>(&'a Parts);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        // After the last part the caller and its closure may be gone, so this uses only `Parts`.
        if self.0.done.fetch_add(1, Release) + 1 == self.0.count {
            self.0.caller.unpark();
        }
    }
}

/// Makes the caller wait until the others are done, even if its own part panics. Then nobody takes the rest.
struct Finish<'a>(&'a Parts);

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        let left = self.0.count.saturating_sub(self.0.next.swap(self.0.count, Relaxed));
        self.0.done.fetch_add(left, Relaxed);
        self.0.wait();
    }
}

/// Runs `part` for each number below `parts`, on this thread and on idle threads of the pool. If no thread is idle,
/// this thread does all the work. A rayon scope would wait for threads that may never come, for example if they all
/// wait for a lock that the caller holds, and would run other tasks meanwhile.
pub fn on_threads<F: Fn(usize) + Sync>(parts: usize, part: &F) {
    /// # Safety
    /// `work` points to an `F`.
    unsafe fn call<F: Fn(usize)>(work: *const (), part: usize) {
        // SAFETY: the caller promises it.
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

/// The begin and the length of the part of `thread`, if `whole` is cut at multiples of `step`.
pub fn cut(whole: usize, step: usize, thread: usize, threads: usize) -> (usize, usize) {
    let begin = |thread| match thread {
        _ if thread == threads => whole,
        _ => whole / step * thread / threads * step,
    };
    (begin(thread), begin(thread + 1) - begin(thread))
}

impl<E: Constants> Product<E> {
    /// Computes the product in parts, one per thread. The cuts are where packs of rows and tiles end, so that every
    /// entry is summed as one thread would sum it.
    ///
    /// # Safety
    /// As `tile` says.
    pub unsafe fn by_threads(self, threads: usize, run: &(impl Fn(Self) + Sync)) {
        // If cut by rows, each thread keeps its rows of W in its cache from step to step, and A is packed once. But all
        // threads read B, so B should be small.
        let by_rows = self.m / threads.max(1) >= 3 * ROWS && self.n <= 4 * self.m;
        let (whole, step) = if by_rows { (self.m, ROWS) } else { (self.n, WIDTH) };
        let threads = threads.min(whole / step);
        if threads < 2 {
            return run(self);
        }
        let shared = Shared(self);
        on_threads(threads, &|thread| {
            let (all, (from, len)) = (shared.get(), cut(whole, step, thread, threads));
            // SAFETY: the part is within the rows or columns.
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
