//! The package: the licences and Rust versions of its dependencies, and which types threads may share.

use chainrule::{
    Adam, D1, Descent, Memory, Network, Predictor, Sgd, SoftmaxCrossEntropy, StepError, Trainer,
    Training, TwoLayerNet, Workspace,
    data::{DataError, Dataset, FileError},
    files::{Checkpoint, LoadError, Loading},
};
use nalgebra::{Const, Dyn};
use serde_json::Value;
use std::{collections::BTreeSet, process::Command};

type Net = TwoLayerNet<f32, 8, 16, 4>;
type Layers = (chainrule::Affine<f32, 8, 16>, chainrule::Relu, chainrule::Affine<f32, 16, 4>);
type Gradient = <Layers as chainrule::Parameters<f32>>::Gradient;

#[test]
fn threads_can_share_and_send() {
    fn both<T: Send + Sync>() {}
    both::<Net>();
    both::<Network<f64, D1<8>, (), SoftmaxCrossEntropy>>();
    both::<Workspace<f32, D1<8>, Layers, Const<4>>>();
    both::<Workspace<f32, D1<8>, Layers, Dyn>>();
    both::<Predictor<f32, D1<8>, Layers, Dyn>>();
    both::<Descent<Sgd<f32>, Gradient, 0>>();
    both::<Descent<Adam<f32>, Gradient, 2>>();
    both::<Dataset<Vec<[f32; 8]>, Vec<usize>>>();
    both::<(Trainer<Dyn, f32>, Training<Dyn>, Checkpoint, Loading, Memory)>();
    both::<(StepError, DataError, FileError, LoadError)>();
}

/// All features. A dependency may be used under the MIT licence or one as permissive, and needs no later Rust.
#[test]
fn licences_and_rust_versions() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--format-version", "1", "--all-features", "--offline"]);
    let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    let Ok(metadata) = serde_json::from_slice::<Value>(&output.stdout) else {
        println!("skipped: {}", String::from_utf8_lossy(&output.stderr));
        return;
    };
    let list = |value: &Value| value.as_array().unwrap().clone();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let nodes = list(&metadata["resolve"]["nodes"]);
    let (mut seen, mut next) = (BTreeSet::new(), vec![text(&metadata["resolve"]["root"]).unwrap()]);
    while let Some(id) = next.pop() {
        let node = nodes.iter().find(|node| node["id"] == *id).unwrap();
        if seen.insert(id) {
            // Leave out the crates that only tests and examples need.
            let used =
                |dep: &&Value| list(&dep["dep_kinds"]).iter().any(|kind| kind["kind"] != "dev");
            let deps = list(&node["deps"]);
            next.extend(deps.iter().filter(used).map(|dep| text(&dep["pkg"]).unwrap()));
        }
    }
    let packages = list(&metadata["packages"]);
    let package = |id: &String| packages.iter().find(|package| package["id"] == **id).unwrap();
    let version = |version: &str| -> Vec<u32> {
        version.split('.').map(|part| part.parse().unwrap()).collect()
    };
    let ours = version("1.89");
    for package in seen.iter().map(package) {
        let (name, licence) = (&package["name"], text(&package["license"]).unwrap());
        let permissive = ["MIT", "Apache-2.0", "Zlib", "BSD-3-Clause", "BSD-2-Clause", "0BSD"];
        assert!(permissive.iter().any(|known| licence.contains(known)), "{name}: {licence}");
        if let Some(needs) = text(&package["rust_version"]) {
            assert!(version(&needs)[..2] <= ours[..2], "{name} needs Rust {needs}");
        }
    }
    assert!(seen.len() > 10, "{seen:?}");
}
