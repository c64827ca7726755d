//! Where tensors live. The only file that names a burn backend.
//!
//! A device is chosen at run time by its name; a build holds only the backends whose features it
//! was compiled with. burn's own device type stays inside this crate.

use std::fmt;
use std::str::FromStr;

/// A place to train and evaluate on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// This machine's processor, burn's `flex` backend: pure Rust, in every build.
    #[default]
    Cpu,
}

/// A device name that this build does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no device {name:?} in this build; there is \"cpu\"")]
pub struct DeviceError {
    name: String,
}

impl Device {
    pub(crate) fn open(self) -> burn::tensor::Device {
        match self {
            Self::Cpu => burn::tensor::Device::flex(),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
        }
    }
}

impl FromStr for Device {
    type Err = DeviceError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "cpu" => Ok(Self::Cpu),
            _ => Err(DeviceError { name: name.chars().take(80).collect() }),
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
        assert_eq!(error.to_string(), "no device \"abacus\" in this build; there is \"cpu\"");
    }
}
