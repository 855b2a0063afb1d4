// SPDX-License-Identifier: Apache-2.0
//! What was seen of a supervisor, for people: a line for each service and each session, no longer than the screen is
//! wide. Pure.

use super::Seen;
use crate::plan::explain::broken;
use crate::policy::Paint;
use crate::supervise::control::words::{ServiceState, SessionState};
use crate::supervise::outcome::size;

/// How much can be shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// Columns.
    pub(super) width: usize,
    /// Lines.
    pub(super) height: usize,
}

impl Room {
    /// For whatever is no screen.
    pub(super) const ENDLESS: Room = Room { width: usize::MAX, height: usize::MAX };
}

/// Paints a text, or does not.
type Brush = fn(Paint, &str) -> String;

/// A cell: its text, and how it is painted.
type Cell = (String, Brush);

/// The whole of it.
pub(super) fn table(seen: &Seen, room: Room, paint: Paint) -> String {
    let mut lines = vec![headline(seen, room.width)];
    let mut services =
        vec![heading(&["SERVICE", "STATE", "SESSIONS", "SPARES", "SERVED", "REFUSED", "SET-UP", "ADDRESS"])];
    services.extend(seen.services.iter().map(service));
    services.extend(seen.not_served.keys().map(|name| not_served(name)));
    let mut rows = aligned(services, room.width, paint).into_iter();
    lines.extend(rows.next());
    let troubles = seen
        .services
        .iter()
        .map(|service| service.why.as_deref())
        .chain(seen.not_served.values().map(|why| Some(&**why)));
    for (row, trouble) in rows.zip(troubles) {
        lines.push(row);
        let width = room.width.saturating_sub(INDENT.len()).clamp(NARROW, WIDE);
        let trouble = trouble.iter().flat_map(|why| broken(why, width));
        lines.extend(trouble.map(|line| cut(&format!("{INDENT}{line}"), room.width)));
    }
    if !seen.sessions.is_empty() {
        let mut sessions = vec![heading(&["SESSION", "SERVICE", "STATE", "PID", "AGE", "LEFT", "MEMORY", "CLIENT"])];
        sessions.extend(seen.sessions.iter().map(session));
        lines.push(String::new());
        lines.extend(aligned(sessions, room.width, paint));
    }
    let hidden = lines.len().saturating_sub(room.height) + seen.supervisor.sessions.saturating_sub(seen.sessions.len());
    if lines.len() > room.height {
        lines.truncate(room.height.saturating_sub(1));
    }
    if hidden > 0 {
        lines.push(cut(&format!("... and {hidden} more; --all and --json have everything"), room.width));
    }
    lines.join("\n") + "\n"
}

/// Before what is said about a service.
const INDENT: &str = "    ";
/// It is not broken into shorter lines than this.
const NARROW: usize = 20;
/// Nor into longer ones.
const WIDE: usize = 116;

fn headline(seen: &Seen, width: usize) -> String {
    let it = &seen.supervisor;
    let left = it.drain_left_s.map(|left| format!(", which are ended in {}", short(left))).unwrap_or_default();
    let text = match (it.state.as_str(), it.sessions) {
        ("draining", count) => format!("draining: waits for sessions: {count}{left}"),
        ("leaving", count) => format!("leaving: not ready any more, and drains soon; sessions: {count}"),
        (state, count) => format!("{state} for {}, sessions: {count}", short(it.age_s)),
    };
    cut(&format!("spawnbox {} (pid {}) {text}", it.program, it.pid), width)
}

fn heading(words: &[&str]) -> Vec<Cell> {
    words.iter().map(|word| ((*word).to_string(), Paint::name as Brush)).collect()
}

fn plain(text: impl Into<String>) -> Cell {
    (text.into(), |_, text| text.to_string())
}

fn service(it: &ServiceState) -> Vec<Cell> {
    let brush: Brush = match it.state.as_str() {
        "ready" => Paint::good,
        "refused" => Paint::bad,
        _ => Paint::doubtful,
    };
    vec![
        plain(&it.service),
        (it.state.clone(), brush),
        plain(format!("{}/{}", it.sessions, it.most)),
        plain(it.spares.to_string()),
        plain(it.accepted.to_string()),
        plain(it.refused.values().sum::<u64>().to_string()),
        plain(match it.setup.mean_s {
            None => "-".to_string(),
            Some(mean) if mean < 1.0 => format!("{:.1}ms", mean * 1e3),
            Some(mean) => short(mean),
        }),
        plain(it.addresses.join(" ")),
    ]
}

fn not_served(name: &str) -> Vec<Cell> {
    let rest = ["-", "-", "-", "-", "-", "-"].map(plain);
    [vec![plain(name), ("refused".to_string(), Paint::bad as Brush)], rest.to_vec()].concat()
}

fn session(it: &SessionState) -> Vec<Cell> {
    vec![
        plain(it.session.to_string()),
        plain(&it.service),
        plain(&it.state),
        plain(it.pid.map_or("-".to_string(), |pid| pid.to_string())),
        plain(short(it.age_s)),
        plain(it.left_s.map_or("-".to_string(), short)),
        plain(it.memory.map_or("-".to_string(), size)),
        plain(&it.client),
    ]
}

