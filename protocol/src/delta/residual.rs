//! Error feedback: what compression left behind is added to the next change.

/// The residual's bound. Far beyond any weight, and far enough below `f32::MAX` that no sum of a
/// chunk overflows; a run that gets here has diverged, but its state stays finite.
pub const RESIDUAL_MAX: f32 = 1e30;

/// `beta e + D`, within [`RESIDUAL_MAX`]; total, since a comparison with NaN is false.
#[inline]
pub(super) fn accumulate(residual: f32, gradient: f32, beta: f32) -> f32 {
    let sum = beta * residual + gradient;
    // Written as comparisons and not as `clamp`: each compiles to a single SSE2 instruction.
    let sum = if sum < RESIDUAL_MAX { sum } else { RESIDUAL_MAX };
    if sum > -RESIDUAL_MAX { sum } else { -RESIDUAL_MAX }
}
