//! What must hold of a backward pass whatever its layer computes.

use super::{
    GradCheck, Real, Report, Worst,
    oracle::entries,
    subject::{OfLayer, Run, batch, forward, run},
};
use crate::{layer::Layer, pass::Pass, shape::Flat};
use alloc::{vec, vec::Vec};
use nalgebra::Dyn;

pub(super) fn check<T: Real, In: Flat, L: Layer<T, In> + Sync>(
    subject: &OfLayer<T, In, L>,
    dy: &[f64],
    scale: &[f64],
    check: &GradCheck,
    report: &mut Report,
) where
    L::Out: Flat,
{
    let OfLayer { layer, x, size, pass, .. } = subject;
    let plain = Run::plain(pass);
    let dy: Vec<T> = dy.iter().map(|&dy| T::narrow(dy)).collect();
    let go = |dy: &[T], how: Run<T>| run::<T, In, L>(layer, x, dy, how);
    let (y, gradient) = go(&dy, plain);
    let tolerance = check.ulps.0 * T::ULP;

    // For dy and another one: 2 and -½ times a number are exact.
    let mut other = vec![T::zero(); dy.len()];
    check.case.fill(6, &mut other);
    let [two, half] = [2.0, -0.5].map(T::narrow);
    let both: Vec<T> = dy.iter().zip(&other).map(|(&u, &v)| two * u + half * v).collect();
    let (_, of_other) = go(&other, plain);
    let sum: Vec<T> = gradient.iter().zip(&of_other).map(|(&u, &v)| two * u + half * v).collect();
    let top = other.iter().fold(0.0, |top: f64, v| top.max(v.widen().abs()));
    let scales = scale.iter().zip(&of_other).map(|(s, g)| 4.0 * s + g.widen().abs() + top);
    let scales: Vec<f64> = scales.collect();

    // Entry by entry, leaf by leaf; bit for bit where nothing may be rounded otherwise.
    let mut same = |property, scales: &[f64], tolerance: f64, found: &[T], expected: &[T]| {
        let found: Vec<f64> = found.iter().map(|g| g.widen()).collect();
        for (variable, entry, at, &found) in entries(&subject.variables, &found) {
            let expected = expected.get(at).map_or(f64::NAN, |g| g.widen());
            let scale = scales.get(at).copied().unwrap_or(1.0);
            let worst = Worst { entry, found, expected, scale, allowed: tolerance * scale };
            report.entry(property, &variable.name).compare(worst);
        }
    };
    same("linearity", &scales, tolerance, &go(&both, plain).1, &sum);

    // The rest is of the gradient's own scale.
    let zeros = vec![T::zero(); gradient.len()];
    same("zero", scale, 0.0, &go(&vec![T::zero(); dy.len()], plain).1, &zeros);

    // Parameters: twice added is twice as much; dx is not added to.
    let twice = go(&dy, Run { times: 2, ..plain }).1;
    let inputs = In::LEN * size.0;
    let doubled = |(i, &g): (usize, &T)| if i < inputs { g } else { g + g };
    let doubled: Vec<T> = gradient.iter().enumerate().map(doubled).collect();
    same("accumulation", scale, 2.0 * tolerance, &twice, &doubled);

    let nan = crate::shape::nan::<T>();
    let poisoned = Run { before: nan, ..plain };
    let overwritten = go(&dy, Run { overwrite: true, ..poisoned }).1;
    same("overwriting", scale, tolerance, &overwritten, &gradient);
    let used = go(&dy, Run { used_cache: true, ..poisoned }).1;
    same("used memory", scale, 0.0, &used, &gradient);

    // Each half of what is asked for, alone.
    let without_dw = go(&dy, Run { wanted: [true, false], ..plain }).1;
    let without_dx = go(&dy, Run { wanted: [false, true], ..plain }).1;
    let dx_alone = without_dw.get(..inputs).unwrap_or_default();
    let dw_alone = without_dx.get(inputs..).unwrap_or_default();
    same("parts", scale, 0.0, &[dx_alone, dw_alone].concat(), &gradient);

    if check.per_sample && *pass == Pass::Predict {
        let alone = subject.one_by_one(&dy);
        same("batch", scale, tolerance, &alone, &gradient);
    }

    let bits = |(y, gradient): (Vec<T>, Vec<T>)| -> Vec<u64> {
        y.iter().chain(&gradient).map(|v| v.widen().to_bits()).collect()
    };
    let here = bits((y, gradient));
    let numbers: Vec<T> = In::flat::<T, Dyn>(x).to_vec();
    let elsewhere = || {
        let x = batch::<T, In, _>(*size, numbers.iter().copied());
        bits(run::<T, In, L>(layer, &x, &dy, plain))
    };
    let threads = std::thread::scope(|scope| {
        let both = [scope.spawn(elsewhere), scope.spawn(elsewhere)];
        both.map(|thread| thread.join().ok())
    });
    let agree = bits(go(&dy, plain)) == here && threads.iter().all(|t| t.as_ref() == Some(&here));
    flag(report, "determinism", agree);

    flag(report, "NaN", subject.nan_arrives());
}

impl<T: Real, In: Flat, L: Layer<T, In>> OfLayer<'_, T, In, L>
where
    L::Out: Flat,
{
    /// dx and the parameters' gradient of each sample alone, the latter added up.
    fn one_by_one(&self, dy: &[T]) -> Vec<T> {
        let (mut dx, mut dw) = (Vec::new(), Vec::new());
        let samples = In::flat::<T, Dyn>(&self.x).chunks_exact(In::LEN.max(1));
        for (x, dy) in samples.zip(dy.chunks_exact(L::Out::LEN.max(1))).take(self.size.0) {
            let x = batch::<T, In, _>(Dyn(1), x.iter().copied());
            let (_, mut all) = run::<T, In, L>(self.layer, &x, dy, Run::plain(&Pass::Predict));
            let of_sample = all.split_off(In::LEN.min(all.len()));
            dx.append(&mut all);
            dw.resize(of_sample.len(), T::zero());
            dw.iter_mut().zip(of_sample).for_each(|(sum, dw)| *sum += dw);
        }
        dx.append(&mut dw);
        dx
    }

    /// Whether NaN in a number of the input is NaN somewhere in the output: in each of them in turn,
    /// or if there are more than 64, in as many that are spread over all.
    fn nan_arrives(&self) -> bool {
        let numbers = In::flat::<T, Dyn>(&self.x);
        // What a layer that draws drops cannot arrive.
        let all = 0..if self.pass == Pass::Predict { numbers.len() } else { 0 };
        all.step_by(numbers.len().div_ceil(64).max(1)).all(|at| {
            let of = |(i, &x)| if i == at { crate::shape::nan() } else { x };
            let x = batch::<T, In, _>(self.size, numbers.iter().enumerate().map(of));
            let y = forward::<T, In, L>(self.layer, &x, &self.pass);
            y.iter().any(|y| y.partial_cmp(y).is_none())
        })
    }
}

/// A property that holds or not, as a whole.
fn flag(report: &mut Report, property: &'static str, holds: bool) {
    let found = f64::from(u8::from(holds));
    let (entry, expected, scale, allowed) = ((0, 0), 1.0, 1.0, 0.0);
    report.entry(property, "all").compare(Worst { entry, found, expected, scale, allowed });
}
