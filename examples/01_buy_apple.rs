//! Chapter 5.4.1: two apples at 100 each, with 10 % tax, as a graph of two multiplications.
//!
//! ```text
//! apple ──┐
//!         × ── apple price ──┐
//! number ─┘                  × ── price
//! tax ───────────────────────┘
//! ```

#[macro_use]
#[path = "common/print.rs"]
mod print;

use chainrule::node::Mul;

fn main() {
    let (apple, apple_num, tax) = (100.0, 2.0, 1.1);

    // forward
    let (apple_price, mul_apple) = Mul::forward(apple, apple_num);
    let (price, mul_tax) = Mul::forward(apple_price, tax);

    // backward: how much the price changes with each input
    let dprice = 1.0;
    let (dapple_price, dtax) = mul_tax.backward(dprice);
    let (dapple, dapple_num) = mul_apple.backward(dapple_price);

    println!("price:         {price:.0}");
    println!("dApple:        {dapple:.1}");
    println!("dApple number: {dapple_num:.0}");
    println!("dTax:          {dtax:.0}");

    // 1.1 is not an exact binary number, so the results differ from the book's in the last bits.
    let found = [price, dapple, dapple_num, dtax];
    for (found, book) in found.into_iter().zip([220.0_f64, 2.2, 110.0, 200.0]) {
        assert!((found - book).abs() <= 2.0 * f64::EPSILON * book, "{found} is not {book}");
    }
}
