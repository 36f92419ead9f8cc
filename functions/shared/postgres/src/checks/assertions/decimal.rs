//! Decimal numbers of any length, compared exactly.

use std::{cmp::Ordering, fmt};

/// A decimal number, kept as it is written. Two that are written differently may be equal: `1.50`, `15e-1`.
#[derive(Clone, Debug)]
pub struct Decimal {
    text: String,
    is_negative: bool,
    /// Without zeros at either end.
    digits: Vec<u8>,
    /// Where the point is: the value is 0.digits times ten to this.
    exponent: i64,
}

impl Decimal {
    /// Reads an optional sign, digits with an optional point, and an optional exponent. `NaN` and `Infinity` are no numbers here.
    pub fn parse(text: &str) -> Option<Self> {
        let (is_negative, unsigned) = match text.strip_prefix(['-', '+']) {
            Some(rest) => (text.starts_with('-'), rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !is_number(whole) || !is_number(fraction) {
            return None;
        }
        let all: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        let zeros = all.iter().take_while(|digit| **digit == b'0').count();
        let mut digits = all.get(zeros..).unwrap_or_default().to_vec();
        let significant = digits.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
        digits.truncate(significant);
        let is_zero = digits.is_empty();
        let exponent = if is_zero {
            0
        } else {
            i64::from(exponent) + i64::try_from(whole.len()).ok()? - i64::try_from(zeros).ok()?
        };
        Some(Self { text: text.to_owned(), is_negative: is_negative && !is_zero, digits, exponent })
    }

    fn magnitude(&self, other: &Self) -> Ordering {
        match (self.digits.is_empty(), other.digits.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            // The first digit of neither is a zero, and a prefix is the smaller one.
            (false, false) => self.exponent.cmp(&other.exponent).then_with(|| self.digits.cmp(&other.digits)),
        }
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.is_negative, other.is_negative) {
            (false, false) => self.magnitude(other),
            (true, true) => other.magnitude(self),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal {}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[rstest]
    #[case("0", "-0.000", Ordering::Equal)]
    #[case("0e99", "0", Ordering::Equal)]
    #[case("1.50", "15e-1", Ordering::Equal)]
    #[case("100", "1E+2", Ordering::Equal)]
    #[case("0.1", "0.09999999999999999999999999999999", Ordering::Greater)]
    #[case("12345678901234567890123456789", "12345678901234567890123456788", Ordering::Greater)]
    #[case("-2", "-1", Ordering::Less)]
    #[case("-1", "0", Ordering::Less)]
    #[case("9", "10", Ordering::Less)]
    #[case("1", "1.0000000001", Ordering::Less)]
    #[case("+5", "5.", Ordering::Equal)]
    #[case(".5", "0.5", Ordering::Equal)]
    fn numbers_are_compared_by_value(#[case] one: &str, #[case] other: &str, #[case] order: Ordering) {
        assert_eq!(decimal(one).cmp(&decimal(other)), order);
        assert_eq!(decimal(other).cmp(&decimal(one)), order.reverse());
    }

    #[rstest]
    fn the_rest_is_no_number(
        #[values("", "-", ".", "e5", "1e", "1e1.5", "0x10", "NaN", "Infinity", "1 ", "--1", "1e99999999999")]
        text: &str,
    ) {
        assert!(Decimal::parse(text).is_none(), "{text}");
    }

    proptest! {
        #[test]
        fn order_is_that_of_the_integers(a in any::<i64>(), b in any::<i64>()) {
            prop_assert_eq!(decimal(&a.to_string()).cmp(&decimal(&b.to_string())), a.cmp(&b));
        }

        #[test]
        fn the_point_may_be_anywhere(a in any::<i32>(), b in any::<i32>(), places in 0_u32..12) {
            let scaled = |number: i32| decimal(&format!("{number}e-{places}"));
            prop_assert_eq!(scaled(a).cmp(&scaled(b)), a.cmp(&b));
        }

        #[test]
        fn never_panics(text in ".{0,40}") {
            _ = Decimal::parse(&text);
        }
    }
}
