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
//!
//! # How it is computed
//! With the batch last: `[channels * height * width, batch]`. What a kernel's places look at is then whole
//! rows, gathered by their numbers into `[channels in * kernel * kernel, places * batch]`, and a stage is one
//! product of matrices, forward and backward; the first needs no gradient of its gathering. On a CPU this
//! is several times faster than burn's own convolution, which is built for larger channels (measured in
//! docs/MODELS.md).

use std::sync::Arc;

use burn::tensor::activation::relu;
use burn::tensor::{Device, Int, Tensor, TensorData};

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

    /// The rows of a stage's input that its kernels look at: for each channel and each number of the
    /// kernel, one for each place. What lies beside the image is the row behind the last.
    fn looked_at(&self, from: Image, to: Image, device: &Device) -> Tensor<1, Int> {
        let [high, wide] = self.sides();
        // What stands at this offset of the kernel whose middle is at this place, if it is in the image.
        let along = |place: usize, offset: usize, kernel: usize, length: usize| {
            (STRIDE * place + offset).checked_sub(kernel / 2).filter(|&at| at < length)
        };
        let mut rows = Vec::with_capacity(from.channels * high * wide * to.height * to.width);
        for channel in 0..from.channels {
            for (i, j) in (0..high).flat_map(|i| (0..wide).map(move |j| (i, j))) {
                for row in 0..to.height {
                    let row = along(row, i, high, from.height).map(|row| (channel * from.height + row) * from.width);
                    rows.extend((0..to.width).map(|column| {
                        let at = row.zip(along(column, j, wide, from.width)).map(|(row, column)| row + column);
                        // Bounded by the task: an example has at most 2^24 numbers.
                        at.unwrap_or(from.count()) as i64
                    }));
                }
            }
        }
        let count = rows.len();
        Tensor::from_data(TensorData::new(rows, [count]), device)
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
        let device = batch.device();
        let patch = self.sides().iter().product::<usize>();
        let mut x = batch.transpose();
        for ((from, to), stage) in self.stages(image).zip(parameters.chunks_exact(2)) {
            let (places, gathered) = (to.height * to.width, from.channels * patch);
            // A row of zeros behind the image is what lies beside it.
            let beside = Tensor::zeros([1, examples], &device);
            let patches = Tensor::cat(vec![x, beside], 0).select(0, self.looked_at(from, to, &device));
            let kernel = stage[0].clone().reshape([to.channels, gathered]);
            let sums = kernel.matmul(patches.reshape([gathered, places * examples]));
            x = relu(sums.add(stage[1].clone().reshape([to.channels, 1]))).reshape([to.count(), examples]);
        }
        let last = self.last(image).count();
        self.head.forward(&[last], &parameters[2 * self.channels.len()..], x.transpose())
    }

    fn expects(&self, inputs: &[usize]) -> Option<String> {
        let expected =
            if self.series { "[length] or [channels, length]" } else { "[height, width] or [channels, height, width]" };
        self.image(inputs).is_none().then(|| format!("{expected} for a model of kind \"cnn\""))
    }
}

#[cfg(test)]
mod tests;
