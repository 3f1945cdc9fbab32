//! Weights and trainings in files: files of PyTorch and of the crate, files for other nets, broken files, and trainings
//! that are killed.
//!
//! `tests/goldens/pytorch.py` wrote the files of PyTorch. `CHAINRULE_PYTHON` names a Python with torch and
//! safetensors (default `python3`); without one, the tests that need it are skipped. `CHAINRULE_MUTATIONS` and
//! `CHAINRULE_KILLS` are the numbers of broken files and of killed trainings.

use chainrule::{
    Adam, Affine, BatchNorm, Buffer, Conv2d, D1, Dense, Flatten, Frozen, Image, Images, LayerNorm,
    LeakyRelu, MaxPool2d, Network, Optimizer, Parameters, Path, Relu, Sgd, Sigmoid, Statistic,
    SumSquaredError, Tanh, Trainer, TrainerState, Training, TwoLayerNet,
    data::Dataset,
    files::{self, Checkpoint, LoadErrorKind, Loading, Stored},
    named, parameters,
};
use largest::LARGEST;
use nalgebra::{Const, SMatrix, SVector};
use rand::{Rng, SeedableRng, rngs::Xoshiro128PlusPlus};
use serde::de::DeserializeSeed;
use std::{
    env, fs,
    io::Write,
    ops::ControlFlow,
    path::{self, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

#[path = "fuzz/check.rs"]
mod check;
mod largest;

fn number(variable: &str, default: usize) -> usize {
    env::var(variable).map_or(default, |text| text.parse().unwrap())
}

fn rng() -> Xoshiro128PlusPlus {
    Xoshiro128PlusPlus::seed_from_u64(0)
}

fn goldens() -> PathBuf {
    path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens")
}

/// Inputs and outputs, with one sample in each row.
struct Case<T, const I: usize, const O: usize> {
    x: SMatrix<T, 4, I>,
    y: SMatrix<T, 4, O>,
}
parameters!(Case<T: scalar, const I: usize, const O: usize> { x: [4, I], y: [4, O] });

named!(Named { first: Affine<f32, 3, 5>, act: Relu, last: Affine<f32, 5, 2> });
type Mlp<T> = (Affine<T, 3, 5>, Relu, Affine<T, 5, 2>);
type Norms =
    (Affine<f32, 3, 5>, BatchNorm<f32, 5>, LeakyRelu, LayerNorm<f32, 5>, Affine<f32, 5, 2>);
type Thin = (Affine<f32, 1, 4>, Tanh, Affine<f32, 4, 1>);
type Nested = ((Affine<f64, 3, 4>, Sigmoid), Affine<f64, 4, 2>);
/// PyTorch's `Sequential(Conv2d, ReLU, MaxPool2d, Flatten, Linear)` with the same indices.
type Conv =
    (Conv2d<f32, 2, 3, 3, 1, 1>, Relu, MaxPool2d<2>, Flatten, Dense<f32, Image<3, 3, 3>, 2>);
type ConvNet = Network<f32, Image<2, 6, 6>, Conv, SumSquaredError>;

/// A file with a convolutional net of PyTorch, the net, its case, and the outputs of the crate.
fn convnet() -> (Vec<u8>, ConvNet, Case<f32, 72, 2>, SMatrix<f32, 4, 2>) {
    let path = goldens().join("pytorch/conv_f32.safetensors");
    let mut net = ConvNet::init(&mut rng());
    let loading = Loading { prefix: "net.", ..Loading::default() };
    net.load_weights_as(&path, &loading).unwrap();
    let mut case = Case { x: SMatrix::<f32, 4, 72>::zeros(), y: SMatrix::<f32, 4, 2>::zeros() };
    let loading = Loading { prefix: "case.", ..Loading::default() };
    let file = fs::read(&path).unwrap();
    files::load(&mut case, &file, &loading).unwrap();
    let mut x: Images<f32, Image<2, 6, 6>, Const<4>> = Buffer::new(Const::<4>);
    x.as_mut_slice().copy_from_slice(case.x.transpose().as_slice());
    let y = net.predict(&x).transpose();
    (file, net, case, y)
}

#[test]
fn a_convnet_from_pytorch() {
    let (file, net, case, y) = convnet();
    // Sums of at most 28 numbers below 4, each rounded to 2⁻²⁴, in two layers.
    assert!((y - case.y).amax() < 1e-6);
    // Saving writes the same tensors.
    let (theirs, ours) =
        (safetensors::SafeTensors::deserialize(&file).unwrap(), files::save(&net.layers));
    let ours = safetensors::SafeTensors::deserialize(&ours).unwrap();
    assert_eq!(ours.len() + 2, theirs.len());
    for (name, tensor) in ours.iter() {
        assert!(theirs.tensor(&format!("net.{name}")).unwrap() == tensor, "{name}");
    }
}

type Net<T, const I: usize, L> = Network<T, D1<I>, L, SumSquaredError>;

/// The net from the file gives PyTorch's outputs, and saving writes the tensors of the file. f32: sums of at most 6
/// numbers below 4, each rounded to 2⁻²⁴, in two layers.
macro_rules! from_pytorch {
    ($name:literal, $t:ident, $i:literal, $o:literal, $net:ty) => {{
        let path = goldens().join(concat!("pytorch/", $name, ".safetensors"));
        let mut net = <$net>::init(&mut rng());
        let loading = Loading { prefix: "net.", ..Loading::default() };
        let left = net.load_weights_as(&path, &loading).unwrap();
        assert!(left.is_empty());
        let (mut case, file): (Case<$t, $i, $o>, _) =
            (Case { x: SMatrix::zeros(), y: SMatrix::zeros() }, fs::read(&path).unwrap());
        let loading = Loading { prefix: "case.", ..Loading::default() };
        files::load(&mut case, &file, &loading).unwrap();
        let error = (net.predict(&case.x.transpose()) - case.y.transpose()).amax();
        assert!(error <= if $t::DTYPE == "F32" { 1e-6 } else { 1e-12 }, "{}: {error}", $name);
        net
    }};
}

/// Writes the file that `pytorch.py check` reads.
fn to_check<T: Stored, L, const I: usize, const O: usize>(
    name: &str,
    net: &Net<T, I, L>,
    folder: &path::Path,
) where
    L: chainrule::Layer<T, D1<I>, Out = D1<O>>,
{
    let mut rng = rng();
    let x = SMatrix::<T, I, 4>::from_fn(|_, _| {
        nalgebra::convert(f64::from(rng.next_u32()) / 2e9 - 1.0)
    });
    let case = Case { x: x.transpose(), y: net.predict(&x).transpose() };
    let file = joined(&files::save(&net.layers), &files::save(&case));
    fs::write(folder.join(name).with_extension("safetensors"), file).unwrap();
}

/// One file with the tensors of two files, under `net.` and `case.`.
fn joined(net: &[u8], case: &[u8]) -> Vec<u8> {
    use safetensors::{SafeTensors, serialize};
    let parts =
        [("net.", SafeTensors::deserialize(net)), ("case.", SafeTensors::deserialize(case))];
    let tensors = parts.iter().flat_map(|(prefix, tensors)| {
        let tensors = tensors.as_ref().unwrap().tensors().into_iter();
        tensors.map(move |(name, tensor)| (format!("{prefix}{name}"), tensor))
    });
    serialize(tensors.collect::<Vec<_>>(), None).unwrap()
}

#[test]
fn from_pytorch_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let mlp = from_pytorch!("mlp_f32", f32, 3, 2, Net<f32, 3, Mlp<f32>>);
    to_check("mlp_f32", &mlp, folder.path());
    to_check("mlp_f64", &from_pytorch!("mlp_f64", f64, 3, 2, Net<f64, 3, Mlp<f64>>), folder.path());
    from_pytorch!("mlp_f16", f32, 3, 2, Net<f32, 3, Mlp<f32>>);
    from_pytorch!("mlp_bf16", f32, 3, 2, Net<f32, 3, Mlp<f32>>);
    to_check("thin_f32", &from_pytorch!("thin_f32", f32, 1, 1, Net<f32, 1, Thin>), folder.path());
    to_check(
        "named_f32",
        &from_pytorch!("named_f32", f32, 3, 2, Net<f32, 3, Named>),
        folder.path(),
    );
    to_check(
        "norms_f32",
        &from_pytorch!("norms_f32", f32, 3, 2, Net<f32, 3, Norms>),
        folder.path(),
    );
    to_check(
        "nested_f64",
        &from_pytorch!("nested_f64", f64, 3, 2, Net<f64, 3, Nested>),
        folder.path(),
    );
    let (_, net, case, y) = convnet();
    let file = joined(&files::save(&net.layers), &files::save(&Case { y, ..case }));
    fs::write(folder.path().join("conv_f32.safetensors"), file).unwrap();

    let python = env::var("CHAINRULE_PYTHON").unwrap_or("python3".into());
    let mut has = Command::new(&python);
    has.args(["-c", "import torch, safetensors"]).stderr(Stdio::null());
    if !has.status().is_ok_and(|status| status.success()) {
        println!("skipped: {python} has no torch and safetensors");
        return;
    }
    let script = goldens().join("pytorch.py");
    let output = Command::new(python).arg(script).arg("check").arg(folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.matches(": strict, outputs within").count(), 7, "{said}");
}

/// Frozen layers and statistics are loaded and saved like weights.
#[derive(Clone)]
struct Norm<T, const N: usize> {
    weight: SVector<T, N>,
    running_mean: Statistic<T, N>,
    num_batches_tracked: Statistic<T, 1>,
}
parameters!(Norm<T: scalar, const N: usize> { weight, running_mean, num_batches_tracked: [0; 0] });

#[test]
fn what_is_saved_is_loaded_to_the_bit() {
    let vector = |first: f32| SVector::<f32, 2>::new(first, f32::from_bits(0xffa0_0001));
    let norm = Norm {
        weight: vector(-0.0),
        running_mean: Statistic(vector(f32::MIN_POSITIVE / 4.0)),
        num_batches_tracked: Statistic(SVector::<f32, 1>::new(16_777_216.0)),
    };
    let tree = (norm, [Frozen(Affine::<f32, 2, 3>::xavier(&mut rng()))]);
    let file = files::save(&tree);
    let mut back = tree.clone();
    back.visit_mut(None, [], &Path::ROOT, &mut |leaf: chainrule::LeafMut<f32, 0>| {
        leaf.values.fill(7.0)
    });
    assert!(files::load(&mut back, &file, &Loading::default()).unwrap().is_empty());
    assert_eq!(files::save(&back), file);
    // The count of PyTorch's normalisations: an integer without sizes.
    let tensors = safetensors::SafeTensors::deserialize(&file).unwrap();
    let count = tensors.tensor("0.num_batches_tracked").unwrap();
    assert_eq!((count.dtype(), count.shape()), (safetensors::Dtype::I64, &[][..]));
    assert_eq!(count.data(), (1_i64 << 24).to_le_bytes());
    assert_eq!(tensors.tensor("1.0.weight").unwrap().shape(), [3, 2]);
    assert_eq!(tensors.len(), 5);
}

/// PyTorch counted three batches, training here counts one more, and a file holds an integer again.
#[test]
fn batches_are_counted() {
    let mut net = from_pytorch!("norms_f32", f32, 3, 2, Net<f32, 3, Norms>);
    assert_eq!(net.layers.1.num_batches_tracked.0.x, 3.0);
    let mut work = Net::<f32, 3, Norms>::workspace(Const::<4>);
    let (x, y) = (SMatrix::from_fn(|i, j| (i * j) as f32), SMatrix::zeros());
    Sgd::new(0.1).train_step(&mut net, &x, &y, &mut work).unwrap();
    let file = files::save(&net.layers);
    let read = safetensors::SafeTensors::deserialize(&file).unwrap();
    assert_eq!(read.tensor("1.num_batches_tracked").unwrap().data(), 4_i64.to_le_bytes());

    // The count may be missing, but it must be an integer.
    let text = |norm: &mut _, count: &[(&str, &str, &str, usize)]| {
        let rest = [("weight", "F32", "[1]", 4), ("running_mean", "F32", "[1]", 4)];
        let file = tensors(&[count, &rest].concat(), vec![0; 16]);
        let end = if count.is_empty() { file.len() - 8 } else { file.len() };
        let loaded = files::load::<f32, Norm<f32, 1>>(norm, &file[..end], &Loading::default());
        loaded.map_err(|error| error.to_string())
    };
    let mut norm = Norm {
        weight: SVector::<f32, 1>::new(5.0),
        running_mean: Statistic(SVector::<f32, 1>::new(5.0)),
        num_batches_tracked: Statistic(SVector::<f32, 1>::new(5.0)),
    };
    text(&mut norm, &[]).unwrap();
    assert_eq!((norm.weight.x, norm.num_batches_tracked.0.x), (0.0, 5.0));
    let error = text(&mut norm, &[("num_batches_tracked", "F64", "[]", 8)]).unwrap_err();
    assert!(error.ends_with("\n  num_batches_tracked: expected I64, found F64"), "{error}");
    text(&mut norm, &[("num_batches_tracked", "I64", "[]", 8)]).unwrap();
    assert_eq!(norm.num_batches_tracked.0.x, 0.0);
}

/// Through JSON, and through postcard, a format without names. Both hold the numbers as PyTorch has them, row after row.
#[test]
fn serde_there_and_back() {
    let mut net = from_pytorch!("norms_f32", f32, 3, 2, Net<f32, 3, Norms>);
    net.layers.0.bias.x = f32::MIN_POSITIVE / 3.0;
    let text = serde_json::to_string(&net).unwrap();
    let weight: Vec<f32> = net.layers.4.weight.transpose().as_slice().to_vec();
    let expected = format!(r#"["4.weight",[2,5],{}]"#, serde_json::to_string(&weight).unwrap());
    assert!(
        text.contains(&expected) && text.contains(r#"["1.num_batches_tracked",[],[3.0]]"#),
        "{text}"
    );
    let back: Net<f32, 3, Norms> = serde_json::from_str(&text).unwrap();
    assert!(back.layers == net.layers);

    net.layers.0.bias.x = f32::NAN;
    net.layers.1.eps = Some(0.5);
    let bytes = postcard::to_allocvec(&net).unwrap();
    let mut back = Net::<f32, 3, Norms>::init(&mut rng());
    back.layers.1.eps = Some(0.5);
    load_by_serde(&mut back, &mut postcard::Deserializer::from_bytes(&bytes)).unwrap();
    assert!(files::save(&back.layers) == files::save(&net.layers));
    assert_eq!(back.layers.1.eps, Some(0.5));
    // A file of postcard that is cut off anywhere.
    for end in 0..bytes.len() {
        let mut cut = postcard::Deserializer::from_bytes(&bytes[..end]);
        load_by_serde(&mut back, &mut cut).unwrap_err();
    }
    // f64 numbers, and a struct with a net.
    #[derive(serde::Serialize, serde::Deserialize)]
    struct State {
        net: Net<f64, 3, Nested>,
        epoch: u32,
    }
    let state = State { net: Net::init(&mut rng()), epoch: 7 };
    let back: State = serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap();
    assert!(back.net.layers == state.net.layers && back.epoch == 7);
}

/// Loads into a net. An error leaves it as it was.
fn load_by_serde<'de, L: Parameters<f32>, D: serde::Deserializer<'de>>(
    net: &mut Net<f32, 3, L>,
    from: D,
) -> Result<(), String> {
    let before = files::save(&net.layers);
    let loaded = DeserializeSeed::deserialize(&mut *net, from).map_err(|error| error.to_string());
    assert!(loaded.is_ok() || files::save(&net.layers) == before);
    loaded
}

#[test]
fn one_error_of_serde_lists_all_differences() {
    let mut net = Net::<f32, 3, Mlp<f32>>::init(&mut rng());
    let mut load = |text: &str| {
        load_by_serde(&mut net, &mut serde_json::Deserializer::from_str(text)).unwrap_err()
    };
    let wrong = r#"[["0.weight", [3, 5], [0]], ["0.bias", [5], [1, 2, 3, 4]], ["2.bias", [2], [1, 2]],
        ["2.bias", [2], [3, 4]], ["2.gamma", [18446744073709551615, 2], []]]"#;
    let error = load(wrong);
    let expected = "5 differences between the net and the file
  0.weight: expected [5, 3], found [3, 5]
  0.bias: expected 5 numbers, found 4
  2.weight: expected [2, 5], found nothing
  2.bias: not in the net
  2.gamma: not in the net";
    assert!(error.starts_with(expected), "{error}");
    assert!(load("[[\"0.weight\", [1], [null]]]").starts_with("invalid type: null, expected f32"));
    assert!(load("{}").starts_with("invalid type: map, expected a sequence"));
    // postcard's list of 2⁶⁴ - 1 leaves.
    let many = [[0xff; 9].as_slice(), &[1]].concat();
    LARGEST.set(0);
    load_by_serde(&mut net, &mut postcard::Deserializer::from_bytes(&many)).unwrap_err();
    assert!(LARGEST.get() <= 1 << 20, "{} bytes at once", LARGEST.get());
}

/// All numbers of 16 bits.
#[test]
fn narrow_numbers_are_widened_exactly() {
    let file = |dtype| {
        tensors(&[("", dtype, "[65536]", 65536 * 2)], (0..=u16::MAX).flat_map(u16::to_le_bytes))
    };
    let mut found = vec![SVector::<f64, 65536>::zeros()].into_boxed_slice();
    let found = &mut found[0];
    for (dtype, fraction, bias) in [("F16", 10, 15), ("BF16", 7, 127)] {
        files::load(found, &file(dtype), &Loading::default()).unwrap();
        for (bits, &found) in (0..=u16::MAX).zip(found.iter()) {
            let (exponent, digits) = ((bits & 0x7fff) >> fraction, bits & ((1 << fraction) - 1));
            let (part, sign) =
                (f64::from(digits) / f64::from(1 << fraction), f64::from(bits >> 15) * -2.0 + 1.0);
            let size = match exponent {
                0 => part * 2_f64.powi(1 - bias),
                e if i32::from(e) == 2 * bias + 1 => {
                    if digits == 0 {
                        f64::INFINITY
                    } else {
                        f64::NAN
                    }
                }
                e => (1.0 + part) * 2_f64.powi(i32::from(e) - bias),
            };
            let expected = sign * size;
            assert!(
                found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan(),
                "{dtype} {bits:x}"
            );
        }
    }
}

/// A file of tensors: name, type, sizes, bytes.
fn tensors(tensors: &[(&str, &str, &str, usize)], data: impl IntoIterator<Item = u8>) -> Vec<u8> {
    let (mut from, mut header) = (0, String::new());
    for (name, dtype, shape, bytes) in tensors {
        let (comma, to) = (if header.is_empty() { "" } else { "," }, from + bytes);
        header += &format!(
            r#"{comma}"{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{from},{to}]}}"#
        );
        from = to;
    }
    file(&format!("{{{header}}}"), &data.into_iter().collect::<Vec<_>>())
}

fn file(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

#[test]
fn one_error_lists_all_differences() {
    let mut net = Net::<f32, 3, Mlp<f32>>::init(&mut rng());
    let before = files::save(&net.layers);
    let wrong = tensors(
        &[
            ("0.weight", "F32", "[3,5]", 60),
            ("0.bias", "F64", "[5]", 40),
            ("2.weight", "I32", "[2,5]", 40),
            ("2.gamma", "F32", "[]", 4),
            ("2.num_batches_tracked", "I64", "[]", 8),
        ],
        vec![1; 152],
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wrong.safetensors");
    fs::write(&path, &wrong).unwrap();
    let error = net.load_weights(&path).unwrap_err();
    let expected = "6 differences between the net and the file
  0.weight: expected [5, 3], found [3, 5]
  0.bias: expected F32, found F64 (`narrow` rounds it)
  2.weight: expected F32, found I32
  2.bias: expected [2], found nothing
  2.gamma: not in the net
  2.num_batches_tracked: not in the net";
    assert_eq!(error.to_string(), format!("{}: {expected}", path.display()));
    assert_eq!(files::save(&net.layers), before);

    // A partial load takes what fits: one bias.
    let loading = Loading { narrow: true, partial: true, ..Loading::default() };
    let left = net.load_weights_as(&path, &loading).unwrap();
    assert_eq!((left.differences.len(), left.unexpected.len()), (3, 2));
    assert_eq!(net.layers.0.bias.as_slice(), [f64::from_le_bytes([1; 8]) as f32; 5]);
    assert_ne!(net.layers.0.weight[0], 0.0);

    let error = net.load_weights(folder.path().join("none")).unwrap_err();
    assert!(error.to_string().ends_with("none: No such file or directory (os error 2)"), "{error}");
    assert!(net.save_weights(folder.path().join("no/folder")).is_err());
}

#[test]
fn names_can_be_changed() {
    let net = Net::<f32, 3, Mlp<f32>>::init(&mut rng());
    let mut named = Net::<f32, 3, Named>::init(&mut Xoshiro128PlusPlus::seed_from_u64(1));
    let file = files::save(&net.layers);
    let rename = [("0", "first"), ("2.weight", "last.weight"), ("2.", "last.")];
    let loading = Loading { rename: &rename, ..Loading::default() };
    files::load(&mut named.layers, &file, &loading).unwrap();
    assert_eq!(named.layers.first, net.layers.0);
    assert_eq!(named.layers.last, net.layers.2);
    // Two tensors under one name.
    let loading = Loading { rename: &[("0", "2")], ..Loading::default() };
    let error = files::load(&mut named.layers, &file, &loading).unwrap_err().to_string();
    assert!(error.contains("\n  2.bias: not in the net"), "{error}");
}

#[test]
fn broken_files_are_refused() {
    let one = r#""a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#;
    let info = |shape: &str, offsets: &str| {
        format!(r#"{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}}}"#)
    };
    let cases = [
        (vec![], "byte 0: expected the length of a header within this file"),
        (
            u64::MAX.to_le_bytes().to_vec(),
            "byte 0: expected the length of a header within this file",
        ),
        (file("", &[]), "byte 8: expected `{`"),
        (file("[]", &[]), "byte 8: expected `{`"),
        (file("{\"a", &[]), "byte 9: expected a text in quotes"),
        (
            file(&"{\"a\":".repeat(100_000), &[]),
            "byte 18: expected `dtype`, `shape` and `data_offsets`, each once",
        ),
        (
            file(&info(&"[".repeat(100_000), ""), &[]),
            "byte 37: expected a natural number that fits the memory",
        ),
        (
            file(&info("[NaN]", "[0,4]"), &[0; 4]),
            "byte 37: expected a natural number that fits the memory",
        ),
        (
            file(&info("[-1]", "[0,4]"), &[0; 4]),
            "byte 37: expected a natural number that fits the memory",
        ),
        (file(&info("[1.0]", "[0,4]"), &[0; 4]), "byte 38: expected `,` or `]`"),
        (
            file(&info("[01]", "[0,4]"), &[0; 4]),
            "byte 37: expected a natural number that fits the memory",
        ),
        (
            file(&info("[99999999999999999999]", "[0,4]"), &[0; 4]),
            "byte 37: expected a natural number that fits the memory",
        ),
        (file(&info("[1,1,1,1,1,1,1,1,1]", "[0,4]"), &[0; 4]), "byte 53: expected fewer sizes"),
        (
            file(&info("[9223372036854775808,2]", "[0,0]"), &[]),
            "byte 13: expected offsets as far apart as type and shape say",
        ),
        (
            file(&info("[9223372036854775808]", "[0,4]"), &[0; 4]),
            "byte 13: expected offsets as far apart as type and shape say",
        ),
        (
            file(&info("[1]", "[0,8]"), &[0; 8]),
            "byte 13: expected offsets as far apart as type and shape say",
        ),
        (
            file(&info("[1]", "[0,4]"), &[0; 3]),
            "byte 13: expected offsets as far apart as type and shape say",
        ),
        (
            file(&info("[1]", "[4,0]"), &[0; 4]),
            "byte 13: expected offsets as far apart as type and shape say",
        ),
        (file(&info("[1]", "[0]"), &[0; 4]), "byte 55: expected two offsets"),
        (
            file(&info("[1]", "[0,4]"), &[0; 5]),
            "byte 66: expected the end of the file after its last tensor",
        ),
        (
            file(&info("[1]", "[1,5]"), &[0; 5]),
            "byte 62: expected a tensor that begins where the one before it ends",
        ),
        (
            file(&format!("{{{one},{one}}}"), &[0; 4]),
            "byte 8: expected a header in which no two names are the same",
        ),
        (
            file(&format!("{{{one},{}}}", one.replace("\"a", "\"b")), &[0; 4]),
            "byte 119: expected a tensor that begins where the one before it ends",
        ),
        (file(&format!("{{{one}}}x"), &[0; 4]), "byte 62: expected the end of the header"),
        (
            file(&format!("{{{}}}", one.replace("F32", "F33")), &[0; 4]),
            "byte 22: expected a type of numbers",
        ),
        (
            file(r#"{"__metadata__":{},"__metadata__":{}}"#, &[]),
            "byte 42: expected one `__metadata__`",
        ),
        (file(r#"{"\q":"#, &[]), "byte 9: expected a text in quotes"),
        ([&[2; 1][..], &[0; 7], b"{\xff"].concat(), "byte 9: expected a header in UTF-8"),
    ];
    for (bytes, expected) in cases {
        let mut tree = SVector::<f32, 1>::new(5.0);
        LARGEST.set(0);
        let error = files::load(&mut tree, &bytes, &Loading::default()).unwrap_err();
        assert!(LARGEST.get() <= bytes.len().max(1024), "{} bytes at once", LARGEST.get());
        let shown = String::from_utf8_lossy(&bytes).chars().take(90).collect::<String>();
        assert_eq!(error.to_string(), expected, "{shown}");
        assert_eq!(tree[0], 5.0);
    }
    // 100,000 tensors that are not in the net.
    let many = |i: usize| format!(r#""{i}":{{"dtype":"I8","shape":[0],"data_offsets":[0,0]}}"#);
    let bytes = file(&format!("{{{}}}", (0..100_000).map(many).collect::<Vec<_>>().join(",")), &[]);
    LARGEST.set(0);
    files::load(&mut SVector::<f32, 1>::new(5.0), &bytes, &Loading::default()).unwrap_err();
    assert!(LARGEST.get() <= bytes.len(), "{} of {}", LARGEST.get(), bytes.len());
}

/// A net whose file has 4 KB.
type FourKilobytes = (Affine<f32, 16, 32>, Relu, Affine<f32, 32, 10>);

/// Files cut off anywhere, or changed in one to four places: each gives an error, or the crate safetensors reads it
/// too.
#[test]
fn mutated_files() {
    let layers: FourKilobytes = (Affine::he(&mut rng()), Relu, Affine::he(&mut rng()));
    let good = files::save(&layers);
    let header = good.len() - 4 * <FourKilobytes as Parameters<f32>>::COUNT;
    assert!((3_500..4_200).contains(&good.len()), "{}", good.len());
    let mut tree = layers;
    let mut loads = |bytes: &[u8]| {
        LARGEST.set(0);
        let loaded = files::load(&mut tree, bytes, &Loading::default());
        assert!(LARGEST.get() <= bytes.len().max(1024), "{} bytes at once", LARGEST.get());
        if loaded.is_ok() {
            assert!(safetensors::SafeTensors::deserialize(bytes).is_ok());
            tree = layers;
        }
        assert!(tree == layers, "a net that is half loaded");
        loaded.is_ok()
    };
    assert!((0..good.len()).all(|end| !loads(&good[..end])));
    let mut rng = rng();
    let mut below = |n: usize| rng.next_u32() as usize % n;
    let (mut accepted, count) = (0, number("CHAINRULE_MUTATIONS", 20_000));
    for _ in 0..count {
        let mut bytes = good.clone();
        for _ in 0..=below(4) {
            // Mostly in the header, because the numbers may have any bytes.
            let end = if below(8) == 0 { bytes.len() } else { header };
            let at = below(end.min(bytes.len()));
            let text = b"0123456789{}[]\",:\\ aF\xff";
            match below(5) {
                0 => bytes[at] ^= 1 << below(8),
                1 => bytes[at] = text[below(text.len())],
                2 => drop(bytes.remove(at)),
                3 => bytes.insert(at, text[below(text.len())]),
                _ => {
                    // Repeat a part of the header and correct the length.
                    let part = bytes[at..(at + below(64)).min(bytes.len())].to_vec();
                    bytes.splice(at..at, part.iter().copied());
                    let length =
                        u64::from_le_bytes(*good.first_chunk().unwrap()) + part.len() as u64;
                    bytes[..8].copy_from_slice(&length.to_le_bytes());
                }
            }
        }
        accepted += usize::from(loads(&bytes));
    }
    println!("{count} mutations, of which {accepted} are still this net's files");
    assert!(accepted < count);
}

/// The files that a fuzzer found, each of which takes another way through the loader: see `tests/fuzz`.
#[test]
fn the_corpus_of_the_fuzzer() {
    let folder = path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus/safetensors");
    let files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(files.len() >= 50, "{}", files.len());
    let loaded = files.iter().filter(|file| check::loads(&fs::read(file).unwrap())).count();
    assert!(loaded >= 1 && loaded < files.len(), "{loaded}");
}

type Trained = TwoLayerNet<f32, 8, 32, 4>;

#[test]
fn checkpoints_of_other_nets_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint");
    let (net, sgd) = (Trained::init(&mut rng()), Sgd::new(0.1));
    Checkpoint { iteration: 3, seed: 9 }.save(&path, &net, &sgd).unwrap();
    let mut other = TwoLayerNet::<f32, 8, 16, 4>::init(&mut rng());
    let (before, mut adam) = (files::save(&other.layers), Adam::new(0.1));
    let error = Checkpoint::load(&path, &mut other, &mut adam).unwrap_err();
    let text = error.kind.to_string();
    assert!(
        text.starts_with(
            "11 differences between the net and the file
  net.0.weight: expected [16, 8], found [32, 8]
  net.0.bias: expected [16], found [32]
  net.2.weight: expected [4, 16], found [4, 32]
  optimizer.0.0.weight: expected [16, 8], found nothing"
        ),
        "{text}"
    );
    assert_eq!(files::save(&other.layers), before);
    assert_eq!(Optimizer::<f32, (Affine<f32, 8, 16>, Relu, Affine<f32, 16, 4>)>::steps(&adam), 0);

    let mut net = net;
    net.save_weights(&path).unwrap();
    let error = Checkpoint::load(&path, &mut net, &mut Sgd::new(0.1)).unwrap_err();
    assert_eq!(error.kind.to_string(), "expected a checkpoint");
    let later = file(r#"{"__metadata__":{"chainrule.checkpoint":"2"}}"#, &[]);
    fs::write(&path, later).unwrap();
    let error = Checkpoint::load(&path, &mut net, &mut Sgd::new(0.1)).unwrap_err();
    assert!(matches!(error.kind, LoadErrorKind::Version { found: Some(2) }));
    assert_eq!(error.kind.to_string(), "expected a checkpoint of version 1, found version 2");
}

const ITERATIONS: usize = 800;

/// 64 samples of four classes.
fn data(rng: &mut impl Rng) -> Dataset<Vec<[f32; 8]>, Vec<usize>> {
    let mut input = || std::array::from_fn(|_| rng.next_u32() as f32 / 4e9);
    let inputs: Vec<[f32; 8]> = (0..64).map(|_| input()).collect();
    let labels = inputs.iter().map(|x| (x[0] * 4.0) as usize % 4).collect();
    Dataset::labelled(inputs, labels, 4).unwrap()
}

/// A trainer with patience, stopped within an epoch and continued by another program.
#[test]
fn a_trainer_continues_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint");
    let start = || {
        let mut rng = rng();
        let mut trainer = Trainer::new(Const::<16>, 20, 3);
        trainer.patience = Some(10);
        (Trained::init(&mut rng), Adam::new(0.01), trainer, data(&mut rng))
    };
    let (mut whole, mut adam, mut trainer, data) = start();
    trainer.fit(&mut whole, &mut adam, &data, Some(&data), |_| ()).unwrap();

    let (mut net, mut other, mut stopped, _) = start();
    stopped
        .fit(&mut net, &mut other, &data, Some(&data), |at| {
            if at.state.updates < 37 {
                return ControlFlow::Continue(());
            }
            at.state.save(&path, at.net, at.optimizer).unwrap();
            ControlFlow::Break(())
        })
        .unwrap();
    let (mut net, mut adam, mut continued, _) = start();
    continued.state = TrainerState::load(&path, &mut net, &mut adam).unwrap();
    assert_eq!(continued.state.updates, 37);
    assert!(continued.state.best.is_some() && !continued.state.best_parameters.is_empty());
    continued.fit(&mut net, &mut adam, &data, Some(&data), |_| ()).unwrap();
    assert!(files::save(&net.layers) == files::save(&whole.layers));
    assert_eq!(continued.state, trainer.state);

    let error = Checkpoint::load(&path, &mut net, &mut adam).unwrap_err();
    assert_eq!(error.kind.to_string(), "expected a checkpoint of this kind of training");
}

/// Continues from the end of the last run: trains, and saves a checkpoint every 16 iterations, and all losses.
fn train(folder: &path::Path) {
    let mut rng = rng();
    let mut net = Trained::init(&mut rng);
    let mut adam = Adam::new(0.01);
    let data = data(&mut rng);
    let (path, losses) = (folder.join("checkpoint"), folder.join("losses"));
    let mut at = Checkpoint { iteration: 0, seed: 5 };
    if path.exists() {
        at = Checkpoint::load(&path, &mut net, &mut adam).unwrap();
    }
    let losses = fs::OpenOptions::new().append(true).create(true).open(losses).unwrap();
    losses.set_len(4 * at.iteration as u64).unwrap();
    while at.iteration < ITERATIONS {
        let training =
            Training { batch: Const::<16>, iterations: at.iteration + 16, seed: at.seed };
        training
            .run_from(at.iteration, &mut net, &mut adam, &data, |progress| {
                (&losses).write_all(&progress.loss.to_le_bytes()).unwrap();
            })
            .unwrap();
        at.iteration = training.iterations;
        at.save(&path, &net, &adam).unwrap();
    }
}

/// The process that the next test kills.
#[test]
#[ignore = "the test below runs it"]
fn child() {
    if let Some(folder) = env::var_os("CHAINRULE_CHILD") {
        train(path::Path::new(&folder));
    }
}

/// A training that is killed (SIGKILL) and continued many times ends with the bits of an uninterrupted one: weights,
/// state of Adam, and all losses.
#[test]
fn a_killed_training_continues_to_the_bit() {
    let (whole, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    train(whole.path());
    let start = || {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "child"]).env("CHAINRULE_CHILD", killed.path());
        command.stdout(Stdio::null()).spawn().unwrap()
    };
    let same = || {
        for name in ["checkpoint", "losses"] {
            let [whole, killed] =
                [&whole, &killed].map(|folder| fs::read(folder.path().join(name)).unwrap());
            assert!(whole == killed, "{name} differs");
        }
    };
    let (mut rng, mut kills, mut ends, mut continued) = (rng(), 0, 0, 0);
    let count = number("CHAINRULE_KILLS", 6);
    while kills < count {
        continued += usize::from(killed.path().join("checkpoint").exists());
        let mut child = start();
        thread::sleep(Duration::from_micros(u64::from(rng.next_u32() % 60_000)));
        if let Some(status) = child.try_wait().unwrap() {
            // It ended before the kill: compare, and begin again.
            assert!(status.success());
            same();
            ends += 1;
            for name in ["checkpoint", "losses"] {
                fs::remove_file(killed.path().join(name)).unwrap();
            }
        } else {
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
        }
    }
    assert!(start().wait().unwrap().success());
    same();
    println!("{kills} kills, {continued} continued from a checkpoint, {} ends compared", ends + 1);
}

/// The state of an optimizer is not given to one with another rule, even if both have as many trees.
#[test]
fn checkpoints_of_another_rule() {
    type Net = TwoLayerNet<f64, 2, 3, 2>;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net");
    let mut net = Net::init(&mut rng());
    let momentum = chainrule::Momentum::new(0.1, 0.9);
    Checkpoint { iteration: 3, seed: 0 }.save(&path, &net, &momentum).unwrap();
    let before = net.layers;
    let error = Checkpoint::load(&path, &mut net, &mut chainrule::AdaGrad::new(0.1)).unwrap_err();
    let text = error.to_string();
    assert!(text.ends_with("expected the state of `AdaGrad`, found that of `Momentum`"), "{text}");
    assert_eq!(net.layers, before);
    let mut scheduled = chainrule::Momentum::new(0.2, 0.9).clip_value(1.0).schedule(|_: u64| 0.5);
    assert_eq!(Checkpoint::load(&path, &mut net, &mut scheduled).unwrap().iteration, 3);
}

/// A state whose best epoch is damaged is refused.
#[test]
fn damaged_best_epochs() {
    type Net = TwoLayerNet<f64, 2, 3, 2>;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net");
    let mut net = Net::init(&mut rng());
    let epoch = chainrule::Epoch { number: 1, loss: 0.5, validation: Some(0.5), best: true };
    let state = TrainerState::<f64> { best: Some(epoch), ..TrainerState::new(0) };
    state.save(&path, &net, &Sgd::new(0.1)).unwrap();
    let load = |net: &mut Net| TrainerState::<f64>::load(&path, net, &mut Sgd::new(0.1));
    assert_eq!(load(&mut net).unwrap(), state);
    let mut bytes = fs::read(&path).unwrap();
    let key = br#""epoch":"1""#;
    let place = bytes.windows(key.len()).position(|window| window == key).unwrap();
    bytes[place + 9] = b'x';
    fs::write(&path, bytes).unwrap();
    let error = load(&mut net).unwrap_err();
    assert!(matches!(error.kind, LoadErrorKind::Version { found: Some(1) }), "{error}");
}

/// Several threads save to one path, while another one reads: each time the file is whole. Nobody's file is lost.
#[test]
fn saves_do_not_disturb_each_other() {
    type Net = TwoLayerNet<f32, 8, 16, 4>;
    let folder = tempfile::tempdir().unwrap();
    let [path, other] = ["m", "m.tmp"].map(|name| folder.path().join(name));
    let net = Net::init(&mut rng());
    net.save_weights(&other).unwrap();
    net.save_weights(&path).unwrap();
    assert!(other.exists());
    thread::scope(|scope| {
        let savers = [(); 3]
            .map(|()| scope.spawn(|| (0..50).for_each(|_| net.save_weights(&path).unwrap())));
        let mut loaded = Net::init(&mut rng());
        while savers.iter().any(|saver| !saver.is_finished()) {
            loaded.load_weights(&path).unwrap();
        }
    });
    let mut names: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["m", "m.tmp"]);
}
