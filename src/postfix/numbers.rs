// SPDX-License-Identifier: Apache-2.0
//! Numbers and times as main.cf writes them. Pure; Postfix's `conv_time` and `mail_conf_int` are the model.
#![forbid(unsafe_code)]

use super::parameters::ParameterError;
use std::time::Duration;

/// A number of at least one.
pub(super) fn parse_count(name: &str, value: &str) -> Result<u32, ParameterError> {
    let number = match strtol(value) {
        Some((number, "")) if !value.is_empty() => number,
        _ => return Err(ParameterError::NotANumber { name: name.to_string(), value: value.to_string() }),
    };
    u32::try_from(number).ok().filter(|number| *number > 0).ok_or(ParameterError::TooSmall {
        name: name.to_string(),
        value: number,
        min: 1,
    })
}

/// A time of at least one second; the unit is the first character after the number, and seconds where there is none.
pub(super) fn parse_time(name: &str, value: &str) -> Result<Duration, ParameterError> {
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
    let seconds = number.checked_mul(unit).filter(|seconds| *seconds >= 0).ok_or_else(refused)?;
    match u64::try_from(seconds) {
        Ok(whole) if whole > 0 => Ok(Duration::from_secs(whole)),
        _ => Err(ParameterError::TooShortATime { name: name.to_string(), seconds }),
    }
}

/// strtol(3) into an int: the number and what follows it; no digits are zero. `None` where it does not fit.
fn strtol(text: &str) -> Option<(i32, &str)> {
    let start = text.trim_start_matches(super::words::is_space);
    let signed = start.strip_prefix(['+', '-']).unwrap_or(start);
    let digits = signed.find(|c: char| !c.is_ascii_digit()).unwrap_or(signed.len());
    if digits == 0 {
        return Some((0, text));
    }
    let end = start.len() - signed.len() + digits;
    start[..end].parse().ok().map(|number| (number, &start[end..]))
}
