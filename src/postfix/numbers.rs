// SPDX-License-Identifier: Apache-2.0
//! Numbers and times as main.cf writes them. Pure; Postfix's `conv_time`, `mail_conf_int` and `mail_conf_long` are the
//! model. A limit of 0 is none.
#![forbid(unsafe_code)]

use super::parameters::ParameterError;
use std::time::Duration;

/// A number that fits an int.
pub(super) fn parse_number(name: &str, value: &str, min: i64, max: i64) -> Result<i64, ParameterError> {
    let number = whole(value).filter(|number| i32::try_from(*number).is_ok());
    within(name, number.ok_or_else(|| not_a_number(name, value))?, min, max)
}

/// A number that fits a long.
pub(super) fn parse_long(name: &str, value: &str, min: i64) -> Result<i64, ParameterError> {
    within(name, whole(value).ok_or_else(|| not_a_number(name, value))?, min, 0)
}

/// A number of at least one.
pub(super) fn parse_count(name: &str, value: &str) -> Result<u32, ParameterError> {
    let number = parse_number(name, value, 1, 0)?;
    u32::try_from(number).map_err(|_| not_a_number(name, value))
}

/// A time; the unit is the first character after the number, and seconds where there is none.
pub(super) fn parse_time(name: &str, value: &str, min: i32, max: i32) -> Result<Duration, ParameterError> {
    let refused = || ParameterError::NotATime { name: name.to_string(), value: value.to_string() };
    let (number, rest) = strtol(value).filter(|_| !value.is_empty()).ok_or_else(refused)?;
    let unit = match rest.chars().next().unwrap_or('s') {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        'w' => 7 * 24 * 60 * 60,
        _ => return Err(refused()),
    };
    let number = i32::try_from(number).map_err(|_| refused())?;
    let seconds = number.checked_mul(unit).filter(|seconds| *seconds >= 0).ok_or_else(refused)?;
    if seconds < min {
        return Err(ParameterError::TooShortATime { name: name.to_string(), seconds, min });
    }
    if max > 0 && seconds > max {
        return Err(ParameterError::TooLongATime { name: name.to_string(), seconds, max });
    }
    Ok(Duration::from_secs(u64::try_from(seconds).map_err(|_| refused())?))
}

fn not_a_number(name: &str, value: &str) -> ParameterError {
    ParameterError::NotANumber { name: name.to_string(), value: value.to_string() }
}

fn within(name: &str, value: i64, min: i64, max: i64) -> Result<i64, ParameterError> {
    if min != 0 && value < min {
        return Err(ParameterError::TooSmall { name: name.to_string(), value, min });
    }
    if max != 0 && value > max {
        return Err(ParameterError::TooLarge { name: name.to_string(), value, max });
    }
    Ok(value)
}

/// A number that nothing follows.
fn whole(value: &str) -> Option<i64> {
    strtol(value).filter(|(_, rest)| rest.is_empty() && !value.is_empty()).map(|(number, _)| number)
}

/// strtol(3): the number and what follows it; no digits are zero. `None` where it does not fit.
fn strtol(text: &str) -> Option<(i64, &str)> {
    let start = text.trim_start_matches(super::words::is_space);
    let signed = start.strip_prefix(['+', '-']).unwrap_or(start);
    let digits = signed.find(|c: char| !c.is_ascii_digit()).unwrap_or(signed.len());
    if digits == 0 {
        return Some((0, text));
    }
    let end = start.len() - signed.len() + digits;
    start[..end].parse().ok().map(|number| (number, &start[end..]))
}
