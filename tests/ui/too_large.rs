use chainrule::{Sgd, TwoLayerNet};

const _: () = assert!(
    TwoLayerNet::<f32, 8, 64, 4>::train_bytes::<Sgd<f32>, _, 8>() <= 4 * 1024,
    "a training step does not fit in 4 KiB"
);

fn main() {}
