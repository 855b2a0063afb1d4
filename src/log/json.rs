// SPDX-License-Identifier: Apache-2.0
//! Lines as JSON objects on standard error, one each, for collectors of container hosts.

use super::field::{Field, Value};
use super::{Severity, Sink, stderr};
use std::fmt::Write;
use std::time::{Duration, SystemTime};

/// The sink.
#[derive(Debug, Clone, Copy)]
pub struct Json;

impl Sink for Json {
    fn line(&self, severity: Severity, text: &str) {
        self.record(severity, text, &[]);
    }

    fn record(&self, severity: Severity, text: &str, fields: &[Field]) {
        stderr(severity, text, fields, |severity, text, fields| {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            object(now, severity, text, fields)
        });
    }

    fn wants_fields(&self) -> bool {
        true
    }
}

fn object(now: Duration, severity: Severity, text: &str, fields: &[Field]) -> String {
    let level = match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Error => "error",
        Severity::Fatal => "fatal",
        Severity::Panic => "panic",
    };
    let mut line = format!("{{\"time\":\"{}\",\"level\":\"{level}\",\"message\":{}", time(now), quoted(text));
    for Field { name, value } in fields {
        // Writing to a string cannot fail.
        let _ = match value {
            Value::Number(number) => write!(line, ",\"{name}\":{number}"),
            Value::Text(text) => write!(line, ",\"{name}\":{}", quoted(text)),
        };
    }
    line.push('}');
    line
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// RFC 3339, in UTC, to the millisecond.
fn time(since_1970: Duration) -> String {
    let seconds = since_1970.as_secs();
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", since_1970.subsec_millis())
}

/// The date, in the calendar of Gregory. Years are counted from March on, so that a leap day is the last of its year.
fn date(days_since_1970: u64) -> (u64, u64, u64) {
    // From 1 March of the year 0.
    let days = days_since_1970 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_object_whatever_is_in_it() {
        let fields = [
            Field { name: "session", value: Value::Number("7".into()) },
            Field { name: "client", value: Value::Text("a\"b".into()) },
        ];
        let line = object(Duration::from_millis(1_700_000_000_042), Severity::Warning, "x \"y\" \\", &fields);
        let expected = r#"{"time":"2023-11-14T22:13:20.042Z","level":"warning","message":"x \"y\" \\","session":7,"client":"a\"b"}"#;
        assert_eq!(line, expected);
        assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok());
    }

    #[test]
    fn every_day_has_its_date() {
        let all: Vec<_> = [0, 58, 59, 364, 365, 11_016, 11_017, 19_782, 47_540, 47_541].map(date).to_vec();
        let expected = [
            (1970, 1, 1),
            (1970, 2, 28),
            (1970, 3, 1),
            (1970, 12, 31),
            (1971, 1, 1),
            (2000, 2, 29),
            (2000, 3, 1),
            (2024, 2, 29),
            (2100, 2, 28),
            (2100, 3, 1),
        ];
        assert_eq!(all, expected);
    }
}
