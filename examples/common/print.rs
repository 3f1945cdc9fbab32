//! A `println!` for programs whose output may be closed.

/// As the standard `println!`, but if the reader has closed the pipe (`| head -1`), the program continues silently.
macro_rules! println {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($text)*);
    }};
}
