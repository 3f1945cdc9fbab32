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
//!
//! The graph with all numbers is written into the folder `out`, or into another that you name.

#[path = "common/graph.rs"]
mod graph;
#[macro_use]
#[path = "common/print.rs"]
mod print;

use chainrule::node::{Add, Mul};
use graph::{input, operation};
use std::{env, io, path::PathBuf};

fn main() -> io::Result<()> {
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

    let number = |label, value, gradient| input(label, short(value), short(gradient));
    let of =
        |label, value, gradient, inputs| operation(label, short(value), short(gradient), inputs);
    let apples = [number("apple", apple, dapple), number("number", apple_num, dapple_num)];
    let oranges = [number("orange", orange, dorange), number("number", orange_num, dorange_num)];
    let fruit =
        [of("×", apple_price, dapple_price, apples), of("×", orange_price, dorange_price, oranges)];
    let all = [of("+", all_price, dall_price, fruit), number("tax", tax, dtax)];
    let folder = env::args_os().nth(1).map_or_else(|| "out".into(), PathBuf::from);
    graph::write(&folder, "buy_apple_orange", &of("×", price, dprice, all), "price")?;
    println!("graph in {}", folder.join("buy_apple_orange.svg").display());
    Ok(())
}

/// A number with at most four digits after the point.
fn short(number: f64) -> String {
    let text = format!("{number:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
