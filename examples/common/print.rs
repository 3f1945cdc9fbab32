//! Printing that no closed pipe ends.

/// As the standard `println!`. When the reader has gone (`| head -1`), the program goes on without a word.
macro_rules! println {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($text)*);
    }};
}