/// Columns as wide as their widest cell, two blanks between them; what is beyond the width is cut.
fn aligned(rows: Vec<Vec<Cell>>, width: usize, paint: Paint) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let wide =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|(text, _)| text.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| wide(column).unwrap_or(0)).collect();
    let line = |row: &Vec<Cell>| {
        let (mut line, mut left) = (String::new(), width);
        for (column, (text, brush)) in row.iter().enumerate() {
            let shown = cut(text, left);
            left = left.saturating_sub(shown.chars().count());
            line.push_str(&brush(paint, &shown));
            if column + 1 < row.len() {
                let gap = (widths[column] + 2 - text.chars().count()).min(left);
                left -= gap;
                line.extend(std::iter::repeat_n(' ', gap));
            }
        }
        line.trim_end().to_string()
    };
    rows.iter().map(line).collect()
}

/// No more than so many columns.
fn cut(text: &str, width: usize) -> String {
    match text.chars().nth(width) {
        None => text.to_string(),
        Some(_) => text.chars().take(width).collect(),
    }
}

/// In the largest unit of which there are several.
fn short(seconds: f64) -> String {
    match seconds {
        ..10.0 => format!("{seconds:.1}s"),
        10.0..120.0 => format!("{seconds:.0}s"),
        120.0..7200.0 => format!("{:.0}m", seconds / 60.0),
        7200.0..172_800.0 => format!("{:.0}h", seconds / 3600.0),
        _ => format!("{:.0}d", seconds / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervise::control::words::{Supervising, Took};
    use std::collections::BTreeMap;

    fn seen() -> Seen {
        let service = |number, name: &str, state: &str, why: Option<&str>| ServiceState {
            number,
            service: name.to_string(),
            policy: "p@123".to_string(),
            addresses: vec!["127.0.0.1:10023".to_string()],
            state: state.to_string(),
            why: why.map(str::to_string),
            sessions: 2,
            most: 20,
            spares: 1,
            accepted: 1204,
            outcomes: BTreeMap::new(),
            refused: [("per-source".to_string(), 3), ("denied".to_string(), 4)].into(),
            denied_calls: 0,
            time_limit_s: None,
            idle_limit_s: None,
            setup: Took { count: 9, mean_s: Some(0.0021), p50_s: None, p99_s: None },
            handover: Took::default(),
        };
        let session = |session, client: &str| SessionState {
            session,
            service: "greylist".to_string(),
            client: client.to_string(),
            state: "running".to_string(),
            pid: Some(4711),
            age_s: 3.25,
            left_s: Some(990.0),
            memory: Some(3 << 20),
        };
        Seen {
            version: 1,
            supervisor: Supervising {
                pid: 812,
                program: "0.1.0".to_string(),
                state: "serving".to_string(),
                age_s: 7200.0,
                sessions: 5,
                drain_left_s: None,
            },
            services: vec![
                service(1, "greylist", "ready", None),
                service(2, "x", "paused", Some("an operator has paused it")),
            ],
            not_served: [("broken".to_string(), "its file is wrong".to_string())].into(),
            sessions: vec![session(17, "192.0.2.7:4711"), session(118, "pid:1/uid:0")],
        }
    }

    #[test]
    fn the_table_is_this_one() {
        let expected = "\
spawnbox 0.1.0 (pid 812) serving for 2h, sessions: 5
SERVICE   STATE    SESSIONS  SPARES  SERVED  REFUSED  SET-UP  ADDRESS
greylist  ready    2/20      1       1204    7        2.1ms   127.0.0.1:10023
x         paused   2/20      1       1204    7        2.1ms   127.0.0.1:10023
    an operator has paused it
broken    refused  -         -       -       -        -       -
    its file is wrong

SESSION  SERVICE   STATE    PID   AGE   LEFT  MEMORY  CLIENT
17       greylist  running  4711  3.2s  16m   3M      192.0.2.7:4711
118      greylist  running  4711  3.2s  16m   3M      pid:1/uid:0
... and 3 more; --all and --json have everything
";
        assert_eq!(table(&seen(), Room::ENDLESS, Paint::Off), expected);
    }

    #[test]
    fn no_line_is_longer_than_the_screen_and_no_table_higher() {
        for (width, height) in [(40, 8), (17, 3), (1, 1), (200, 50)] {
            let text = table(&seen(), Room { width, height }, Paint::Off);
            assert!(text.lines().all(|line| line.chars().count() <= width), "{width}: {text}");
            assert!(text.lines().count() <= height.max(2), "{height}: {text}");
        }
    }

    #[test]
    fn paint_changes_no_letter() {
        let painted = table(&seen(), Room { width: 60, height: 50 }, Paint::On);
        let plain = anstream::adapter::strip_str(&painted).to_string();
        assert_eq!(plain, table(&seen(), Room { width: 60, height: 50 }, Paint::Off));
        assert_ne!(painted, plain);
    }

    #[test]
    fn a_drain_says_what_it_waits_for() {
        let mut seen = seen();
        seen.supervisor.state = "draining".to_string();
        seen.supervisor.drain_left_s = Some(29.6);
        let text = table(&seen, Room::ENDLESS, Paint::Off);
        assert!(text.contains("draining: waits for sessions: 5, which are ended in 30s"), "{text}");
    }
}
