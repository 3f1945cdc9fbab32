//! Nets as C99: the header compiles without a warning, and its functions give the outputs of the crate.

use chainrule::{
    Affine, BatchNorm, Buffer, Concat, Conv2d, D1, Dense, Elu, Flat, Flatten, Frozen, Gelu,
    GeluTanh, HardSigmoid, HardTanh, Identity, Image, Images, Layer, LayerNorm, LeakyRelu,
    LogSoftmax, MaxPool2d, Network, PRelu, Relu, Repeat, Residual, RmsNorm, Selu, Sigmoid, Silu,
    Softmax, Softplus, Standardize, Statistic, SumSquaredError, Tanh, named,
};
use nalgebra::{Const, SMatrix, SVector};
use num_dual::{Dual32, Dual64};
use rand::{Rng, SeedableRng, rngs::Xoshiro128PlusPlus};
use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    process::{Command, Stdio},
};

const SAMPLES: usize = 64;
named!(Named { first: Affine<f32, 7, 33>, act: Relu, last: Frozen<Affine<f32, 33, 5>>, end: Identity });
type Wide = ((Affine<f64, 7, 20>, Relu), Box<Affine<f64, 20, 24>>, Relu, Affine<f64, 24, 3>);
/// Padding, stride, windows that overlap, and a vector at the end.
type Conv = (
    Conv2d<f32, 2, 4, 3, 2, 1>,
    Relu,
    MaxPool2d<3, 1, 1>,
    Flatten,
    Dense<f32, Image<4, 4, 3>, 20>,
    Relu,
    Affine<f32, 20, 3>,
);
type Net<T, const N: usize, L> = Network<T, D1<N>, L, SumSquaredError>;

/// Numbers from -`size` to `size`, the same on every machine.
fn inputs<const N: usize>(size: f64) -> SMatrix<f64, N, SAMPLES> {
    let mut rng = Xoshiro128PlusPlus::seed_from_u64(1);
    SMatrix::from_fn(|_, _| size * (f64::from(rng.next_u32()) / 2_f64.powi(31) - 1.0))
}

/// Headers, a program that calls them one after the other, and the inputs of this program.
#[derive(Default)]
struct Program {
    headers: Vec<(String, String)>,
    calls: String,
    input: Vec<u8>,
}

