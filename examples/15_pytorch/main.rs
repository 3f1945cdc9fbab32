//! Exchange of weights with PyTorch. The example loads a net that PyTorch trained on the 8×8 digits, compares the
//! predictions, trains the net further, and saves it for PyTorch. `train.py` beside this file is the program in
//! PyTorch.

use chainrule::data::read_labelled;
use chainrule::{Adam, D1, Network, Relu, SoftmaxCrossEntropy, Training, named};
use clap::Parser;
use nalgebra::Const;
use rand::{SeedableRng, rngs::Xoshiro128PlusPlus};
use std::{error::Error, fs, path::PathBuf};

/// Loads a net that PyTorch trained, compares predictions, trains it and saves it for PyTorch.
#[derive(Parser)]
struct Options {
    /// The weights from PyTorch
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/15_pytorch/digits.safetensors"))]
    weights: PathBuf,
    /// Folder for the file for PyTorch; created if missing
    #[arg(long, value_name = "DIR", default_value = "out")]
    out: PathBuf,
}

type Affine<const I: usize, const O: usize> = chainrule::Affine<f32, I, O>;

// PyTorch's `nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))`.
type Net = Network<f32, D1<64>, (Affine<64, 32>, Relu, Affine<32, 10>), SoftmaxCrossEntropy>;

// The same net with other names: `0.weight` of the file goes into `hidden.weight`.
named!(Digits { hidden: Affine<64, 32>, relu: Relu, scores: Affine<32, 10> });
type Named = Network<f32, D1<64>, Digits, SoftmaxCrossEntropy>;

macro_rules! digits {
    ($part:literal) => {{
        let images = include_bytes!(concat!("../data/digits/", $part, "-images-idx3-ubyte.gz"));
        let labels = include_bytes!(concat!("../data/digits/", $part, "-labels-idx1-ubyte.gz"));
        read_labelled::<64, 10>(("images", &images[..]), ("labels", &labels[..]))?
    }};
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let (train, test) = (digits!("train"), digits!("t10k"));
    let mut rng = Xoshiro128PlusPlus::seed_from_u64(0);

    let mut net = Net::init(&mut rng);
    net.load_weights(&options.weights)?;

    let mut same = 0;
    for (sample, expected) in include_str!("predicted.txt").trim_end().bytes().enumerate() {
        let (x, _) = test.batch(&[sample], Const::<1>)?;
        same += usize::from(net.predict(&x).imax() == usize::from(expected - b'0'));
    }
    println!("{same} of {} predictions equal those of PyTorch", test.len());
    assert_eq!(same, test.len());

    let mut named = Named::init(&mut rng);
    let loading = chainrule::files::Loading {
        rename: &[("0", "hidden"), ("2", "scores")],
        ..Default::default()
    };
    named.load_weights_as(&options.weights, &loading)?;
    assert_eq!(named.layers.scores, net.layers.2);

    println!("test accuracy {:.4}", net.accuracy_on(&test, Const::<90>));
    let training = Training { batch: Const::<100>, iterations: 200, seed: 0 };
    training.run(&mut net, &mut Adam::new(0.001), &train, |_| ())?;
    println!("after 200 more mini-batches {:.4}", net.accuracy_on(&test, Const::<90>));

    fs::create_dir_all(&options.out)?;
    let file = options.out.join("digits.safetensors");
    net.save_weights(&file)?;
    let mut back = Net::init(&mut rng);
    back.load_weights(&file)?;
    assert_eq!(back.layers, net.layers);
    println!("for PyTorch: python examples/15_pytorch/train.py {}", file.display());
    Ok(())
}
