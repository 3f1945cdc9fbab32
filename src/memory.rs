//! What a training step needs, part by part.

use core::fmt;

/// The bytes that training takes, part by part: see [`Network::memory`](crate::Network::memory).
///
/// What is in boxes is on the heap and not counted, nor are the stack and what the caller keeps: the
/// batch and its targets. An optimizer that keeps trees of the net's shape is as large as its struct:
///
/// ```
/// use chainrule::{Memory, Sgd, TwoLayerNet};
/// type Net = TwoLayerNet<f32, 8, 16, 4>;
/// const NEED: Memory = Memory { optimizer: size_of::<Sgd<f32>>(), ..Net::memory::<8>() };
/// const _: () = assert!(NEED.total() <= 5 * 1024, "too large");
/// assert_eq!(NEED.gradient, Net::parameter_bytes());
/// assert_eq!(NEED.total(), Net::train_bytes::<8>() + 4);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// The layers.
    pub parameters: usize,
    /// The gradient, without what is frozen.
    pub gradient: usize,
    /// What an optimizer keeps; 0 until it is set.
    pub optimizer: usize,
    /// What flows between the layers and out of them, the gradients on it, and the layers' caches.
    pub activations: usize,
    /// The loss, the seed, and what alignment leaves empty.
    pub rest: usize,
}

impl Memory {
    /// All of it.
    pub const fn total(&self) -> usize {
        let Memory { parameters, gradient, optimizer, activations, rest } = *self;
        parameters + gradient + optimizer + activations + rest
    }
}

/// A table, in bytes.
impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Memory { parameters, gradient, optimizer, activations, rest } = self;
        writeln!(f, "parameters  {parameters:>9} bytes\ngradient    {gradient:>9}")?;
        writeln!(f, "optimizer   {optimizer:>9}\nactivations {activations:>9}")?;
        write!(f, "rest        {rest:>9}\nin all      {:>9}", self.total())
    }
}
