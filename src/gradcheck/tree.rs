//! Checks a tree of parameters: every method must show the same leaves, with their gradients beside them.

use super::{
    layer::{leaves, leaves_mut},
    report::Holds,
};
use crate::{
    params::{Leaf, LeafMut, Parameters, Role},
    path::Path,
    shape::{Number, number},
    zeros::Zeros,
};
use alloc::{
    boxed::Box,
    format,
    string::{String, ToString},
    vec::Vec,
};

/// A leaf as a method shows it.
pub(super) struct Seen<T> {
    pub name: String,
    pub role: Role,
    shape: (usize, usize),
    pub values: Vec<T>,
}

impl<T> Seen<T> {
    fn head(&self) -> (&str, Role, (usize, usize)) {
        (&self.name, self.role, self.shape)
    }
}

/// The leaves that `visit` shows.
pub(super) fn seen<T: Number>(tree: &impl Parameters<T>) -> Vec<Seen<T>> {
    let mut all = Vec::new();
    leaves(tree, &mut |leaf: Leaf<T>| {
        let Leaf { path, role, shape, values, .. } = leaf;
        all.push(Seen { name: path.to_string(), role, shape, values: values.to_vec() });
    });
    all
}

/// Makes the numbers of a tree `from`, `from` + 1, …, by `visit_mut`, which shows these leaves.
fn count<T: Number>(tree: &mut impl Parameters<T>, from: usize) -> Vec<Seen<T>> {
    let (mut all, mut next) = (Vec::new(), from..);
    leaves_mut(tree, &mut |leaf: LeafMut<T, 0>| {
        let LeafMut { path, role, shape, values, .. } = leaf;
        values.iter_mut().zip(next.by_ref()).for_each(|(value, next)| *value = number(next));
        all.push(Seen { name: path.to_string(), role, shape, values: values.to_vec() });
    });
    all
}

/// Checks one tree, and leaves it with numbers from 1 on, which are returned.
fn check_one<T: Number, P: Parameters<T>>(
    tree: &mut P,
    of: &str,
) -> Result<Vec<Seen<T>>, (String, String)> {
    let (before, counted) = (seen(tree), count(tree, 1));
    let (after, mut order) = (seen(tree), Vec::new());
    let mapped = tree.map_scalar(&mut |value| {
        order.push(value);
        value
    });
    judge([&before, &counted, &after, &seen(&mapped)], &order, P::COUNT, of).map(|()| after)
}

/// Checks a tree and the tree of its gradients.
pub(super) fn check<T: Number, L: Parameters<T, With<T> = L>>(layer: &L) -> Holds {
    let mut copy = layer.map_scalar(&mut |value| value);
    let new = Box::<L::Gradient>::zeros;
    let (mut gradient, mut one, mut two) = (new(), new(), new());
    let (in_place, by_value) = (seen(&*gradient), seen(&L::Gradient::zeros()));
    let leaves = check_one(&mut copy, "")?;
    let of_gradient = check_one(&mut *gradient, " of the gradient")?;
    let (of_one, of_two) = (count(&mut *one, 1_000_000), count(&mut *two, 2_000_000));
    let mut beside = Vec::new();
    let states = [&mut *one, &mut *two];
    copy.visit_mut(Some(&*gradient), states, &Path::ROOT, &mut |leaf: LeafMut<T, 2>| {
        let LeafMut { path, gradient, state: [one, two], .. } = leaf;
        beside.push((path.to_string(), [gradient.to_vec(), one.to_vec(), two.to_vec()]));
    });
    gradient.set_zero();
    zeros(&in_place, "zeros_in")?;
    zeros(&by_value, "zeros")?;
    zeros(&seen(&*gradient), "set_zero")?;
    paired(&leaves, [&of_gradient, &of_one, &of_two], &beside)
}

/// Whether a gradient that this method made holds only zeros.
fn zeros<T: Number>(leaves: &[Seen<T>], method: &str) -> Holds {
    leaves.iter().try_for_each(|leaf| {
        ensure(leaf.values.iter().all(T::is_zero), &leaf.name, || {
            format!("`{method}` of the gradient leaves numbers in it")
        })
    })
}

/// Whether all methods go through the same leaves in the same order: `visit`, `visit_mut`, which numbers
/// them, `visit` then, and `visit` of what `map_scalar` makes of that, in this order.
fn judge<T: Number>(
    [before, counted, after, mapped]: [&[Seen<T>]; 4],
    order: &[T],
    count: usize,
    of: &str,
) -> Holds {
    let numbers: usize = before.iter().map(|leaf| leaf.values.len()).sum();
    for (i, Seen { name, shape, values, .. }) in before.iter().enumerate() {
        ensure(values.len() == shape.0 * shape.1, name, || {
            "it has another number of values than its shape".into()
        })?;
        let mut others = before.iter().skip(i + 1);
        ensure(others.all(|other| other.name != *name), name, || {
            "two leaves have this name".into()
        })?;
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
    ensure(numbers == count, "all", || {
        format!("COUNT{of} is {count}, but the leaves have {numbers} numbers")
    })?;
    for (leaf, mapped) in after.iter().zip(mapped) {
        let same = leaf.head() == mapped.head() && leaf.values == mapped.values;
        ensure(same, &leaf.name, || {
            format!("`map_scalar`{of} gives this leaf the numbers of another")
        })?;
    }
    ensure(order.iter().copied().eq((1..=numbers).map(number)), "all", || {
        format!("`map_scalar`{of} does not go through the leaves as `visit` does")
    })
}

/// Whether each leaf that learns stands beside its own gradient and state.
fn paired<T: Number>(
    leaves: &[Seen<T>],
    trees: [&[Seen<T>]; 3],
    beside: &[(String, [Vec<T>; 3])],
) -> Holds {
    let [gradient, ..] = trees;
    let learns = || leaves.iter().filter(|leaf| leaf.role != Role::Frozen);
    for (leaf, gradient) in learns().zip(gradient) {
        ensure(leaf.head() == gradient.head(), &leaf.name, || {
            format!("the gradient has {:?} in its place", gradient.head())
        })?;
    }
    ensure(learns().count() == gradient.len(), "all", || "the gradient has other leaves".into())?;
    for (name, found) in beside {
        let own = trees.map(|tree| tree.iter().find(|leaf| leaf.name == *name));
        let own = own.map(|leaf| leaf.map_or(&[][..], |leaf| &leaf.values));
        ensure(found.each_ref().map(|found| &found[..]) == own, name, || {
            "`visit_mut` shows it beside the gradient or state of another leaf".into()
        })?;
    }
    Ok(())
}

fn ensure(holds: bool, leaf: &str, cause: impl FnOnce() -> String) -> Holds {
    if holds { Ok(()) } else { Err((leaf.to_string(), cause())) }
}
