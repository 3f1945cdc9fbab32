//! The first 100 digits of `examples/data/digits`, whose README names their source. Each takes 33 bytes: the label,
//! then 64 pixels of four bits (the original counts of 0 to 16, at most 15).

static DIGITS: &[u8] = include_bytes!("digits.bin");

/// Writes digit `number` (modulo 100) into an image of `width` columns, in its middle, and returns the label.
pub fn draw(number: usize, image: &mut [f32], width: usize) -> usize {
    let Some((label, pixels)) =
        DIGITS.chunks_exact(33).nth(number % 100).and_then(|digit| digit.split_first())
    else {
        return 0;
    };
    let margin = width.saturating_sub(8) / 2;
    for (row, line) in image.chunks_exact_mut(width.max(1)).skip(margin).zip(pixels.chunks_exact(4))
    {
        for (i, x) in row.iter_mut().skip(margin).take(8).enumerate() {
            let two = line.get(i / 2).copied().unwrap_or_default();
            *x = f32::from(if i % 2 == 0 { two >> 4 } else { two & 15 }) / 15.0;
        }
    }
    usize::from(*label)
}
