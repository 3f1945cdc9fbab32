//! The arithmetic of the scalar that carries derivatives.

pub use crate::kernel::Jet;
use crate::shape::Number;
use approx::{AbsDiffEq, RelativeEq, UlpsEq};
use core::{
    cmp::Ordering,
    fmt,
    ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Rem, RemAssign, Sub, SubAssign},
};
use nalgebra::{ComplexField, Field, RealField};
use num_traits::{FromPrimitive, Num, One, Signed, Zero};
use simba::scalar::{SubsetOf, SupersetOf};

impl<T: Number, const K: usize> Jet<T, K> {
    /// A number with these derivatives.
    #[inline(always)]
    pub const fn along(value: T, slopes: [T; K]) -> Self {
        Jet { value, slopes }
    }

    /// f(u), from its value and its derivative at u.
    #[inline(always)]
    fn chain(mut self, value: T, slope: T) -> Self {
        self.slopes.iter_mut().for_each(|d| *d *= slope);
        Jet { value, slopes: self.slopes }
    }

    /// f(u, v), from its value and its derivatives with respect to u and v.
    #[inline(always)]
    fn join(self, other: Self, value: T, a: T, b: T) -> Self {
        let mut slopes = self.slopes;
        slopes.iter_mut().zip(&other.slopes).for_each(|(d, &e)| *d = *d * a + e * b);
        Jet { value, slopes }
    }
}

impl<T: Number, const K: usize> From<T> for Jet<T, K> {
    #[inline(always)]
    fn from(value: T) -> Self {
        Jet { value, slopes: [T::zero(); K] }
    }
}

/// The value for the values `a` and `b`; each slope for the slopes `d` and `e`.
macro_rules! operators {
    ($($op:ident $f:ident $assign:ident $g:ident
        |$a:ident, $b:ident| $value:expr, |$d:ident, $e:ident| $slope:expr;)*) => { $(
        impl<T: Number, const K: usize> $assign for Jet<T, K> {
            #[inline(always)]
            fn $g(&mut self, other: Self) {
                let ($a, $b) = (self.value, other.value);
                self.value = $value;
                for ($d, &$e) in self.slopes.iter_mut().zip(&other.slopes) {
                    *$d = $slope;
                }
            }
        }

        impl<T: Number, const K: usize> $op for Jet<T, K> {
            type Output = Self;

            #[inline(always)]
            fn $f(mut self, other: Self) -> Self {
                self.$g(other);
                self
            }
        }
    )* };
}
operators! {
    Add add AddAssign add_assign |a, b| a + b, |d, e| *d + e;
    Sub sub SubAssign sub_assign |a, b| a - b, |d, e| *d - e;
    Mul mul MulAssign mul_assign |a, b| a * b, |d, e| *d * b + e * a;
    Div div DivAssign div_assign |a, b| a / b, |d, e| (*d - e * (a / b)) * (T::one() / b);
    Rem rem RemAssign rem_assign |a, b| a % b, |d, e| *d + e * -(a / b).trunc();
}

impl<T: Number, const K: usize> Neg for Jet<T, K> {
    type Output = Self;

    #[inline(always)]
    fn neg(self) -> Self {
        Jet { value: -self.value, slopes: self.slopes.map(T::neg) }
    }
}

impl<T: Number, const K: usize> PartialEq for Jet<T, K> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Number, const K: usize> PartialOrd for Jet<T, K> {
    #[inline(always)]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.value.partial_cmp(&other.value)
    }
}

/// The value, then the derivatives in brackets.
impl<T: Number, const K: usize> fmt::Display for Jet<T, K> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        fmt::Display::fmt(&self.value, f)?;
        f.write_str(" [")?;
        for (i, slope) in self.slopes.iter().enumerate() {
            f.write_str(if i > 0 { ", " } else { "" })?;
            fmt::Display::fmt(slope, f)?;
        }
        f.write_str("]")
    }
}

impl<T: Number, const K: usize> Zero for Jet<T, K> {
    #[inline(always)]
    fn zero() -> Self {
        T::zero().into()
    }

    fn is_zero(&self) -> bool {
        self.value.is_zero() && self.slopes.iter().all(T::is_zero)
    }
}

impl<T: Number, const K: usize> One for Jet<T, K> {
    #[inline(always)]
    fn one() -> Self {
        T::one().into()
    }
}

