//! The convolution: its shape arithmetic, its padding as written in recipes, and its module.

use std::{fmt, str::FromStr};

use burn::{
    module::{Module, Param},
    tensor::{Tensor, ops::ConvOptions},
};
use kernels::After;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Error, builder::Builder, init::Fan, trace::report};

/// Zeros around the map before a convolution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Padding {
    /// `kernel - 1` rows and columns in all, the odd one below and to the right: with stride 1 the map keeps its size. Written `same`.
    #[default]
    Same,
    /// None. Written `valid`.
    Valid,
    /// This many on each side. Written as a number.
    Each(usize),
    /// As many as make the padded map this wide and high, as LeCun put 28x28 digits into a field of 32x32. Written `to 32`.
    To(usize),
}

impl Padding {
    /// Rows or columns (before, after) a side of `size`; `None` where the map is larger than it is to become.
    pub(crate) fn around(self, size: usize, kernel: usize) -> Option<(usize, usize)> {
        let halves = |all: usize| (all / 2, all - all / 2);
        Some(match self {
            Self::Same => halves(kernel - 1),
            Self::Valid => (0, 0),
            Self::Each(n) => (n, n),
            Self::To(target) => halves(target.checked_sub(size)?),
        })
    }
}

impl fmt::Display for Padding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same => f.write_str("same"),
            Self::Valid => f.write_str("valid"),
            Self::Each(n) => write!(f, "{n}"),
            Self::To(size) => write!(f, "to {size}"),
        }
    }
}

impl FromStr for Padding {
    type Err = Error;

    fn from_str(given: &str) -> Result<Self, Error> {
        let number = |digits: &str| digits.trim().parse::<usize>().ok();
        match given {
            "same" => Some(Self::Same),
            "valid" => Some(Self::Valid),
            _ => match given.strip_prefix("to ") {
                Some(size) => number(size).map(Self::To),
                None => number(given).map(Self::Each),
            },
        }
        .ok_or_else(|| Error::Name {
            what: "padding",
            given: given.to_owned(),
            hint: "there are `same`, `valid`, a number, and `to N`".to_owned(),
        })
    }
}

impl Serialize for Padding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Each(n) => serializer.serialize_u64(*n as u64),
            _ => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Padding {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Padding;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`same`, `valid`, a number, or `to N`")
            }

            fn visit_str<E: de::Error>(self, given: &str) -> Result<Padding, E> {
                given.parse().map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, n: u64) -> Result<Padding, E> {
                usize::try_from(n).map(Padding::Each).map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, n: i64) -> Result<Padding, E> {
                usize::try_from(n).map(Padding::Each).map_err(|_| E::custom("padding cannot be negative"))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// The shape of a convolution, checked by whoever makes it: groups divide both channel counts, nothing is zero.
#[derive(Clone, Debug)]
pub(crate) struct ConvSpec {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    /// (before, after), for rows and for columns.
    pub(crate) padding: [(usize, usize); 2],
    pub(crate) groups: usize,
    pub(crate) bias: bool,
}

impl ConvSpec {
    /// Height and width after a map of `size`; `None` where the kernel doesn't fit.
    pub(crate) fn output(&self, size: [usize; 2]) -> Option<[usize; 2]> {
        let along = |axis: usize| {
            let padded = size[axis] + self.padding[axis].0 + self.padding[axis].1;
            Some(padded.checked_sub(self.kernel)? / self.stride + 1)
        };
        Some([along(0)?, along(1)?])
    }

    /// Weights that one output value sums over.
    pub(crate) fn fan_in(&self) -> usize {
        self.inputs / self.groups * self.kernel * self.kernel
    }
}

/// A convolution of square kernels.
#[derive(Module, Debug)]
pub(crate) struct Conv2d {
    /// `[outputs, inputs / groups, kernel, kernel]`.
    weight: Param<Tensor<4>>,
    bias: Option<Param<Tensor<1>>>,
    #[module(skip)]
    options: ConvOptions<2>,
}

impl Conv2d {
    pub(crate) fn init(spec: &ConvSpec, builder: &mut Builder<'_>) -> Self {
        let fan = Fan { rows: spec.outputs, inputs: spec.fan_in(), outputs: spec.outputs * spec.kernel * spec.kernel };
        let shape = [spec.outputs, spec.inputs / spec.groups, spec.kernel, spec.kernel];
        Self {
            weight: builder.weight(shape, fan, |rows| rows),
            bias: spec.bias.then(|| builder.bias(fan)),
            options: ConvOptions::new_with_padding([spec.stride; 2], spec.padding, [1; 2], spec.groups),
        }
    }

    /// `[batch, inputs, height, width]` to `[batch, outputs, height', width']`, which `after` may pool.
    pub(crate) fn forward(&self, x: Tensor<4>, after: After) -> Tensor<4> {
        let (weight, bias) = self.parameters(&x);
        let y = kernels::conv2d(x, weight, bias, self.options.clone(), after);
        report(self.weight.id, &y);
        y
    }

    /// The same, and `x` again for a bridge over the convolution.
    pub(crate) fn forward_bridged(&self, x: Tensor<4>, after: After) -> (Tensor<4>, Tensor<4>) {
        let (weight, bias) = self.parameters(&x);
        kernels::conv2d_bridged(x, weight, bias, self.options.clone(), after)
    }

    /// Weight and bias in the format of `x`.
    fn parameters(&self, x: &Tensor<4>) -> (Tensor<4>, Option<Tensor<1>>) {
        let dtype = x.dtype();
        (self.weight.val().cast(dtype), self.bias.as_ref().map(|bias| bias.val().cast(dtype)))
    }
}
