//! Whether a tree of parameters is one: the same leaves by every method, with their gradients beside them.

use crate::{
    params::{Leaf, LeafMut, Parameters, Role},
    path::Path,
    shape::{Scalar, number},
    zeros::Zeros,
};
use alloc::{
    boxed::Box,
    format,
    string::{String, ToString},
    vec::Vec,
};

/// A leaf as it was seen.
#[derive(Debug)]
struct Seen<T> {
    name: String,
    role: Role,
    shape: (usize, usize),
    values: Vec<T>,
}

impl<T> Seen<T> {
    fn head(&self) -> (&str, Role, (usize, usize)) {
        (&self.name, self.role, self.shape)
    }
}

/// The leaf, and what is wrong with it.
type Wrong = (String, String);

/// What `visit` shows.
fn seen<T: Scalar, P: Parameters<T>>(tree: &P) -> Vec<Seen<T>> {
    let mut all = Vec::new();
    tree.visit(&Path::ROOT, &mut |leaf: Leaf<T>| {
        let Leaf { path, role, shape, values } = leaf;
        all.push(Seen { name: path.to_string(), role, shape, values: values.to_vec() });
    });
    all
}

/// Makes the numbers of a tree `from`, `from` + 1, …, by `visit_mut`, which shows these leaves.
fn count<T: Scalar, P: Parameters<T>>(tree: &mut P, from: usize) -> Vec<Seen<T>> {
    let (mut all, mut next) = (Vec::new(), from);
    tree.visit_mut(None, [], &Path::ROOT, &mut |leaf: LeafMut<T, 0>| {
        for value in &mut *leaf.values {
            *value = number(next);
            next += 1;
        }
        let LeafMut { path, role, shape, values, .. } = leaf;
        all.push(Seen { name: path.to_string(), role, shape, values: values.to_vec() });
    });
    all
}

/// Checks a tree and the tree of its gradients.
pub(super) fn check<T: Scalar, L>(tree: &L) -> Result<(), Wrong>
where
    L: Parameters<T, With<T> = L>,
{
    let mut copy = tree.map_scalar(&mut |w| w);
    for (was, is) in seen(tree).iter().zip(seen(&copy)) {
        // As text, since NaN is not equal to itself.
        let [was_, is] = [&was.values, &is.values].map(|values| format!("{values:?}"));
        ensure(was_ == is, &was.name, "`map_scalar` gives this leaf the numbers of another")?;
    }
    let leaves = one_tree(&mut copy)?;
    let mut gradient = Box::<L::Gradient>::zeros();
    all_zero(&*gradient, "`zeros_in` of the gradient is not all zeros")?;
    all_zero(&L::Gradient::zeros(), "`zeros` of the gradient is not all zeros")?;
    let of_gradient = one_tree(&mut *gradient)?;
    let learns = || leaves.iter().filter(|leaf| leaf.role != Role::Frozen);
    for (leaf, gradient) in learns().zip(&of_gradient) {
        ensure(
            leaf.head() == gradient.head(),
            &leaf.name,
            &format!("its place in the gradient is taken by {:?}", gradient.head()),
        )?;
    }
    ensure(learns().count() == of_gradient.len(), "all", "the gradient has other leaves")?;

    let [mut one, mut two] = [(); 2].map(|()| Box::<L::Gradient>::zeros());
    let (one_seen, two_seen) = (count(&mut *one, 1_000_000), count(&mut *two, 2_000_000));
    let mut wrong = Ok(());
    copy.visit_mut(Some(&*gradient), [&mut *one, &mut *two], &Path::ROOT, &mut |leaf| {
        let LeafMut { path, role, gradient, state: [first, second], .. } = leaf;
        let beside: [&[T]; 3] = [gradient, first, second];
        let name = path.to_string();
        for (found, tree) in beside.into_iter().zip([&of_gradient, &one_seen, &two_seen]) {
            let of_leaf = tree.iter().find(|leaf| leaf.name == name && role != Role::Frozen);
            let expected = of_leaf.map_or(&[][..], |leaf| &leaf.values);
            if wrong.is_ok() && found != expected {
                let cause = "`visit_mut` shows it beside the gradient or state of another leaf";
                wrong = Err((name.clone(), cause.into()));
            }
        }
    });
    wrong?;
    gradient.set_zero();
    all_zero(&*gradient, "`set_zero` of the gradient leaves it as it was")
}

/// Checks that all methods go through the same leaves in the same order, and numbers the tree.
fn one_tree<T: Scalar, P: Parameters<T>>(tree: &mut P) -> Result<Vec<Seen<T>>, Wrong> {
    let before = seen(tree);
    let counted = count(tree, 1);
    let after = seen(tree);
    let mut numbers = 0;
    for (i, was) in before.iter().enumerate() {
        let name = &was.name;
        ensure(
            was.values.len() == was.shape.0 * was.shape.1,
            name,
            "it has another number of values than its shape",
        )?;
        numbers += was.values.len();
        let twice = before.iter().skip(i + 1).any(|leaf| leaf.name == was.name);
        ensure(!twice, name, "two leaves have this name")?;
    }
    for ((was, counted), after) in before.iter().zip(&counted).zip(&after) {
        ensure(
            was.head() == counted.head(),
            &was.name,
            &format!("`visit_mut` shows {:?} where `visit` shows this", counted.head()),
        )?;
        let same = counted.values == after.values;
        ensure(same, &was.name, "`visit_mut` shows other numbers than `visit`")?;
    }
    ensure(
        before.len() == counted.len(),
        "all",
        "`visit` and `visit_mut` show not the same number of leaves",
    )?;
    let said = format!("COUNT is {}, but the leaves have {numbers} numbers", P::COUNT);
    ensure(numbers == P::COUNT, "all", &said)?;
    let mut next = 0.0;
    let mapped = tree.map_scalar(&mut |_| {
        next += 1.0;
        next
    });
    let mut expected = 0.0;
    for leaf in seen::<f64, _>(&mapped) {
        for value in leaf.values {
            expected += 1.0;
            let cause = "`map_scalar` goes through the leaves in another order than `visit`";
            ensure(value == expected, &leaf.name, cause)?;
        }
    }
    ensure(next == expected, "all", "`map_scalar` maps not all numbers, or some twice")?;
    Ok(after)
}

fn all_zero<T: Scalar, P: Parameters<T>>(tree: &P, cause: &str) -> Result<(), Wrong> {
    seen(tree).iter().try_for_each(|leaf| {
        ensure(leaf.values.iter().all(|value| value.is_zero()), &leaf.name, cause)
    })
}

fn ensure(holds: bool, leaf: &str, cause: &str) -> Result<(), Wrong> {
    if holds { Ok(()) } else { Err((leaf.to_string(), cause.to_string())) }
}
