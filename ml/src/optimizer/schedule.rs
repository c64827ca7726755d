//! Which share of the rate a step takes: a warm-up, then the full rate, a straight line or half a cosine.
//!
//! ```text
//! step t, from 1:   t / warmup                                        while t < warmup
//!                   1                                                 constant
//!                   floor + (1 - floor) (1 - p)                       linear     p = (t - warmup) / (until - warmup),
//!                   floor + (1 - floor) (1 + cos(pi p)) / 2           cosine         1 from `until` on
//! ```
//! Steps are this node's own, counted in its optimizer's state: a node that comes late, or starts with
//! a fresh optimizer, begins with the warm-up. So nodes of a run are at different places of one schedule,
//! and a spec whose rate ends at zero has nodes that teach nothing any more. Loshchilov and Hutter 2017,
//! arXiv 1608.03983, without restarts.

use crate::section::Section;
use crate::task::TaskError;

/// Steps are counted up to here, which f32 still holds exactly: the optimizer's state is f32. By then
/// every schedule is over and every correction of AdamW's means is below 1e-70.
pub(super) const STEPS_MAX: u32 = 1 << 24;
/// Longest warm-up, steps (a guess).
const WARMUP_MAX: usize = 1_000_000;

/// How the rate changes with a node's own steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// Steps over which the rate grows evenly to its full size: 0 (the default) to a million.
    pub warmup: u32,
    /// How it goes on from there.
    pub decay: Decay,
}

/// What comes after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decay {
    /// The full rate for ever: the default.
    Constant,
    /// Down to the floor in a straight line.
    Linear(Slope),
    /// Down to the floor in half a cosine.
    Cosine(Slope),
}

/// Where a rate ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slope {
    /// The step from which on the rate is at its floor: more than the warm-up, at most 2^24.
    pub until: u32,
    /// The share of the rate that is left: 0 (the default) to 1.
    pub floor: f32,
}

impl Schedule {
    /// The keys that [`Schedule::parse`] reads.
    pub(super) const KEYS: [&str; 4] = ["warmup", "schedule", "until", "floor"];

    /// Reads `warmup`, `schedule`, `until` and `floor` of an optimizer's table.
    pub(super) fn parse(section: &Section<'_>) -> Result<Self, TaskError> {
        let warmup = section.count_or("warmup", 0..=WARMUP_MAX, 0)?;
        let kinds = "\"constant\", \"linear\" or \"cosine\"";
        let kind = section.text_or("schedule", kinds, "constant")?;
        let decay = match kind {
            "constant" => {
                // Silently without effect they would be a misunderstanding.
                if let Some(key) = ["until", "floor"].into_iter().find(|key| section.has(key)) {
                    return Err(section.wrong(
                        "schedule",
                        format!("{kind:?}"),
                        &format!("\"linear\" or \"cosine\" where there is `{key}`"),
                    ));
                }
                Decay::Constant
            }
            "linear" => Decay::Linear(Slope::parse(section, warmup)?),
            "cosine" => Decay::Cosine(Slope::parse(section, warmup)?),
            other => return Err(section.wrong("schedule", format!("{other:?}"), kinds)),
        };
        // Bounded above, far below 2^32.
        Ok(Self { warmup: warmup as u32, decay })
    }

    /// The share of the rate at this step, counted from 1.
    pub(super) fn share(&self, step: u32) -> f32 {
        if step < self.warmup {
            return step as f32 / self.warmup as f32;
        }
        match self.decay {
            Decay::Constant => 1.0,
            Decay::Linear(slope) => slope.left(1.0 - slope.progress(step, self.warmup)),
            Decay::Cosine(slope) => {
                let angle = slope.progress(step, self.warmup) * std::f32::consts::PI;
                slope.left(0.5 * (1.0 + angle.cos()))
            }
        }
    }
}

impl Slope {
    fn parse(section: &Section<'_>, warmup: usize) -> Result<Self, TaskError> {
        let until = section.count("until", warmup + 1..=STEPS_MAX as usize)?;
        let expected = "a number between 0 and 1";
        let floor = section.number("floor", expected)?.unwrap_or(0.0);
        if !(0.0..=1.0).contains(&floor) {
            return Err(section.wrong("floor", floor, expected));
        }
        Ok(Self { until: until as u32, floor: floor as f32 })
    }

    /// How much of the way is behind: 0 at the warm-up's end, 1 from `until` on.
    fn progress(&self, step: u32, warmup: u32) -> f32 {
        (step.saturating_sub(warmup) as f32 / self.until.saturating_sub(warmup).max(1) as f32).min(1.0)
    }

    fn left(&self, share: f32) -> f32 {
        self.floor + (1.0 - self.floor) * share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(text: &str) -> Result<Schedule, String> {
        let table = text.parse().expect("a table");
        Schedule::parse(&Section::new("task.optimizer", &table)).map_err(|error| error.to_string())
    }

    #[test]
    fn shares_are_what_the_formulas_say() {
        let table: [(&str, &[(u32, f32)]); 5] = [
            ("", &[(1, 1.0), (STEPS_MAX, 1.0)]),
            ("warmup = 4", &[(1, 0.25), (2, 0.5), (3, 0.75), (4, 1.0), (5, 1.0)]),
            ("schedule = 'linear'\nuntil = 10", &[(1, 0.9), (5, 0.5), (10, 0.0), (11, 0.0)]),
            ("schedule = 'cosine'\nuntil = 8\nfloor = 0.2", &[(2, 0.882_842_7), (4, 0.6), (8, 0.2), (STEPS_MAX, 0.2)]),
            (
                "warmup = 10\nschedule = 'linear'\nuntil = 20\nfloor = 0.5",
                &[(5, 0.5), (10, 1.0), (15, 0.75), (20, 0.5), (99, 0.5)],
            ),
        ];
        for (text, shares) in table {
            let schedule = schedule(text).expect(text);
            for &(step, expected) in shares {
                assert!((schedule.share(step) - expected).abs() < 1e-6, "{text}, step {step}: {}", schedule.share(step));
            }
        }
    }

    #[test]
    fn a_wrong_schedule_is_told_what_would_be_right() {
        let table = [
            ("schedule = 'step'", "`task.optimizer.schedule` is \"step\", but must be \"constant\", \"linear\" or \"cosine\""),
            ("schedule = 'cosine'", "`task.optimizer.until` is missing; it must be a whole number between 1 and 16777216"),
            (
                "schedule = 'cosine'\nwarmup = 9\nuntil = 9",
                "`task.optimizer.until` is 9, but must be a whole number between 10 and 16777216",
            ),
            (
                "until = 9",
                "`task.optimizer.schedule` is \"constant\", but must be \"linear\" or \"cosine\" where there is `until`",
            ),
            ("schedule = 'linear'\nuntil = 9\nfloor = 2", "`task.optimizer.floor` is 2, but must be a number between 0 and 1"),
            ("warmup = 1.5", "`task.optimizer.warmup` is 1.5, but must be a whole number between 0 and 1000000"),
        ];
        for (text, expected) in table {
            assert_eq!(schedule(text), Err(expected.to_owned()));
        }
    }
}
