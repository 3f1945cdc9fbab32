//! What must hold for any bytes that are loaded as a safetensors file.

use chainrule::{
    Affine, BatchNorm, Relu, Zeros,
    files::{self, Loading},
};

type Layers = (Affine<f32, 2, 3>, BatchNorm<f32, 3>, Relu, Affine<f32, 3, 2>);

/// A file is loaded whole, or an error leaves the net as it was. What was loaded can be saved and loaded again. Returns
/// whether the file is one of this net.
pub fn loads(file: &[u8]) -> bool {
    let start = Layers::zeros();
    let mut net = start;
    let loaded = files::load(&mut net, file, &Loading::default());
    let is_file = loaded.is_ok();
    match loaded {
        Err(_) => assert!(net == start),
        Ok(left) => {
            assert!(left.is_empty());
            let saved = files::save(&net);
            files::load(&mut net, &saved, &Loading::default()).unwrap();
            assert!(files::save(&net) == saved);
        }
    }
    // All settings at once.
    let rename = [("a", "0"), ("b.weight", "1.weight")];
    let loading = Loading { prefix: "net.", rename: &rename, narrow: true, partial: true };
    let _ = files::load(&mut net, file, &loading);
    is_file
}
