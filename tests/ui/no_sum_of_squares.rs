use chainrule::{Affine, D1, LevenbergMarquardt, Network, SoftmaxCrossEntropy, Zeros};
use nalgebra::SMatrix;

type Net = Network<f64, D1<2>, Affine<f64, 2, 3>, SoftmaxCrossEntropy>;

fn main() {
    let mut net = Net::new(Zeros::zeros(), SoftmaxCrossEntropy);
    let (x, t) = (SMatrix::<f64, 2, 4>::zeros(), SMatrix::<f64, 3, 4>::zeros());
    let mut memory = Net::sample_gradients::<9, 4>();
    LevenbergMarquardt::new().fit(&mut net, &x, &t, &mut memory, 10);
}
