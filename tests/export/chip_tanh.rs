// Written by chainrule 0.1.0.
#[allow(unused_imports, clippy::wildcard_imports)]
use super::*; // layers and losses that are not chainrule's own

/// A net of 49 parameters.
#[rustfmt::skip]
#[allow(clippy::all, clippy::pedantic)]
pub static NET: ::chainrule::Network<f32, ::chainrule::D1<1>, (
    ::chainrule::Affine<f32, 1, 16>,
    ::chainrule::Tanh,
    ::chainrule::Affine<f32, 16, 1>,
), ::chainrule::SumSquaredError> = ::chainrule::Network::new(
    (
        ::chainrule::Affine {
            weight: ::chainrule::export::matrix([
                [0.992227, -0.9257222, -0.36518037, -0.9908503, 0.43094108, -0.9129655, 0.59019375, -0.2699026,
                 -0.15655914, 0.1323213, 0.9131765, 0.22640352, 0.99116796, 0.9541422, -0.31022358, -0.3241827],
            ]),
            bias: ::chainrule::export::matrix([
                [0.925211, -0.5047831, 0.895681, 0.02829221, 0.93562317, -0.6119923, 0.42379937, -0.77281225,
                 -0.68061054, 0.3369004, -0.4972337, -0.15815146, -0.4084024, -0.8022468, 0.19778116, -0.19749902],
            ]),
        },
        ::chainrule::Tanh,
        ::chainrule::Affine {
            weight: ::chainrule::export::matrix([
                [-0.575313],
                [-0.8208388],
                [-0.121041946],
                [0.08569545],
                [0.35703933],
                [-0.5292112],
                [-0.092269875],
                [-0.5310754],
                [-0.41416684],
                [-0.54964596],
                [0.72107136],
                [-0.6085112],
                [-0.5211623],
                [-0.47543937],
                [-0.46606082],
                [-0.62951654],
            ]),
            bias: ::chainrule::export::matrix([
                [-0.06390906],
            ]),
        },
    ),
    ::chainrule::SumSquaredError,
);
