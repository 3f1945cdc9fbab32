//! tanh in f32 with AVX-512: a polynomial for each of 22 intervals, without exponential and division, in a third of the
//! time. AVX-512 looks up one of 32 numbers as fast as it subtracts.
#![allow(unsafe_code)]

use super::{
    arch::{BY_SIGN, F32x16},
    lanes::{Lanes, lanes},
    pack::Pack,
};
use core::arch::x86_64::*;

/// The intervals: from 0 to ¼, then four per octave up to 8, then up to 10. For each, the centre and the polynomial
/// around it, lowest coefficient first. `tests/goldens/tanh.py` computes them. The error is 2^-26 of tanh.
#[rustfmt::skip]
const INTERVALS: [[f32; 8]; 22] = [
    [0.0, 0.0, 1.0, -8.886855e-07, -0.3332726, -0.0012024264, 0.14334187, -0.03761278],
    [0.27899218, 0.27197206, 0.9260312, -0.2518546, -0.24017964, 0.14927377, 0.060027566, -0.07172307],
    [0.34228593, 0.32951665, 0.89141876, -0.29373732, -0.20034826, 0.16393043, 0.032584924, -0.07179264],
    [0.40369686, 0.3831077, 0.8532285, -0.3268784, -0.15917988, 0.16994216, 0.006942047, -0.066228405],
    [0.46997657, 0.4381804, 0.80799794, -0.35404885, -0.11419541, 0.16805473, -0.01757439, -0.05637751],
    [0.56822187, 0.5140522, 0.7357503, -0.3782141, -0.05082863, 0.15220541, -0.044764813, -0.037294976],
    [0.68745625, 0.59634537, 0.6443722, -0.38426837, 0.014365584, 0.11952284, -0.061566222, -0.011673311],
    [0.81039065, 0.6698057, 0.5513603, -0.3693043, 0.06357513, 0.08051761, -0.06276041, 0.007179228],
    [0.9415563, 0.73593646, 0.45839754, -0.33735144, 0.09546999, 0.04219158, -0.05264812, 0.016964603],
    [1.1281, 0.810368, 0.3433037, -0.27820233, 0.11101225, 0.0027738514, -0.03169471, 0.018465588],
    [1.377825, 0.8804633, 0.22478437, -0.19791438, 0.0993292, -0.021485435, -0.0093265, 0.010977613],
    [1.6211063, 0.92478454, 0.14477356, -0.13388434, 0.07555693, -0.025244247, 0.0012992141, 0.004128539],
    [1.8827, 0.95473164, 0.08848749, -0.0844818, 0.051161837, -0.02068636, 0.004631825, 0.0006501254],
    [2.2592626, 0.9784251, 0.04268435, -0.04176342, 0.026634572, -0.01213988, 0.003937374, -0.0007162277],
    [2.7747, 0.99225056, 0.015438825, -0.015319199, 0.010053923, -0.004868634, 0.0018337007, -0.0005448423],
    [3.229225, 0.99687046, 0.006249291, -0.0062297233, 0.0041269613, -0.0020382053, 0.00080072944, -0.00024401768],
    [3.75745, 0.9989108, 0.0021772448, -0.0021748745, 0.0014466719, -0.0007200911, 0.00028833174, -9.563438e-05],
    [4.512775, 0.99975944, 0.00048108015, -0.00048097255, 0.00032016335, -0.00015978642, 6.6530905e-05, -2.2583112e-05],
    [5.478525, 0.99996513, 6.9737594e-05, -6.9732414e-05, 4.6439618e-05, -2.325673e-05, 9.674085e-06, -3.0898273e-06],
    [6.473325, 0.99999523, 9.53691e-06, -9.536421e-06, 6.351567e-06, -3.1823342e-06, 1.3228454e-06, -4.1875145e-07],
    [7.51305, 0.9999994, 1.1921088e-06, -1.1921295e-06, 7.9391936e-07, -3.9658843e-07, 1.6553574e-07, -5.6473475e-08],
    [9.65, 1.0, 1.678742e-08, -1.7311626e-08, 1.0282415e-08, -4.1708166e-09, 3.0026495e-09, -1.3872621e-09],
];

