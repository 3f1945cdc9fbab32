//! Whether a tree of parameters is one: the same leaves by every method, with their gradients beside them.

use super::{Real, report::Holds};
use crate::{
    params::{Leaf, LeafMut, Parameters, Role},
    path::Path,
    zeros::Zeros,
};
use alloc::{
    boxed::Box,
    format,
    string::{String, ToString},
    vec::Vec,
};

/// A leaf as it was seen.
struct Seen {
    name: String,
    role: Role,
    shape: (usize, usize),
    values: Vec<f64>,
}

impl Seen {
    fn head(&self) -> (&str, Role, (usize, usize)) {
        (&self.name, self.role, self.shape)
    }
}

/// What `visit` shows.
fn seen<T: Real, P: Parameters<T>>(tree: &P) -> Vec<Seen> {
    let mut all = Vec::new();
    tree.visit(&Path::ROOT, &mut |leaf: Leaf<T>| {
        let Leaf { path, role, shape, values, .. } = leaf;
        let values = values.iter().map(|value| value.widen()).collect();
        all.push(Seen { name: path.to_string(), role, shape, values });
    });
    all
}

/// Makes the numbers of a tree `from`, `from` + 1, …, by `visit_mut`, which shows these leaves.
fn count<T: Real, P: Parameters<T>>(tree: &mut P, from: usize) -> Vec<Seen> {
    let (mut all, mut next) = (Vec::new(), from as f64);
    tree.visit_mut(None, [], &Path::ROOT, &mut |leaf: LeafMut<T, 0>| {
        let LeafMut { path, role, shape, values, .. } = leaf;
        let mut seen = Seen { name: path.to_string(), role, shape, values: Vec::new() };
        for value in values {
            *value = T::narrow(next);
            seen.values.push(next);
            next += 1.0;
        }
        all.push(seen);
    });
    all
}

/// What the methods of one tree show.
struct Tree {
    /// `visit`.
    before: Vec<Seen>,
    /// `visit_mut`, which numbers it.
    counted: Vec<Seen>,
    /// `visit` then.
    after: Vec<Seen>,
    /// `visit` of what `map_scalar` makes of that.
    mapped: Vec<Seen>,
    /// In which order `map_scalar` goes.
    order: Vec<f64>,
    count: usize,
}

fn gather<T: Real, P: Parameters<T>>(tree: &mut P) -> Tree {
    let (before, counted) = (seen(tree), count(tree, 1));
    let (after, mut order) = (seen(tree), Vec::new());
    let mapped = tree.map_scalar(&mut |value| {
        order.push(value.widen());
        value.widen()
    });
    Tree { before, counted, after, mapped: seen::<f64, _>(&mapped), order, count: P::COUNT }
}

/// Checks a tree and the tree of its gradients.
pub(super) fn check<T: Real, L>(layer: &L) -> Holds
where
    L: Parameters<T, With<T> = L>,
{
    let mut copy = layer.map_scalar(&mut |value| value);
    let tree = gather(&mut copy);
    let [mut gradient, mut one, mut two] = [(); 3].map(|()| Box::<L::Gradient>::zeros());
    let zeros = [seen(&*gradient), seen(&L::Gradient::zeros())];
    let of_gradient = gather(&mut *gradient);
    let (of_one, of_two) = (count(&mut *one, 1_000_000), count(&mut *two, 2_000_000));
    let mut beside = Vec::new();
    let states = [&mut *one, &mut *two];
    copy.visit_mut(Some(&*gradient), states, &Path::ROOT, &mut |leaf: LeafMut<T, 2>| {
        let LeafMut { path, gradient, state: [one, two], .. } = leaf;
        let wide = |values: &[T]| values.iter().map(|value| value.widen()).collect();
        beside.push((path.to_string(), [wide(gradient), wide(one), wide(two)]));
    });
    gradient.set_zero();
    judge(&tree, "")?;
    judge(&of_gradient, " of the gradient")?;
    for (seen, method) in zeros.iter().zip(["zeros_in", "zeros"]) {
        all_zero(seen, method)?;
    }
    all_zero(&seen(&*gradient), "set_zero")?;
    paired(&tree.after, &of_gradient.after, [&of_one, &of_two], &beside)
}

/// Whether all methods go through the same leaves in the same order.
fn judge(tree: &Tree, of: &str) -> Holds {
    let Tree { before, counted, after, mapped, order, count } = tree;
    let mut numbers = 0;
    for (i, leaf) in before.iter().enumerate() {
        let Seen { name, shape, values, .. } = leaf;
        numbers += values.len();
        let whole = values.len() == shape.0 * shape.1;
        ensure(whole, name, || "it has another number of values than its shape".into())?;
        let twice = before.iter().skip(i + 1).any(|other| other.name == *name);
        ensure(!twice, name, || "two leaves have this name".into())?;
    }
    for ((leaf, counted), after) in before.iter().zip(counted).zip(after) {
        ensure(leaf.head() == counted.head(), &leaf.name, || {
            format!("`visit_mut`{of} shows {:?} where `visit` shows this", counted.head())
        })?;
        ensure(counted.values == after.values, &leaf.name, || {
            format!("`visit_mut`{of} shows other numbers than `visit`")
        })?;
    }
    ensure(before.len() == counted.len(), "all", || {
        format!("`visit` and `visit_mut`{of} show not the same number of leaves")
    })?;
    ensure(numbers == *count, "all", || {
        format!("COUNT{of} is {count}, but the leaves have {numbers} numbers")
    })?;
    for (leaf, mapped) in after.iter().zip(mapped) {
        let same = leaf.head() == mapped.head() && leaf.values == mapped.values;
        ensure(same, &leaf.name, || {
            format!("`map_scalar`{of} gives this leaf the numbers of another")
        })?;
    }
    ensure(order.iter().copied().eq((1..=numbers).map(|i| i as f64)), "all", || {
        format!("`map_scalar`{of} does not go through the leaves as `visit` does")
    })
}

/// Whether each leaf that learns stands beside its own gradient and state.
fn paired(
    leaves: &[Seen],
    gradient: &[Seen],
    states: [&Vec<Seen>; 2],
    beside: &[(String, [Vec<f64>; 3])],
) -> Holds {
    let learns = || leaves.iter().filter(|leaf| leaf.role != Role::Frozen);
    for (leaf, gradient) in learns().zip(gradient) {
        ensure(leaf.head() == gradient.head(), &leaf.name, || {
            format!("the gradient has {:?} in its place", gradient.head())
        })?;
    }
    ensure(learns().count() == gradient.len(), "all", || "the gradient has other leaves".into())?;
    for (name, found) in beside {
        for (found, tree) in found.iter().zip([gradient, states[0], states[1]]) {
            let of_leaf = tree.iter().find(|leaf| leaf.name == *name);
            let expected = of_leaf.map_or(&[][..], |leaf| &leaf.values);
            ensure(found == expected, name, || {
                "`visit_mut` shows it beside the gradient or state of another leaf".into()
            })?;
        }
    }
    Ok(())
}

fn all_zero(leaves: &[Seen], method: &str) -> Holds {
    leaves.iter().try_for_each(|leaf| {
        let zero = leaf.values.iter().all(|value| *value == 0.0);
        ensure(zero, &leaf.name, || format!("`{method}` of the gradient leaves numbers in it"))
    })
}

fn ensure(holds: bool, leaf: &str, cause: impl FnOnce() -> String) -> Holds {
    if holds { Ok(()) } else { Err((leaf.to_string(), cause())) }
}
