//! Decimal numbers without floating point, whose tables would be a tenth of the module that a browser loads.

/// A number that is not negative, as JSON writes it (RFC 8259 section 6) and servers do, times ten to the power of `shift`,
/// cut to a whole one; the largest where it is too large. `None` where it is negative or no number.
pub(crate) fn decimal(text: &str, shift: i64) -> Option<u64> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, self::exponent(exponent)?),
        None => (text, 0),
    };
    let mantissa = mantissa.strip_prefix('+').unwrap_or(mantissa);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = || whole.bytes().chain(fraction.bytes());
    if digits().next().is_none() || !digits().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let length = i64::try_from(whole.len()).ok()?.saturating_add(exponent).saturating_add(shift);
    let mut value = 0_u64;
    let mut rest = digits();
    for _ in 0..length {
        let digit = rest.next().map(|byte| byte - b'0');
        if digit.is_none() && value == 0 {
            break;
        }
        let longer = value.checked_mul(10).and_then(|value| value.checked_add(digit.unwrap_or(0).into()));
        let Some(longer) = longer else { return Some(u64::MAX) };
        value = longer;
    }
    Some(value)
}

/// The same of a JSON value, as others write it: a number, or a string with one.
pub(crate) fn decimal_in(json: &str, shift: i64) -> Option<u64> {
    let text = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    decimal(text.unwrap_or(json), shift)
}

/// What is beyond any length counts as the furthest.
fn exponent(text: &str) -> Option<i64> {
    let (digits, negative) = match text.strip_prefix('-') {
        Some(digits) => (digits, true),
        None => (text.strip_prefix('+').unwrap_or(text), false),
    };
    if digits.is_empty() {
        return None;
    }
    let mut size = 0;
    for byte in digits.bytes() {
        let digit = i64::from(byte).wrapping_sub(b'0'.into());
        if !(0..10).contains(&digit) {
            return None;
        }
        size = (size * 10 + digit).min(i64::MAX / 40);
    }
    Some(if negative { -size } else { size })
}

#[cfg(test)]
mod tests {
    use super::decimal;

    #[test]
    fn decimals_are_cut_to_whole_ones_and_never_wrap() {
        let cases = [
            ("0", 0, Some(0)),
            ("3600", 3, Some(3_600_000)),
            ("3600.0", 3, Some(3_600_000)),
            ("3.6e3", 3, Some(3_600_000)),
            ("+.5", 3, Some(500)),
            ("5.", 0, Some(5)),
            ("0.0009", 3, Some(0)),
            ("1.7999E+12", 0, Some(1_799_900_000_000)),
            ("18446744073709551615", 0, Some(u64::MAX)),
            ("18446744073709551616", 0, Some(u64::MAX)),
            ("1e400", 0, Some(u64::MAX)),
            ("1e99999999999999999999", 3, Some(u64::MAX)),
            ("1e-400", 3, Some(0)),
            ("1e-99999999999999999999", 3, Some(0)),
            ("0e99999999999999999999", 3, Some(0)),
            ("-1", 0, None),
            ("-0", 0, None),
            ("", 0, None),
            (".", 0, None),
            ("e5", 0, None),
            ("1e", 0, None),
            ("1e+", 0, None),
            ("1e5e5", 0, None),
            ("1.2.3", 0, None),
            ("inf", 0, None),
            ("NaN", 0, None),
            ("0x10", 0, None),
        ];
        for (text, shift, value) in cases {
            assert_eq!(decimal(text, shift), value, "{text}");
        }
    }
}