/// The table column by column. The exponent and the first two digits of a number, modulo 32, give its row.
#[repr(align(64))]
struct Table([[f32; 32]; 8]);

static TABLE: Table = {
    let mut table = [[0.0; 32]; 8];
    let (mut rows, mut place) = (INTERVALS.as_slice(), (BELOW >> DIGITS) as usize % 32);
    while let [row, rest @ ..] = rows {
        let mut column = 0;
        while column < 8 {
            #[allow(clippy::indexing_slicing)] // at compile time
            {
                table[column][place] = row[column];
            }
            column += 1;
        }
        (rows, place) = (rest, (place + 1) % 32);
    }
    Table(table)
};

/// The last number below ¼, and below 10, where tanh is 1.
const BELOW: u32 = 0.25f32.to_bits() - 1;
const LAST: u32 = 10f32.to_bits() - 1;
/// The digits of a number within its interval.
const DIGITS: u32 = 21;
/// Where the third is set: the first, else the second.
const PICK: i32 = 0xE4;

/// tanh x.
#[inline(always)]
pub fn tanh_by_table(x: F32x16) -> F32x16 {
    let Table([c, c0, c1, c2, c3, c4, c5, c6]) = &TABLE;
    // SAFETY: the pack shows that the CPU has AVX-512.
    unsafe {
        let bits = _mm512_castps_si512(x.0);
        let sign = _mm512_set1_epi32(i32::MIN);
        let size =
            _mm512_min_epu32(_mm512_andnot_si512(sign, bits), _mm512_set1_epi32(LAST as i32));
        let place = _mm512_max_epu32(size, _mm512_set1_epi32(BELOW as i32));
        let place = _mm512_srli_epi32::<DIGITS>(place);
        let r = F32x16(_mm512_castsi512_ps(size)).sub(look_up(c, place));
        let (r2, low) = (r.mul(r), r.mul_add(look_up(c1, place), look_up(c0, place)));
        let middle = r.mul_add(look_up(c3, place), look_up(c2, place));
        let high = r.mul_add(look_up(c5, place), look_up(c4, place));
        let high = r2.mul_add(look_up(c6, place), high);
        let y = r2.mul(r2).mul_add(high, r2.mul_add(middle, low));
        // x's sign; and all of x where it is NaN, which went as the last number.
        let (y, number) = (_mm512_castps_si512(y.0), _mm512_cmp_ps_mask::<_CMP_ORD_Q>(x.0, x.0));
        F32x16(_mm512_castsi512_ps(_mm512_mask_ternarylogic_epi32::<PICK>(bits, number, y, sign)))
    }
}

/// # Safety
/// The CPU has AVX-512.
#[inline(always)]
unsafe fn look_up(column: &[f32; 32], place: __m512i) -> F32x16 {
    // SAFETY: as the caller promises; the column has as many numbers as two registers.
    unsafe {
        let from = column.as_ptr();
        F32x16(_mm512_permutex2var_ps(_mm512_load_ps(from), place, _mm512_load_ps(from.add(16))))
    }
}

lanes!(F32x16 of f32, _mm512_set1_ps;
    neg_mul_add |a, b, c| _mm512_fnmadd_ps(a, b, c);
    copysign |a, b| {
        let (a, b) = (_mm512_castps_si512(a), _mm512_castps_si512(b));
        _mm512_castsi512_ps(_mm512_ternarylogic_epi32::<BY_SIGN>(a, b, _mm512_set1_epi32(i32::MIN)))
    };
    at_most |a, b| _mm512_min_ps(b, a);
    at_least |a, b| _mm512_max_ps(b, a);
    round |a| _mm512_roundscale_ps::<0x08>(a);
    scale |a, n| _mm512_scalef_ps(a, n);
    exponent |a| _mm512_getexp_ps(a);
    less |a, b, yes, no| _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b), no, yes);
    tanh |a| tanh_by_table(F32x16(a)).0;
);
