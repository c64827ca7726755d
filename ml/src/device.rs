//! Where tensors live. The only room that names a burn backend.
//!
//! A device is chosen at run time by its name: `cpu`, `gpu`, or `auto`, which takes a GPU if this build can
//! use one (cargo features `cuda` and `wgpu`) and one opens, and the processor if not. A [`Device`] has
//! been opened: what is asked for and is not there is found when the name is read, not in the first step.
//! burn's own device type stays inside this crate.
//!
//! Results are the same for ever only on the processor: a GPU adds in an order of its own.

#[cfg(any(feature = "cuda", feature = "wgpu"))]
mod gpu;
#[cfg(not(any(feature = "cuda", feature = "wgpu")))]
#[path = "device/no_gpu.rs"]
mod gpu;

use std::fmt;
use std::str::FromStr;

pub use gpu::Gpu;

/// A place to train and evaluate on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// This machine's processor, burn's `flex` backend: pure Rust, in every build.
    #[default]
    Cpu,
    /// This machine's first GPU, through CUDA or else through wgpu (Vulkan, Metal, DirectX).
    Gpu(Gpu),
}

/// A device that cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// No such name.
    #[error("no device {0:?}; there are \"auto\", \"cpu\" and \"gpu\"")]
    Unknown(String),
    /// A GPU that this build or this machine does not have.
    #[error("no GPU can be used: {0}")]
    NoGpu(String),
}

impl Device {
    pub(crate) fn open(self) -> burn::tensor::Device {
        match self {
            Self::Cpu => burn::tensor::Device::flex(),
            Self::Gpu(gpu) => gpu.device(),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpu => "cpu",
            Self::Gpu(_) => "gpu",
        })
    }
}

impl FromStr for Device {
    type Err = DeviceError;

    /// Opens what is named: the first time a GPU is, this may take seconds.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "cpu" => Ok(Self::Cpu),
            "gpu" => Gpu::open().map(Self::Gpu).map_err(DeviceError::NoGpu),
            "auto" => Ok(Gpu::open().map_or(Self::Cpu, Self::Gpu)),
            _ => Err(DeviceError::Unknown(name.chars().take(80).collect())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_and_print() {
        assert_eq!("cpu".parse(), Ok(Device::Cpu));
        assert_eq!(Device::default().to_string().parse(), Ok(Device::default()));
        let error = "abacus".parse::<Device>().expect_err("no such device");
        assert_eq!(error.to_string(), "no device \"abacus\"; there are \"auto\", \"cpu\" and \"gpu\"");
    }

    #[test]
    fn auto_is_the_gpu_or_else_the_processor() {
        assert_eq!("auto".parse::<Device>(), Ok("gpu".parse().unwrap_or(Device::Cpu)));
    }

    #[cfg(not(any(feature = "cuda", feature = "wgpu")))]
    #[test]
    fn a_build_without_a_gpu_says_so() {
        let error = "gpu".parse::<Device>().expect_err("no GPU").to_string();
        assert_eq!(error, "no GPU can be used: this build has neither of the cargo features `cuda` and `wgpu`");
    }
}
