//! The derivative of the gradient.

use super::{
    guarded,
    oracle::{Comparison, KINK, NOISE, direction, number, spread},
    report::Worst,
    stencil::{FINE, STEPS, Stencil, step},
};
use alloc::{vec, vec::Vec};

impl Comparison<'_, '_> {
    /// The gradient's derivative in a random direction: by the backward pass over dual numbers against
    /// differences of gradients; and as the second derivatives are symmetric, u·Hv is v·Hu.
    pub fn second_order(&mut self, ulps: f64) {
        let dy = self.dy;
        let [u, v] = [4, 5].map(|salt| direction(&self.case, salt, self.subject.point.len()));
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let curvatures = guarded(|| [&u, &v].map(|along| self.subject.curvature(dy, along, &[])));
        let [hu, hv] = match curvatures {
            Ok(curvatures) => curvatures,
            Err(reason) => {
                self.report.entry("second order", "all").skip(&reason);
                self.report.entry("symmetry", "all").skip(&reason);
                return;
            }
        };
        let h = step(None);
        let lines = [h, h / FINE]
            .map(|h| (h, STEPS.map(|step| self.subject.gradient_near(dy, &v, step * h))));
        let mut noise = vec![0.0; self.subject.point.len()];
        for salt in 10..14 {
            let by = self.jitter(salt, 2.0 * f64::EPSILON);
            spread(&mut noise, &lines[0].1[2], &self.subject.gradient_near(dy, &by, 1.0));
        }
        let mut slopes = Vec::new();
        for ((place, _), &found) in self.gradient().into_iter().zip(&hv) {
            let noise = NOISE * number(&noise, place.at);
            let slope = self.acquit(h, |all, h| {
                let scale = all.tolerance.scale(place.at);
                let gradients = if h < lines[0].0 { &lines[1].1 } else { &lines[0].1 };
                let (expected, error) = Stencil::of(gradients, place.at, h).slope(scale)?;
                let allowed = 4.0 * error + (64.0 * f64::EPSILON * scale + noise) / h;
                let scale = scale + found.abs();
                Some(Worst { entry: place.entry, found, expected, scale, allowed })
            });
            slopes.push((place, slope));
        }
        // All entries move along one line. Where one sees a branch change, no difference proves a fault.
        let kink = slopes.iter().any(|(_, slope)| slope.is_none());
        for (place, slope) in slopes {
            let check = self.report.entry("second order", &place.leaf);
            match slope.filter(|worst| worst.right() || !kink) {
                Some(worst) => check.compare(worst),
                None => check.skip(KINK),
            }
        }
        let (found, expected) = (dot(&u, &hv), dot(&v, &hu));
        let terms = u.iter().zip(&hv).chain(v.iter().zip(&hu)).map(|(a, b)| (a * b).abs());
        let scales = u.iter().zip(&self.tolerance.scale).map(|(u, scale)| (u * scale).abs());
        let scale = terms.sum::<f64>() + scales.fold(0.0, f64::max);
        let allowed = 4.0 * ulps * f64::EPSILON * scale;
        let mut worst = Worst { entry: (0, 0), found, expected, scale, allowed };
        if !worst.right() {
            let uneven = self.uneven(found - expected, f64::EPSILON, |all, by| {
                let [hu, hv] = [&u, &v].map(|along| all.subject.curvature(dy, along, by));
                Some(dot(&u, &hv) - dot(&v, &hu))
            });
            worst.allowed = allowed.max(uneven);
        }
        self.report.entry("symmetry", "all").compare(worst);
    }
}
