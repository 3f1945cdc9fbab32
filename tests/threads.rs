//! The threads of rayon compute large products, and also run the tasks of a program. If a task holds a lock or a borrow
//! while it predicts, its thread must not start another task of the program that needs them.

use chainrule::{Affine, D1, Network, SumSquaredError, Zeros, init};
use nalgebra::SMatrix;
use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
use std::{
    cell::RefCell,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc::{channel, sync_channel},
    },
    thread,
    time::Duration,
};

/// 128 samples are 2^23 multiplications, twice the size from which products go to threads.
type Layers = Box<Affine<f32, 256, 256>>;
type Net = Network<f32, D1<256>, Layers, SumSquaredError>;
type Batch = SMatrix<f32, 256, 128>;

const TASKS: usize = 3000;

fn net() -> Net {
    let mut layer = Layers::zeros();
    init::he(&mut layer.weight, &mut Xoshiro128PlusPlus::seed_from_u64(0));
    Net::new(layer, SumSquaredError)
}

fn batch() -> Box<Batch> {
    let mut x = Box::<Batch>::zeros();
    x.iter_mut().enumerate().for_each(|(i, x)| *x = (i * 31 % 101) as f32 / 101.0);
    x
}

fn pool() -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(4).stack_size(16 << 20).build().unwrap()
}

/// The result of `work`. Fails if `work` hangs: the limit is many times the time that it takes.
fn watched<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    let (send, receive) = channel();
    thread::Builder::new().stack_size(16 << 20).spawn(move || send.send(work())).unwrap();
    receive.recv_timeout(Duration::from_secs(120)).expect("it hangs, or has panicked")
}

/// A program sends predictions one at a time, and at most six of them run.
#[test]
fn a_lock_is_held_by_a_task() {
    let sums = watched(|| {
        let (pool, net, x) = (pool(), Arc::new(Mutex::new(net())), Arc::new(batch()));
        let expected: f32 = net.lock().unwrap().predict(&**x).sum();
        let (open, sums) = (sync_channel(6), channel());
        let (enter, leave) = open;
        let leave = Arc::new(Mutex::new(leave));
        for _ in 0..TASKS {
            enter.send(()).unwrap();
            let (net, x, leave, sums) = (net.clone(), x.clone(), leave.clone(), sums.0.clone());
            pool.spawn(move || {
                let sum: f32 = net.lock().unwrap().predict(&**x).sum();
                sums.send(sum).unwrap();
                leave.lock().unwrap().recv().unwrap();
            });
        }
        drop(sums.0);
        (expected, sums.1.iter().collect::<Vec<f32>>())
    });
    assert_eq!(sums.1, vec![sums.0; TASKS]);
}

/// Each task borrows the workspace of its thread while it runs.
#[test]
fn a_borrow_is_held_by_a_task() {
    thread_local! {
        static OUTPUT: RefCell<Option<Box<Batch>>> = const { RefCell::new(None) };
    }
    let twice = watched(|| {
        let (pool, net, x) = (pool(), Arc::new(net()), Arc::new(batch()));
        let twice = Arc::new(AtomicUsize::new(0));
        pool.scope(|scope| {
            for _ in 0..TASKS {
                let (net, x, twice) = (net.clone(), x.clone(), twice.clone());
                scope.spawn(move |_| {
                    OUTPUT.with(|output| match output.try_borrow_mut() {
                        Ok(mut output) => *output = Some(Box::new(net.predict(&**x))),
                        Err(_) => {
                            twice.fetch_add(1, SeqCst);
                        }
                    });
                });
            }
        });
        twice.load(SeqCst)
    });
    assert_eq!(twice, 0);
}

/// All threads of the pool wait for a lock that a thread outside the pool holds.
#[test]
fn a_lock_is_held_outside() {
    let same = watched(|| {
        let (net, x) = (Arc::new(Mutex::new(net())), batch());
        let held = net.lock().unwrap();
        let expected = held.predict(&*x);
        let (arrived, arrivals) = channel();
        for _ in 0..rayon::current_num_threads() {
            let (net, arrived) = (net.clone(), arrived.clone());
            rayon::spawn(move || {
                arrived.send(()).unwrap();
                drop(net.lock().unwrap());
            });
        }
        arrivals.iter().take(rayon::current_num_threads()).for_each(drop);
        (0..20).all(|_| held.predict(&*x) == expected)
    });
    assert!(same);
}
