//! The scalars that files hold.

use crate::shape::Number;
use alloc::vec::Vec;

/// How to read one number: its bytes, and a function of these bytes.
pub type Reader<T> = (usize, fn(&[u8]) -> T);

/// A scalar that a file can hold: f32 or f64.
pub trait Stored: Number {
    /// Its name in safetensors.
    const DTYPE: &'static str;

    /// Appends the number to the bytes of a file.
    #[doc(hidden)]
    fn push(self, bytes: &mut Vec<u8>);

    /// How to read numbers of a type. `None` if the type is not a floating-point type, or if it is wider than this
    /// one and must not be narrowed.
    #[doc(hidden)]
    fn reader(dtype: &str, narrow: bool) -> Option<Reader<Self>>;
}

macro_rules! stored {
    ($($t:ident $dtype:literal: $($other:literal $width:literal $narrow:pat, $read:expr;)+)*) => { $(
        impl Stored for $t {
            const DTYPE: &'static str = $dtype;

            fn push(self, bytes: &mut Vec<u8>) {
                bytes.extend(self.to_le_bytes());
            }

            fn reader(dtype: &str, narrow: bool) -> Option<Reader<Self>> {
                match (dtype, narrow) {
                    $(($other, $narrow) => Some(($width, |bytes| {
                        bytes.first_chunk::<$width>().map_or($t::NAN, $read)
                    })),)+
                    _ => None,
                }
            }
        }
    )* };
}
stored! {
    f32 "F32":
        "F32" 4 _, |bytes| f32::from_le_bytes(*bytes);
        "F64" 8 true, |bytes| f64::from_le_bytes(*bytes) as f32;
        "F16" 2 _, |bytes| half(u16::from_le_bytes(*bytes));
        "BF16" 2 _, |bytes| bfloat(u16::from_le_bytes(*bytes));
    f64 "F64":
        "F64" 8 _, |bytes| f64::from_le_bytes(*bytes);
        "F32" 4 _, |bytes| f32::from_le_bytes(*bytes).into();
        "F16" 2 _, |bytes| half(u16::from_le_bytes(*bytes)).into();
        "BF16" 2 _, |bytes| bfloat(u16::from_le_bytes(*bytes)).into();
}

/// The upper half of an f32.
fn bfloat(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// A number of 1 bit for the sign, 5 for the exponent and 10 for the fraction. Each is a number of f32.
fn half(bits: u16) -> f32 {
    let (sign, exponent) = (u32::from(bits >> 15) << 31, u32::from(bits >> 10 & 31));
    let fraction = u32::from(bits & 0x3ff);
    let size = match exponent {
        // A multiple of 2⁻²⁴.
        0 => (fraction as f32 / 16_777_216.0).to_bits(),
        31 => 0x7f80_0000 | fraction << 13,
        _ => (exponent + 112) << 23 | fraction << 13,
    };
    f32::from_bits(sign | size)
}