impl<T: Number, const K: usize> Num for Jet<T, K> {
    type FromStrRadixErr = T::FromStrRadixErr;

    fn from_str_radix(text: &str, radix: u32) -> Result<Self, Self::FromStrRadixErr> {
        T::from_str_radix(text, radix).map(Self::from)
    }
}

/// Functions that depend only on the value.
macro_rules! of_value {
    ($($f:ident)*) => {
        $(fn $f(&self) -> bool { self.value.$f() })*
    };
}

/// Functions that follow from others.
macro_rules! derived {
    ($($f:ident |$x:ident $(, $other:ident)*| $result:expr;)*) => { $(
        #[inline(always)]
        fn $f(self $(, $other: Self)*) -> Self {
            let $x = self;
            $result
        }
    )* };
}

/// Functions of one number: the derivative for x and the value y.
macro_rules! smooth {
    ($($f:ident |$x:ident, $y:ident| $slope:expr;)*) => { $(
        #[inline(always)]
        fn $f(self) -> Self {
            let $x = self.value;
            let $y = $x.$f();
            self.chain($y, $slope)
        }
    )* };
}

impl<T: Number, const K: usize> Signed for Jet<T, K> {
    fn abs(&self) -> Self {
        if self.value.is_sign_negative() { -*self } else { *self }
    }

    fn abs_sub(&self, other: &Self) -> Self {
        if *self <= *other { Self::zero() } else { *self - *other }
    }

    fn signum(&self) -> Self {
        Signed::signum(&self.value).into()
    }

    of_value! { is_positive is_negative }
}

impl<T: Number, const K: usize> FromPrimitive for Jet<T, K> {
    fn from_i64(n: i64) -> Option<Self> {
        T::from_i64(n).map(Self::from)
    }

    fn from_u64(n: u64) -> Option<Self> {
        T::from_u64(n).map(Self::from)
    }

    fn from_f64(n: f64) -> Option<Self> {
        T::from_f64(n).map(Self::from)
    }
}

macro_rules! subset {
    ($($from:ty)*) => { $(
        impl<T: Number, const K: usize> SubsetOf<Jet<T, K>> for $from {
            #[inline(always)]
            fn to_superset(&self) -> Jet<T, K> {
                T::from_subset(self).into()
            }

            #[inline(always)]
            fn from_superset_unchecked(jet: &Jet<T, K>) -> Self {
                jet.value.to_subset_unchecked()
            }

            #[inline(always)]
            fn is_in_subset(jet: &Jet<T, K>) -> bool {
                SupersetOf::<$from>::is_in_subset(&jet.value) && jet.slopes.iter().all(T::is_zero)
            }
        }
    )* };
}
subset!(f32 f64);

impl<T: Number, const K: usize> SubsetOf<Self> for Jet<T, K> {
    fn to_superset(&self) -> Self {
        *self
    }

    fn from_superset_unchecked(jet: &Self) -> Self {
        *jet
    }

    fn is_in_subset(_: &Self) -> bool {
        true
    }
}

impl<T: Number, const K: usize> Field for Jet<T, K> {}

impl<T: Number, const K: usize> AbsDiffEq for Jet<T, K> {
    type Epsilon = Self;

    fn default_epsilon() -> Self {
        T::default_epsilon().into()
    }

    fn abs_diff_eq(&self, other: &Self, epsilon: Self) -> bool {
        self.value.abs_diff_eq(&other.value, epsilon.value)
    }
}

impl<T: Number, const K: usize> RelativeEq for Jet<T, K> {
    fn default_max_relative() -> Self {
        T::default_max_relative().into()
    }

    fn relative_eq(&self, other: &Self, epsilon: Self, max_relative: Self) -> bool {
        self.value.relative_eq(&other.value, epsilon.value, max_relative.value)
    }
}

impl<T: Number, const K: usize> UlpsEq for Jet<T, K> {
    fn default_max_ulps() -> u32 {
        T::default_max_ulps()
    }

    fn ulps_eq(&self, other: &Self, epsilon: Self, max_ulps: u32) -> bool {
        self.value.ulps_eq(&other.value, epsilon.value, max_ulps)
    }
}

impl<T: Number, const K: usize> ComplexField for Jet<T, K> {
    type RealField = Self;

