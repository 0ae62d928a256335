//! What is usual, by quantiles.

/// A normal distribution's distance of the quantile 0.75 from the median, in standard deviations.
const UPPER_QUARTILE: f64 = 0.674_5;

/// The same of the quantile 0.9.
const UPPER_DECILE: f64 = 1.281_6;

/// What is added before a logarithm is taken: between none and two there is no difference worth telling.
const OFFSET: f64 = 5.0;

/// The middle of what is usual, and how far it spreads upwards, in logarithms: who reads twice as much on some days does so
/// whether that is ten or ten thousand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usual {
    centre: f64,
    spread: f64,
}

impl Usual {
    /// Of an account's own days, if they are enough.
    #[must_use]
    pub fn of_days(days: &[i64], enough: usize, least_spread: f64) -> Option<Self> {
        if days.len() < enough {
            return None;
        }
        let mut values: Vec<f64> = days.iter().map(|count| logarithm(*count)).collect();
        values.sort_by(f64::total_cmp);
        let quantiles = [0.5, 0.75, 0.9].map(|share| quantile(&values, share));
        Self::of_quantiles(&quantiles, least_spread)
    }

    /// Of the median and the quantiles 0.75 and 0.9. Days are of two kinds for many people, such as those with a clinic and
    /// those without: the wider of the two quantiles says how far the second kind reaches.
    #[must_use]
    pub fn of_quantiles(quantiles: &[f64], least_spread: f64) -> Option<Self> {
        let [centre, quartile, decile] = quantiles.try_into().ok()?;
        let spread = ((quartile - centre) / UPPER_QUARTILE).max((decile - centre) / UPPER_DECILE).max(least_spread);
        Some(Self { centre, spread })
    }

    /// How far beyond the middle a number is, in spreads.
    #[must_use]
    pub fn score(&self, count: i64) -> f64 {
        (logarithm(count) - self.centre) / self.spread
    }

    /// The number that is so many spreads beyond the middle.
    #[must_use]
    pub fn bound(&self, spreads: f64) -> f64 {
        (self.centre + spreads * self.spread).exp() - OFFSET
    }
}

/// A quantile of numbers in order, between two of them where it is between them.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let mut position = share * number(sorted.len().saturating_sub(1));
    let mut pairs = sorted.windows(2);
    while position >= 1.0 {
        pairs.next();
        position -= 1.0;
    }
    match pairs.next() {
        Some([low, high]) => low + (high - low) * position,
        _ => sorted.last().copied().unwrap_or_default(),
    }
}

/// The logarithm by which a count is compared: of five more.
pub(crate) fn logarithm(count: i64) -> f64 {
    (number(count) + OFFSET).ln()
}

/// A count as a number with a point. No count here is as large as to lose digits.
pub(crate) fn number(count: impl TryInto<u32>) -> f64 {
    f64::from(count.try_into().unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_database() {
        // SELECT percentile_cont(ARRAY[0.5, 0.75, 0.9]) WITHIN GROUP (ORDER BY x) FROM unnest(ARRAY[1, 2, 3, 5, 8, 13]) x
        let values = [1.0, 2.0, 3.0, 5.0, 8.0, 13.0];
        for (share, expected) in [(0.0, 1.0), (0.5, 4.0), (0.75, 7.25), (0.9, 10.5), (1.0, 13.0)] {
            assert!((quantile(&values, share) - expected).abs() < 1e-9, "{share}: {}", quantile(&values, share));
        }
        assert!((quantile(&[7.0], 0.9) - 7.0).abs() < 1e-9);
        assert!(quantile(&[], 0.5).abs() < 1e-9);
    }

    #[test]
    fn a_bound_is_where_its_score_is() {
        let usual = Usual::of_days(&[90, 100, 110, 95, 105, 100, 98, 120], 8, 0.25).unwrap();
        let bound = usual.bound(4.0);
        assert!((250.0..300.0).contains(&bound), "{bound}");
        let first = (100..1000).find(|value| usual.score(i64::from(*value)) >= 4.0).unwrap();
        assert!(usual.score(100).abs() < 0.1 && (f64::from(first) - bound).abs() <= 1.0, "{first} {bound}");
    }

    #[test]
    fn too_few_days_say_nothing() {
        assert_eq!(Usual::of_days(&[100; 7], 8, 0.25), None);
        assert_eq!(Usual::of_quantiles(&[1.0, 2.0], 0.25), None);
    }
}
