//! A net as text: a table of its parameters, or of its layers.

use crate::{
    layer::Layer,
    network::Network,
    optim::Sgd,
    params::{Leaf, Role},
    part::{Part, counts},
    path::Path,
    shape::{Number, Shape},
};
use core::fmt;

/// The name of a type without the modules in it.
struct Short(&'static str);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let ends = |c: char| !c.is_alphanumeric() && c != '_' && c != ':';
        let parts = self.0.split_inclusive(ends).filter_map(|part| part.rsplit("::").next());
        parts.into_iter().try_for_each(|part| f.write_str(part))
    }
}

/// A table of the parameters: rows × columns, count, name. It marks frozen parameters and statistics, and counts
/// them separately. The last line gives [`Network::memory`] for batches of 16, 32 and so on; for other batches it may be
/// a cache line more or less. `{net:#}` is a table of the layers, with their outputs.
///
/// ```
/// use chainrule::{Affine, D1, Frozen, Network, Relu, Sgd, SoftmaxCrossEntropy, Zeros};
/// type Layers = (Frozen<Affine<f32, 8, 16>>, Relu, Affine<f32, 16, 4>);
/// type Net = Network<f32, D1<8>, Layers, SoftmaxCrossEntropy>;
/// let net = Net::new(Layers::zeros(), SoftmaxCrossEntropy);
/// assert_eq!(net.to_string(), "  16 ×     8       128  0.weight (frozen)
///   16 ×     1        16  0.bias (frozen)
///    4 ×    16        64  2.weight
///    4 ×     1         4  2.bias
///                    212  in all, 848 bytes: 68 to train, 144 frozen
/// training by SGD: 976 bytes, and 288 per sample of a batch");
/// assert_eq!(Net::memory::<Sgd<f32>, _, 64>().total(), 976 + 64 * 288);
/// assert_eq!(format!("{net:#}"), "
///  to train    frozen statistics     bytes products  layer
///         0       144          0       576      128  0: Frozen<Affine<f32, 8, 16>> → D1<16>
///         0         0          0         0        0  1: Relu → D1<16>
///        68         0          0       272       64  2: Affine<f32, 16, 4> → D1<4>
///        68       144          0       848      192  in all".trim_start_matches('\n'));
/// ```
impl<T: Number, In: Shape, L: Layer<T, In>, E> fmt::Display for Network<T, In, L, E> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        if f.alternate() {
            return self.by_layers(f);
        }
        let mut written = Ok(());
        self.layers.visit(&Path::ROOT, &mut |leaf: Leaf<T>| {
            let (path, (rows, columns), count) = (leaf.path, leaf.shape, leaf.values.len());
            let mark = match leaf.role {
                Role::Weight => "",
                Role::Frozen => " (frozen)",
                Role::Statistic => " (statistic)",
            };
            let row = format_args!("{rows:>4} × {columns:>5} {count:>9}  {path}{mark}");
            written = written.and_then(|()| writeln!(f, "{row}"));
        });
        written?;
        write!(f, "{:>22}  in all, {} bytes", L::COUNT, L::COUNT * size_of::<T>())?;
        let [weights, frozen, statistics] = counts(&self.layers);
        if frozen + statistics > 0 {
            write!(f, ": {weights} to train")?;
        }
        if frozen > 0 {
            write!(f, ", {frozen} frozen")?;
        }
        if statistics > 0 {
            write!(f, ", {statistics} statistics")?;
        }
        let [one, two] =
            [Self::memory::<Sgd<T>, 0, 16>(), Self::memory::<Sgd<T>, 0, 32>()].map(|m| m.total());
        // 16 samples take whole cache lines. So batches of 16, 32, .. have the same padding.
        let (each, fixed) = ((two - one) / 16, 2 * one - two);
        write!(f, "\ntraining by SGD: {fixed} bytes, and {each} per sample of a batch")
    }
}

impl<T: Number, In: Shape, L: Layer<T, In>, E> Network<T, In, L, E> {
    fn by_layers(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(f, " to train    frozen statistics     bytes products  layer")?;
        let (mut written, mut all) = (Ok(()), [0; 4]);
        let row = |[weights, frozen, statistics, products]: [usize; 4], f: &mut fmt::Formatter| {
            let bytes = (weights + frozen + statistics) * size_of::<T>();
            write!(f, "{weights:>9} {frozen:>9} {statistics:>10} {bytes:>9} {products:>8}  ")
        };
        self.layers.parts(&Path::ROOT, &mut |part| {
            let Part { path, name, out, counts: [weights, frozen, statistics], .. } = part;
            let numbers = [weights, frozen, statistics, part.multiplications];
            all.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
            written = written.and_then(|()| {
                row(numbers, f)?;
                writeln!(f, "{path}: {} → {}", Short(name), Short(out))
            });
        });
        written?;
        row(all, f)?;
        f.write_str("in all")
    }
}

/// As `{}`: names and sizes, and not all numbers.
impl<T: Number, In: Shape, L: Layer<T, In>, E> fmt::Debug for Network<T, In, L, E> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{self}")
    }
}
