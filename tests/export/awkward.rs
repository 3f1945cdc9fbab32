// Written by chainrule 0.1.0.
#[allow(unused_imports, clippy::wildcard_imports)]
use super::*; // layers and losses that are not chainrule's own

/// A net of 48 parameters.
#[rustfmt::skip]
#[allow(clippy::all, clippy::pedantic)]
pub static AWKWARD: ::chainrule::Network<f32, ::chainrule::D1<2>, (
    ::chainrule::Affine<f32, 2, 3>,
    ::chainrule::Sigmoid,
    (
        ::chainrule::Frozen<::chainrule::Affine<f32, 3, 3>>,
        ::chainrule::Relu,
        Named<(
            ::chainrule::Tanh,
            ::chainrule::Affine<f32, 3, 3>,
        )>,
    ),
    Scale<f32, 3>,
    Gate<30, true, '\'', -1>,
    ::chainrule::Softmax,
), ::chainrule::SumSquaredError> = ::chainrule::Network::new(
    (
        ::chainrule::Affine {
            weight: ::chainrule::export::matrix([
                [-0.00025774352, 0.20382719, 0.7090196],
                [0.19024386, -0.39614084, 0.45443672],
            ]),
            bias: ::chainrule::export::matrix([
                [0.85751635, 0.083371714, 0.31026638],
            ]),
        },
        ::chainrule::Sigmoid,
        (
            ::chainrule::Frozen(
                ::chainrule::Affine {
                    weight: ::chainrule::export::matrix([
                        [-0.45056596, -0.09710176, 0.43882117],
                        [0.7029644, -0.5271424, -0.77650917],
                        [0.5990074, -0.68835485, 0.85597306],
                    ]),
                    bias: ::chainrule::export::matrix([
                        [0.27461067, -0.6633375, -0.07057493],
                    ]),
                },
            ),
            ::chainrule::Relu,
            Named {
                inner: (
                    ::chainrule::Tanh,
                    ::chainrule::Affine {
                        weight: ::chainrule::export::matrix([
                            [-0.0687425, -0.90472984, -0.5901619],
                            [0.7454712, -0.4274117, 0.20903596],
                            [-0.9650001, -0.93779516, 0.024261873],
                        ]),
                        bias: ::chainrule::export::matrix([
                            [0.37795615, 0.1162507, -0.829392],
                        ]),
                    },
                ),
            },
        ),
        Scale {
            weight: ::chainrule::export::matrix([
                [0.1, -0.0, 1e-45],
            ]),
            spare: ::chainrule::export::matrix([
                [f32::from_bits(0x7fc00000), f32::from_bits(0xffa00001)],
                [f32::from_bits(0x7f800000), f32::from_bits(0xff800000)],
                [3.4028235e38, -3.4028235e38],
                [1.1754944e-38, -1.1754942e-38],
                [1.0, 16777216.0],
                [1e16, 3.1415927],
            ]),
        },
        Gate,
        ::chainrule::Softmax,
    ),
    ::chainrule::SumSquaredError,
);
