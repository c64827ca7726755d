//! Mean and deviation of a column, number by number (Welford 1962): nothing is kept but three numbers.

use super::legend::ColumnKind;

/// Digits of a mean and a scale that a spec carries: more would say more of the maker's data than a model needs.
const DIGITS: usize = 5;

/// Of the numbers so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Moments {
    count: u64,
    mean: f64,
    squares: f64,
}

impl Moments {
    /// One more number.
    pub(super) fn add(&mut self, number: f64) {
        self.count += 1;
        let before = number - self.mean;
        self.mean += before / self.count as f64;
        self.squares += before * (number - self.mean);
    }

    /// What a task says of such a column. Of numbers that are all the same the scale is 1.
    pub(super) fn kind(&self) -> ColumnKind {
        let deviation = (self.squares / self.count.max(1) as f64).sqrt();
        let scale = format!("{deviation:.*e}", DIGITS - 1).parse().unwrap_or(deviation);
        let scale = if scale > 0.0 && scale.is_finite() { scale } else { 1.0 };
        // The mean as finely as the scale: of years around 2,000 the digits behind the point count.
        let decimals = (DIGITS as f64 - 1.0 - scale.log10().floor()).clamp(0.0, 300.0) as usize;
        ColumnKind::Number { mean: format!("{:.decimals$}", self.mean).parse().unwrap_or(self.mean), scale }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(numbers: &[f64]) -> ColumnKind {
        let mut moments = Moments::default();
        numbers.iter().for_each(|&number| moments.add(number));
        moments.kind()
    }

    #[test]
    fn mean_and_deviation_are_what_they_should_be() {
        assert_eq!(kind(&[1.0, 3.0]), ColumnKind::Number { mean: 2.0, scale: 1.0 });
        assert_eq!(kind(&[0.0, 0.0, 1.0]), ColumnKind::Number { mean: 0.33333, scale: 0.4714 });
        assert_eq!(kind(&[1e12 + 1.0, 1e12 + 3.0]), ColumnKind::Number { mean: 1e12 + 2.0, scale: 1.0 });
        assert_eq!(kind(&[5.0, 5.0]), ColumnKind::Number { mean: 5.0, scale: 1.0 });
        assert_eq!(kind(&[]), ColumnKind::Number { mean: 0.0, scale: 1.0 });
    }
}
