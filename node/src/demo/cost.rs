//! What this process has cost the machine: processor time and the peak of its memory.

use nix::sys::resource::{UsageWho, getrusage};

/// Figures since the process began.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cost {
    /// Seconds of processor time, all threads, user and system.
    pub(super) cpu_s: f64,
    /// Peak resident memory, units of 1,000,000 bytes.
    pub(super) rss_peak_mb: f64,
}

/// Bytes in a unit of `ru_maxrss`: kilobytes on Linux, bytes on macOS.
const MAXRSS_UNIT: f64 = if cfg!(target_os = "macos") { 1.0 } else { 1_024.0 };

pub(super) fn so_far() -> std::io::Result<Cost> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(Cost {
        cpu_s: seconds(usage.user_time()) + seconds(usage.system_time()),
        rss_peak_mb: usage.max_rss() as f64 * MAXRSS_UNIT / 1e6,
    })
}
