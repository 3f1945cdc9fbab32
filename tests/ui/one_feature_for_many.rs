use chainrule::{Sgd, Trainer, TwoLayerNet, data::Dataset};
use nalgebra::Const;

fn train(net: &mut TwoLayerNet<f32, 4, 8, 2>, data: &Dataset<Vec<f32>, Vec<usize>>) {
    let mut trainer = Trainer::new(Const::<4>, 10, 0);
    trainer.fit(net, &mut Sgd::new(0.5), data, None, |_| ()).unwrap();
}

fn main() {}
