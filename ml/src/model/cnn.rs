//! A convolutional network: stages that each halve an image, then fully connected layers.
//!
//! ```text
//! image -> [ convolution of stride 2 -> + bias -> ReLU ] x stages -> flattened -> MLP -> logits
//! ```
//! Stage `i` is `stages.i.weight` of shape `[channels out, channels in, kernel, kernel]` and
//! `stages.i.bias` of shape `[channels out]`; a side of `n` becomes one of `ceil(n / 2)`. The layers
//! behind are an [`Mlp`]'s and named like them. Weights start uniform with bound `sqrt(6 / fan in)`,
//! which keeps the variance through ReLU layers without normalisation (He et al. 2015, arXiv 1502.01852).
//!
//! The stride does what pooling usually does ("all convolutional net", Springenberg et al. 2015, arXiv
//! 1412.6806), at a quarter of the time a step: nothing is computed that the pooling would throw away.
//!
//! A series is an image of height 1 whose kernels are `[channels out, channels in, kernel]`.

use std::sync::Arc;

use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;

use super::{Kind, Mlp, Model, Reads};
use crate::layout::TensorSpec;
use crate::section::Section;
use crate::task::TaskError;

/// Most stages (a guess: an image of 4,096 has 16 pixels left).
const STAGES_MAX: usize = 8;
/// Most channels of a stage (a guess).
const CHANNELS_MAX: usize = 1 << 12;
/// Largest kernel; odd ones only, which have a middle (a guess).
const KERNEL_MAX: usize = 11;
/// The kernel where the spec does not say: the usual one.
const KERNEL: usize = 3;
/// Halves each side.
const STRIDE: usize = 2;

/// A convolutional network's own sizes; the image and the classes are the task's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cnn {
    channels: Vec<usize>,
    kernel: usize,
    series: bool,
    head: Mlp,
}

/// Channels, height and width of one example or of what a stage makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Image {
    channels: usize,
    height: usize,
    width: usize,
}

impl Image {
    const fn count(self) -> usize {
        self.channels.saturating_mul(self.height).saturating_mul(self.width)
    }

    /// What a stage makes of it.
    const fn halved(self, channels: usize) -> Self {
        Self { channels, height: self.height.div_ceil(STRIDE), width: self.width.div_ceil(STRIDE) }
    }
}

impl Cnn {
    /// Channels after each stage, first to last.
    #[must_use]
    pub fn channels(&self) -> &[usize] {
        &self.channels
    }

    /// Side of the kernels: odd.
    #[must_use]
    pub const fn kernel(&self) -> usize {
        self.kernel
    }

    /// Whether examples are series: `[length]` or `[channels, length]`.
    #[must_use]
    pub const fn series(&self) -> bool {
        self.series
    }

    /// The kind `"cnn"`.
    pub(super) fn kind() -> Kind {
        Kind { reads: Reads::Numbers, parse: |section, _| Ok(Arc::new(Self::parse(section)?)) }
    }

    /// Reads `{ kind = "cnn", channels = [8, 16], kernel = 3, hidden = [64] }`; the kernel is 3 if left
    /// out, and `series = true` takes `[channels, length]` for what it is.
    fn parse(section: &Section<'_>) -> Result<Self, TaskError> {
        section.only(&["kind", "channels", "kernel", "hidden", "series"])?;
        let channels = section.counts("channels", 1..=STAGES_MAX, 1..=CHANNELS_MAX)?;
        let kernel = section.count_or("kernel", 1..=KERNEL_MAX, KERNEL)?;
        if kernel.is_multiple_of(2) {
            return Err(section.wrong("kernel", kernel, "an odd number: a kernel has a middle"));
        }
        Ok(Self { channels, kernel, series: section.flag("series")?, head: Mlp::of_hidden(section)? })
    }

