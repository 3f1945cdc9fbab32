//! The embedded 8×8 digits; `examples/data/digits/README.md` names their source.

use super::Digits;
use chainrule::data::{Dataset, FileError, Pixels, read_labelled};
use rand::{Rng, RngExt, SeedableRng, rngs::Xoshiro128PlusPlus};

const SIDE: usize = 8;
type Image = [u8; SIDE * SIDE];

/// 1,437 digits to train on and 360 to test on.
pub fn embedded() -> Result<[Digits<64>; 2], FileError> {
    macro_rules! file {
        ($name:literal) => {
            ($name, &include_bytes!(concat!("../data/digits/", $name))[..])
        };
    }
    Ok([
        read_labelled::<64, 10>(
            file!("train-images-idx3-ubyte.gz"),
            file!("train-labels-idx1-ubyte.gz"),
        )?,
        read_labelled::<64, 10>(
            file!("t10k-images-idx3-ubyte.gz"),
            file!("t10k-labels-idx1-ubyte.gz"),
        )?,
    ])
}

/// Each digit `copies` times, with noise, and every third of these moved by one pixel. Other people
/// wrote the test digits. If the net trains on the 1,437 digits alone, it learns them by heart and
/// recognises 91 % of the test digits.
pub fn varied(digits: &Digits<64>, copies: usize, seed: u64) -> Option<Digits<64>> {
    let mut rng = Xoshiro128PlusPlus::seed_from_u64(seed ^ 0x6469_6769_7473);
    let (mut images, mut labels) = (Vec::new(), Vec::new());
    for _ in 0..copies {
        for (image, label) in digits.inputs().0.iter().zip(digits.targets()) {
            images.push(vary(image, &mut rng));
            labels.push(*label);
        }
    }
    Dataset::new(Pixels(images), labels).ok()
}

fn vary(image: &Image, rng: &mut impl Rng) -> Image {
    let moves = [(1, 0), (0, 1), (-1, 0), (0, -1)];
    let moved = rng.random_bool(1.0 / 3.0);
    let (down, right) = if moved { moves[rng.random_range(0..4)] } else { (0, 0) };
    std::array::from_fn(|i| {
        let (row, column) = ((i / SIDE) as isize - down, (i % SIDE) as isize - right);
        let inside = 0..SIDE as isize;
        let from = if inside.contains(&row) && inside.contains(&column) {
            image[row as usize * SIDE + column as usize].into()
        } else {
            0.0
        };
        // The sum of three uniform numbers is bell-shaped enough.
        let noise: f64 = (0..3).map(|_| rng.random_range(-1.0..1.0)).sum();
        (from + NOISE * noise).clamp(0.0, 255.0) as u8
    })
}

/// The standard deviation of the noise, in grey levels.
const NOISE: f64 = 60.0;