    smooth! {
        recip |_x, y| -(y * y);
        sin |x, _y| x.cos();
        cos |x, _y| -x.sin();
        tan |_x, y| T::one() + y * y;
        asin |x, _y| (T::one() - x * x).sqrt().recip();
        acos |x, _y| -(T::one() - x * x).sqrt().recip();
        atan |x, _y| (T::one() + x * x).recip();
        sinh |x, _y| x.cosh();
        cosh |x, _y| x.sinh();
        tanh |_x, y| T::one() - y * y;
        asinh |x, _y| (x * x + T::one()).sqrt().recip();
        acosh |x, _y| (x * x - T::one()).sqrt().recip();
        atanh |x, _y| (T::one() - x * x).recip();
        log2 |x, _y| (x * T::ln_2()).recip();
        log10 |x, _y| (x * T::ln_10()).recip();
        ln |x, _y| x.recip();
        ln_1p |x, _y| (x + T::one()).recip();
        sqrt |_x, y| (y + y).recip();
        exp |_x, y| y;
        exp2 |_x, y| y * T::ln_2();
        exp_m1 |_x, y| y + T::one();
        cbrt |x, y| y / (x + x + x);
    }

    derived! {
        real |x| x;
        conjugate |x| x;
        imaginary |_x| Self::zero();
        abs |x| Signed::abs(&x);
        modulus |x| x.abs();
        norm1 |x| x.abs();
        modulus_squared |x| x * x;
        argument |x| x.value.argument().into();
        floor |x| x.value.floor().into();
        ceil |x| x.value.ceil().into();
        round |x| x.value.round().into();
        trunc |x| x.value.trunc().into();
        fract |x| x - x.trunc();
        scale |x, factor| x * factor;
        unscale |x, factor| x / factor;
        mul_add |x, a, b| x * a + b;
        log |x, base| x.ln() / base.ln();
        powc |x, n| x.powf(n);
    }

    fn from_real(value: Self) -> Self {
        value
    }

    fn sin_cos(self) -> (Self, Self) {
        (self.sin(), self.cos())
    }

    fn hypot(self, other: Self) -> Self {
        let y = self.value.hypot(other.value);
        self.join(other, y, self.value / y, other.value / y)
    }

    fn powi(self, n: i32) -> Self {
        let slope =
            T::from_i32(n).map_or_else(T::zero, |n_| n_ * self.value.powi(n.wrapping_sub(1)));
        self.chain(self.value.powi(n), if n == 0 { T::zero() } else { slope })
    }

    fn powf(self, n: Self) -> Self {
        let (x, y) = (self.value, self.value.powf(n.value));
        let a = n.value * x.powf(n.value - T::one());
        let b = if n.slopes.iter().all(T::is_zero) { T::zero() } else { y * x.ln() };
        self.join(n, y, a, b)
    }

    fn is_finite(&self) -> bool {
        self.value.is_finite() && self.slopes.iter().all(T::is_finite)
    }

    fn try_sqrt(self) -> Option<Self> {
        (self.value >= T::zero()).then(|| self.sqrt())
    }
}

macro_rules! constants {
    ($($constant:ident)*) => {
        $(fn $constant() -> Self { T::$constant().into() })*
    };
}

impl<T: Number, const K: usize> RealField for Jet<T, K> {
    constants! {
        pi two_pi frac_pi_2 frac_pi_3 frac_pi_4 frac_pi_6 frac_pi_8 frac_1_pi frac_2_pi frac_2_sqrt_pi
        e log2_e log10_e ln_2 ln_10
    }

    of_value! { is_sign_positive is_sign_negative }

    derived! {
        copysign |x, sign| if x.is_sign_negative() == sign.is_sign_negative() { x } else { -x };
        // As `f64`'s: of a number and a NaN, the number.
        max |x, other| if x.value.max(other.value) == x.value { x } else { other };
        min |x, other| if x.value.min(other.value) == x.value { x } else { other };
        clamp |x, min, max| if x < min { min } else if x > max { max } else { x };
    }

    fn atan2(self, other: Self) -> Self {
        let (y, x) = (self.value, other.value);
        let square = x * x + y * y;
        self.join(other, y.atan2(x), x / square, -y / square)
    }

    fn min_value() -> Option<Self> {
        T::min_value().map(Self::from)
    }

    fn max_value() -> Option<Self> {
        T::max_value().map(Self::from)
    }
}