    /// An example of this shape as an image; `None` if it is none.
    fn image(&self, inputs: &[usize]) -> Option<Image> {
        match (self.series, inputs) {
            (true, &[width]) => Some(Image { channels: 1, height: 1, width }),
            (true, &[channels, width]) => Some(Image { channels, height: 1, width }),
            (false, &[height, width]) => Some(Image { channels: 1, height, width }),
            (false, &[channels, height, width]) => Some(Image { channels, height, width }),
            _ => None,
        }
    }

    /// What goes into each stage and what comes out, first to last.
    fn stages(&self, image: Image) -> impl Iterator<Item = (Image, Image)> {
        self.channels.iter().scan(image, |image, &channels| {
            let from = *image;
            *image = from.halved(channels);
            Some((from, *image))
        })
    }

    /// What the last stage makes of an example. Only of a shape that [`Model::expects`] let pass.
    fn last(&self, image: Image) -> Image {
        self.stages(image).last().map_or(image, |(_, to)| to)
    }

    /// Height and width of a kernel.
    const fn sides(&self) -> [usize; 2] {
        [if self.series { 1 } else { self.kernel }, self.kernel]
    }
}

impl Model for Cnn {
    fn tensors(&self, inputs: &[usize], outputs: usize) -> Vec<TensorSpec> {
        let Some(image) = self.image(inputs) else { return Vec::new() };
        let [height, width] = self.sides();
        let stage = |(i, (from, to)): (usize, (Image, Image))| {
            let shape = [to.channels, from.channels, height, width];
            // A series' kernels have no height.
            let shape = if self.series { vec![shape[0], shape[1], shape[3]] } else { shape.to_vec() };
            let bound = (6.0 / (from.channels * height * width) as f32).sqrt();
            let weight = TensorSpec::new(format!("stages.{i}.weight"), &shape, bound);
            [weight, TensorSpec::new(format!("stages.{i}.bias"), &[to.channels], 0.0)]
        };
        let stages = self.stages(image).enumerate().flat_map(stage);
        stages.chain(self.head.tensors(&[self.last(image).count()], outputs)).collect()
    }

    /// The most that a stage gathers: the patches under all places of its kernel.
    fn widest(&self, inputs: &[usize], outputs: usize) -> usize {
        let Some(image) = self.image(inputs) else { return usize::MAX };
        let kernel: usize = self.sides().iter().product();
        let patches = |(from, to): (Image, Image)| {
            let patches = Image { channels: from.channels, ..to }.count().saturating_mul(kernel);
            patches.max(from.count()).max(to.count())
        };
        let head = self.head.widest(&[self.last(image).count()], outputs);
        self.stages(image).map(patches).fold(head, usize::max)
    }

    fn forward(&self, inputs: &[usize], parameters: &[Tensor<1>], batch: Tensor<2>) -> Tensor<2> {
        let Some(image) = self.image(inputs) else { return batch };
        let [examples, _] = batch.dims();
        let [height, width] = self.sides();
        let padding = [(height - 1) / 2, (width - 1) / 2];
        // A series' height stays 1 under any stride.
        let options = ConvOptions::new([STRIDE; 2], padding, [1, 1], 1);
        let mut x = batch.reshape([examples, image.channels, image.height, image.width]);
        for ((from, to), stage) in self.stages(image).zip(parameters.chunks_exact(2)) {
            let kernel = stage[0].clone().reshape([to.channels, from.channels, height, width]);
            x = relu(conv2d(x, kernel, Some(stage[1].clone()), options.clone()));
        }
        let last = self.last(image).count();
        self.head.forward(&[last], &parameters[2 * self.channels.len()..], x.reshape([examples, last]))
    }

    fn expects(&self, inputs: &[usize]) -> Option<String> {
        let expected =
            if self.series { "[length] or [channels, length]" } else { "[height, width] or [channels, height, width]" };
        self.image(inputs).is_none().then(|| format!("{expected} for a model of kind \"cnn\""))
    }
}

#[cfg(test)]
mod tests;
