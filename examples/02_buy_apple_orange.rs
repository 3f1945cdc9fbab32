//! Chapter 5.4.2: two apples and three oranges, with tax; an addition joins the two.
//!
//! ```text
//! number ─┐
//!         × ── apple price ──┐
//! apple ──┘                  │
//!                            + ── all price ──┐
//! orange ─┐                  │                × ── price
//!         × ── orange price ─┘                │
//! number ─┘                             tax ──┘
//! ```

#[macro_use]
#[path = "common/print.rs"]
mod print;

use chainrule::node::{Add, Mul};

fn main() {
    let (apple, apple_num) = (100.0, 2.0);
    let (orange, orange_num) = (150.0, 3.0);
    let tax = 1.1;

    // forward
    let (apple_price, mul_apple) = Mul::forward(apple, apple_num);
    let (orange_price, mul_orange) = Mul::forward(orange, orange_num);
    let (all_price, add_apple_orange) = Add::forward(apple_price, orange_price);
    let (price, mul_tax) = Mul::forward(all_price, tax);

    // backward
    let dprice = 1.0;
    let (dall_price, dtax) = mul_tax.backward(dprice);
    let (dapple_price, dorange_price) = add_apple_orange.backward(dall_price);
    let (dorange, dorange_num) = mul_orange.backward(dorange_price);
    let (dapple, dapple_num) = mul_apple.backward(dapple_price);

    println!("price:          {price:.0}");
    println!("dApple:         {dapple:.1}");
    println!("dApple number:  {dapple_num:.0}");
    println!("dOrange:        {dorange:.1}");
    println!("dOrange number: {dorange_num:.0}");
    println!("dTax:           {dtax:.0}");

    let found = [price, dapple, dapple_num, dorange, dorange_num, dtax];
    for (found, book) in found.into_iter().zip([715.0_f64, 2.2, 110.0, 3.3, 165.0, 650.0]) {
        assert!((found - book).abs() <= 2.0 * f64::EPSILON * book, "{found} is not {book}");
    }
}
