//! The price graphs of the book's chapter 5: multiplication and addition of single numbers.
//!
//! `forward` returns the result and the node. The node keeps what `backward` needs. So a program that calls `backward`
//! before `forward` does not compile.
//!
//! ```
//! use chainrule::node::Mul;
//!
//! let (apples, mul_apple) = Mul::forward(100.0, 2.0);
//! let (price, mul_tax) = Mul::forward(apples, 1.1);
//! assert!((price - 220.0_f64).abs() < 1e-10);
//!
//! let (d_apples, d_tax) = mul_tax.backward(1.0);
//! let (d_apple, d_apple_num) = mul_apple.backward(d_apples);
//! assert_eq!(format!("{d_apple} {d_apple_num:.1} {d_tax}"), "2.2 110.0 200");
//! ```

use crate::shape::Number;

/// out = x·y; dx = dout·y, dy = dout·x. (Chapter 5.4.1.)
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mul<T> {
    x: T,
    y: T,
}

impl<T: Number> Mul<T> {
    /// x·y, and the node, which keeps both.
    pub fn forward(x: T, y: T) -> (T, Self) {
        (x * y, Mul { x, y })
    }

    /// The gradients on x and on y.
    pub fn backward(&self, dout: T) -> (T, T) {
        (dout * self.y, dout * self.x)
    }
}

/// out = x + y; dx = dout, dy = dout. (Chapter 5.4.2.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Add;

impl Add {
    /// x + y, and the node, which keeps nothing.
    pub fn forward<T: Number>(x: T, y: T) -> (T, Self) {
        (x + y, Add)
    }

    /// The gradients on x and on y.
    pub fn backward<T: Number>(&self, dout: T) -> (T, T) {
        (dout, dout)
    }
}