impl Program {
    fn add(
        &mut self,
        name: &str,
        header: String,
        (real, inputs, outputs): (&str, usize, usize),
        input: Vec<u8>,
    ) {
        let fread = "fread(x, sizeof x, 1, stdin) == 1";
        write!(
            self.calls,
            "    for (int n = 0; n < {SAMPLES}; n++) {{
        {real} x[{name}_inputs], y[{name}_outputs];
        if (!({fread})) return 1;
        {name}_predict(x, y);
        fwrite(y, sizeof y, 1, stdout);
    }}\n"
        )
        .unwrap();
        assert!(header.contains(&format!("{name}_inputs = {inputs}, {name}_outputs = {outputs} ")));
        self.headers.push((name.into(), header));
        self.input.extend(input);
    }

    /// The output of the program. `None` without a C compiler.
    fn run(self, compiler: &str) -> Option<Vec<u8>> {
        let folder = tempfile::tempdir().unwrap();
        let mut source = String::from("#include <stdio.h>\n");
        for (name, header) in &self.headers {
            fs::write(folder.path().join(name).with_extension("h"), header).unwrap();
            // Twice, because a program may include a header twice.
            writeln!(source, "#include \"{name}.h\"\n#include \"{name}.h\"").unwrap();
        }
        source += &format!("int main(void) {{\n{}    return 0;\n}}\n", self.calls);
        fs::write(folder.path().join("main.c"), source).unwrap();
        let strict = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"];
        let mut build = Command::new(compiler);
        build.args(strict).args(["-O2", "-ffp-contract=off", "main.c", "-o", "main", "-lm"]);
        let built = build.current_dir(folder.path()).output().ok()?;
        assert!(built.status.success(), "{compiler}: {}", String::from_utf8_lossy(&built.stderr));
        let mut child = Command::new(folder.path().join("main"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let writer = std::thread::spawn(move || stdin.write_all(&self.input).unwrap());
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        assert!(output.status.success());
        Some(output.stdout)
    }
}

/// Adds a net to the program, and the outputs that it must compute for these inputs.
macro_rules! case {
    ($program:ident, $expected:ident, $name:literal, $t:ident, $n:literal, $net:expr, $size:literal, $predict:expr) => {{
        let (net, x) = ($net, inputs::<$n>($size).map(|x| x as $t));
        let y = $predict(&net, &x);
        let real = if size_of::<$t>() == 4 { "float" } else { "double" };
        let bytes = x.iter().flat_map(|x| x.to_le_bytes()).collect();
        $program.add($name, net.export_c($name).to_string(), (real, $n, y.nrows()), bytes);
        let [x, y] = [x.map(f64::from).as_slice().to_vec(), y.map(f64::from).as_slice().to_vec()];
        $expected.push(($name, size_of::<$t>(), x, y));
    }};
}

/// The outputs by the plain loops, which run for dual numbers.
macro_rules! plainly {
    ($dual:ident $t:ident $layers:ty) => {
        |net: &Net<$t, 7, $layers>, x: &SMatrix<$t, 7, SAMPLES>| {
            net.map($dual::from_re).predict(&x.map($dual::from_re)).map(|y| y.re)
        }
    };
}

#[test]
fn c_computes_the_same() {
    let (mut program, mut exact, mut close) = (Program::default(), Vec::new(), Vec::new());
    let mut rng = Xoshiro128PlusPlus::seed_from_u64(0);
    // Piecewise linear nets give the same bits.
    let mut named = Net::<f32, 7, Named>::init(&mut rng);
    named.layers.first.bias = SVector::from_fn(|i, _| [0.1, -0.0, 1e-40, -3e8, 0.0][i % 5]);
    case!(program, exact, "named", f32, 7, named, 3.0, plainly!(Dual32 f32 Named));
    case!(
        program,
        exact,
        "wide",
        f64,
        7,
        Net::<f64, 7, Wide>::init(&mut rng),
        3.0,
        plainly!(Dual64 f64 Wide)
    );
    let conv = Network::<f32, Image<2, 7, 6>, Conv, SumSquaredError>::init(&mut rng);
    case!(
        program,
        exact,
        "conv",
        f32,
        84,
        conv,
        3.0,
        |net: &Network<f32, Image<2, 7, 6>, Conv, SumSquaredError>,
         x: &SMatrix<f32, 84, SAMPLES>| {
            let mut images: Images<Dual32, Image<2, 7, 6>, Const<SAMPLES>> = Buffer::new(Const);
            let numbers = images.as_mut_slice().iter_mut().zip(x.iter());
            numbers.for_each(|(to, from)| *to = Dual32::from_re(*from));
            net.map(Dual32::from_re).predict(&images).map(|y| y.re)
        }
    );
    // These nets use the functions of math.h.
    macro_rules! curves {
        ($($layer:ident $single:literal $double:literal;)*) => { $(
            case!(program, close, $single, f32, 4, net::<f32, 4, _>($layer), 20.0, Network::predict);
            case!(program, close, $double, f64, 4, net::<f64, 4, _>($layer), 20.0, Network::predict);
        )* };
    }
    macro_rules! single {
        ($($list:ident $name:literal $layer:expr;)*) => { $(
            case!(program, $list, $name, f32, 4, net::<f32, 4, _>($layer), 6.0, Network::predict);
        )* };
    }
    let vector = |first: f32| SVector::<f32, 4>::new(first, 0.5, -0.75, 1.25);
    single! {
        exact "leaky_relu" LeakyRelu { slope: Some(0.3) };
        exact "prelu" PRelu { weight: SVector::<f32, 1>::new(0.2) };
        exact "hard_tanh" HardTanh;
        exact "hard_sigmoid" HardSigmoid;
        exact "standardize" Standardize { mean: Frozen(vector(0.1)), std: Frozen(vector(0.3).abs()) };
        exact "residual" Residual { inner: (HardTanh, Residual { inner: Relu }) };
        exact "concat" Concat::<_, _, 12> {
            left: Residual { inner: HardTanh },
            right: Concat::<_, _, 8> { left: HardSigmoid, right: Residual { inner: Relu } },
        };
        exact "repeat" Repeat { layers: [HardTanh, HardTanh] };
        close "elu" Elu { alpha: Some(0.7) };
        close "selu" Selu;
        close "silu" Silu;
        close "gelu_tanh" GeluTanh;
        close "norm_batch" BatchNorm {
            weight: vector(0.9),
            bias: vector(0.2),
            running_mean: Statistic(vector(0.3)),
            running_var: Statistic(vector(2.0).abs()),
            ..BatchNorm::default()
        };
        close "norm_layer" LayerNorm { weight: vector(0.8), bias: vector(-0.3), eps: Some(1e-3) };
        close "norm_rms" RmsNorm { weight: vector(0.7), eps: None };
    }
    curves! {
        Sigmoid "sigmoid_f" "sigmoid_d";
        Tanh "tanh_f" "tanh_d";
        Softplus "softplus_f" "softplus_d";
        Softmax "softmax_f" "softmax_d";
        LogSoftmax "log_softmax_f" "log_softmax_d";
        Gelu "gelu_f" "gelu_d";
    }
    // The factors of a norm are folded: w/√(σ² + ε) is rounded twice more than in the crate.
    let norm = BatchNorm {
        weight: SVector::<f32, 2>::new(0.9, -1.5),
        bias: SVector::<f32, 2>::new(0.2, -0.1),
        running_mean: Statistic(SVector::<f32, 2>::new(0.3, -2.0)),
        running_var: Statistic(SVector::<f32, 2>::new(2.0, 0.1)),
        ..BatchNorm::default()
    };
    case!(
        program,
        close,
        "norm_of_images",
        f32,
        24,
        Network::<f32, Image<2, 3, 4>, _, _>::new((norm, Relu), SumSquaredError),
        3.0,
        |net: &Network<f32, Image<2, 3, 4>, (BatchNorm<f32, 2>, Relu), SumSquaredError>,
         x: &SMatrix<f32, 24, SAMPLES>| {
            let mut images: Images<Dual32, Image<2, 3, 4>, Const<SAMPLES>> = Buffer::new(Const);
            let numbers = images.as_mut_slice().iter_mut().zip(x.iter());
            numbers.for_each(|(to, from)| *to = Dual32::from_re(*from));
            let y = net.map(Dual32::from_re).predict(&images);
            SMatrix::<f32, 24, SAMPLES>::from_iterator(y.as_slice().iter().map(|y| y.re))
        }
    );
    let mut compilers = ["gcc", "clang"].into_iter().filter(|compiler| {
        Command::new(compiler).arg("--version").stdout(Stdio::null()).status().is_ok()
    });
    let Some(compiler) = compilers.next() else {
        println!("skipped: neither gcc nor clang");
        return;
    };
    let found = program.run(compiler).unwrap();
    let mut found = found.as_slice();
    for (case, (name, size, x, expected)) in exact.iter().chain(&close).enumerate() {
        let (bits, same) = (if *size == 4 { 23 } else { 52 }, case < exact.len());
        let mut worst = 0.0_f64;
        for (i, &expected) in expected.iter().enumerate() {
            let (bytes, rest) = found.split_at(*size);
            found = rest;
            let found = match *size {
                4 => f64::from(f32::from_le_bytes(bytes.try_into().unwrap())),
                _ => f64::from_le_bytes(bytes.try_into().unwrap()),
            };
            if same {
                assert_eq!(found.to_bits(), expected.to_bits(), "{name} {i}");
            }
            let scale = match *name {
                _ if name.starts_with("gelu") => x[i].abs(),
                // The terms of the sums are about 1.
                _ if name.starts_with("norm") => expected.abs().max(1.0),
                _ => expected.abs(),
            };
            let ulp = 2_f64.powi((scale.log2().floor() as i32).max(-126) - bits);
            worst = worst.max((found - expected).abs() / ulp);
        }
        assert!(worst <= if same { 0.0 } else { 4.0 }, "{name}: {worst} units in the last place");
        println!("{name}: {worst} units in the last place");
    }
    assert!(found.is_empty());
}

fn net<T: chainrule::Number, const N: usize, L: Layer<T, D1<N>, Out: Flat>>(
    layer: L,
) -> Net<T, N, L> {
    Network::new(layer, SumSquaredError)
}

/// Numbers that have no literal, and the text of a header.
#[test]
fn a_header() {
    let bias = SVector::<f32, 3>::new(f32::NAN, f32::NEG_INFINITY, f32::INFINITY);
    let layer = Affine::new(SMatrix::<f32, 3, 1>::new(1e-45, -0.0, 16_777_216.0), bias);
    let header = net::<f32, 1, _>((layer, Tanh)).export_c("odd").to_string();
    let expected = concat!(
        "/* Written by chainrule ",
        env!("CARGO_PKG_VERSION"),
        ": a net of 6 parameters. */
#ifndef CHAINRULE_odd
#define CHAINRULE_odd
#include <math.h>

enum { odd_inputs = 1, odd_outputs = 3 };

/* From 1 inputs x to 3 outputs y. */
static inline void odd_predict(const float *x, float *y) {
    float a[3];
    float b[3];
    {
    static const float weight[3] = {
        1e-45f, -0.0f, 16777216.0f};
    static const float bias[3] = {
        NAN, -INFINITY, INFINITY};
    for (int i = 0; i < 3; i++) a[i] = bias[i];
    for (int j = 0; j < 1; j++) for (int i = 0; i < 3; i++) a[i] += weight[j * 3 + i] * x[j];
    }
    for (int i = 0; i < 3; i++) { const float v = a[i]; b[i] = tanhf(v); }
    for (int i = 0; i < 3; i++) y[i] = b[i];
}

#endif
"
    );
    assert_eq!(header, expected);
}
