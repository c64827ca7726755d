//! The machine's GPU, opened once for the process and tried before it is believed in.
//!
//! CUDA is asked first, where the build has it: it needs the NVIDIA driver and its run-time compiler, and
//! is the faster one. wgpu asks for any other. A renderer in software does not count: the processor's own
//! backend is far faster.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use burn::tensor::{Device, Tensor};

/// What came of looking for one: the runtime cannot be opened twice.
static OPENED: OnceLock<Result<Device, String>> = OnceLock::new();

/// A GPU that was opened. Whoever has one can use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gpu(());

impl Gpu {
    /// Opens the first GPU that works, or says why none does.
    pub(super) fn open() -> Result<Self, String> {
        OPENED.get_or_init(find).as_ref().map(|_| Self(())).map_err(Clone::clone)
    }

    pub(super) fn device(self) -> Device {
        match OPENED.get() {
            Some(Ok(device)) => device.clone(),
            _ => unreachable!("only `open` makes a value of this type, and only of a device that opened"),
        }
    }
}

fn find() -> Result<Device, String> {
    let ways: &[fn() -> Result<Device, String>] = &[
        #[cfg(feature = "cuda")]
        cuda,
        #[cfg(feature = "wgpu")]
        wgpu,
    ];
    let mut reasons = Vec::new();
    for way in ways {
        match way().and_then(tried) {
            Ok(device) => return Ok(device),
            Err(reason) => reasons.push(reason),
        }
    }
    Err(reasons.join("; "))
}

#[cfg(feature = "cuda")]
fn cuda() -> Result<Device, String> {
    use burn::tensor::DeviceType;
    let first = Device::enumerate(DeviceType::Cuda).into_iter().next();
    first.ok_or_else(|| "CUDA finds no NVIDIA driver or no device".to_owned())
}

#[cfg(feature = "wgpu")]
fn wgpu() -> Result<Device, String> {
    use burn::tensor::wgpu::wgpu::DeviceType;
    let opened = catch_unwind(|| Device::wgpu_options().init_with_setup());
    let opened = opened.map_err(|_| "wgpu failed to start".to_owned())?;
    let (device, setup) = opened.map_err(|error| format!("wgpu: {error}"))?;
    let facts = setup.adapter.get_info();
    if facts.device_type == DeviceType::Cpu {
        return Err(format!("wgpu finds only {}, a renderer in software", facts.name));
    }
    Ok(device)
}

/// One sum, to know that the device computes: backends open lazily and panic where a library is missing.
fn tried(device: Device) -> Result<Device, String> {
    let sum = || Tensor::<1>::from_data([1.0_f32, 2.0], &device).sum().try_into_scalar::<f32>();
    match catch_unwind(AssertUnwindSafe(sum)) {
        Ok(Ok(3.0)) => Ok(device),
        Ok(Ok(other)) => Err(format!("it finds that 1 and 2 are {other}")),
        Ok(Err(error)) => Err(format!("it opens but does not compute: {error}")),
        Err(_) => Err("it opens but does not compute; a library of its driver may be missing".to_owned()),
    }
}
