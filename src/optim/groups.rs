//! Other settings for some parameters, chosen by name.

use super::{Descent, Rate};
use crate::{BadSetting, Number, Parameters, Path, Piece, Rule};

/// A rule whose settings are changed for some parameters. [`Descent::groups`] makes one.
#[derive(Clone, Debug)]
pub struct Groups<R, F> {
    /// The settings for all other parameters.
    pub rule: R,
    of: F,
}

impl<R, G, const N: usize> Descent<R, G, N> {
    /// Changes the settings for some parameters: `f` gets the path of a parameter and the rule for it. It may
    /// change the rate, the decay and other settings, but not those from which a rule computes something
    /// for all parameters at the beginning of a step: the β and ε of Adam and its relatives. What `f` sets is
    /// not checked. Multiply the rate (`adam.rate *= 0.1`): a rate that is set takes the place of the rate of a schedule.
    ///
    /// ```
    /// use chainrule::{Adam, Affine, D1, Decay, Network, Optimizer, Relu, SoftmaxCrossEntropy};
    /// use nalgebra::{Const, SMatrix};
    /// # use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
    /// type Net = Network<f64, D1<2>, (Affine<f64, 2, 8>, Relu, Affine<f64, 8, 2>), SoftmaxCrossEntropy>;
    ///
    /// # let mut net = Net::init(&mut Xoshiro128PlusPlus::seed_from_u64(0));
    /// let mut adam = Adam::decoupled(1e-3, 1e-2).groups(|path, adam| {
    ///     // The first layer learns more slowly, and the weight of the last has no decay.
    ///     if path.starts_with("0") {
    ///         adam.rate *= 0.1;
    ///     }
    ///     if *path == *"2.weight" {
    ///         adam.decay = Decay::None;
    ///     }
    /// });
    /// # let mut work = Net::workspace(Const::<2>);
    /// adam.train_step(&mut net, &SMatrix::identity(), &[0, 1], &mut work)?;
    /// # Ok::<_, chainrule::StepError>(())
    /// ```
    #[doc(alias("param_groups"))]
    pub fn groups<T, F>(self, f: F) -> Descent<Groups<R, F>, G, N>
    where
        T: Number,
        R: Rule<T, N> + Rate<T>,
        F: Fn(&Path, &mut R) + 'static,
    {
        self.wrap(|rule| Groups { rule, of: f })
    }
}

impl<T: Number, R: Rule<T, N> + Rate<T>, F: Fn(&Path, &mut R) + 'static, const N: usize> Rule<T, N>
    for Groups<R, F>
{
    type Way = R::Way;
    const NAME: &'static str = R::NAME;

    #[inline(always)]
    fn begin(&mut self, step: u64) -> Result<(), BadSetting> {
        self.rule.begin(step)
    }

    #[inline(always)]
    fn look<G: Parameters<T>>(&mut self, gradient: &G) {
        self.rule.look(gradient);
    }

    #[inline(always)]
    fn update(&self, piece: Piece<T, N>) {
        let mut rule = self.rule.clone();
        (self.of)(piece.path, &mut rule);
        rule.update(piece);
    }
}
