// SPDX-License-Identifier: Apache-2.0
//! How a mistake is told to a person, to a log and to a terminal.

use super::super::source::Name;
use super::*;
use std::sync::Arc;

fn source() -> Source {
    let path = Arc::new(PathBuf::from("/etc/spawnbox/greylist.toml"));
    Source::new(Name::File(path), "version = 1\n\n[limits]\nmemroy = \"64M\"\n")
}

fn mistake() -> Mistake {
    Mistake::new("unknown key `memroy`")
        .at(&source(), 22..28)
        .label("not a key of this table")
        .see(13..21, "in this table")
        .suggest("memroy", ["memory", "time"])
}

#[test]
fn the_report_has_the_shape_of_rustc() {
    let expected = "\
error: unknown key `memroy`
 --> /etc/spawnbox/greylist.toml:4:1
  |
3 | [limits]
  | -------- in this table
4 | memroy = \"64M\"
  | ^^^^^^ not a key of this table
  |
  = help: did you mean `memory`?";
    assert_eq!(InputError::from(mistake()).to_string(), expected);
}

#[test]
fn the_log_line_has_place_reason_and_way_out() {
    let lines: Vec<_> = InputError::from(mistake()).lines().collect();
    let expected = "/etc/spawnbox/greylist.toml:4:1: unknown key `memroy`: not a key of this table \
                        (did you mean `memory`?)";
    assert_eq!(lines, [expected]);
}

#[test]
fn a_control_character_cannot_forge_a_log_line() {
    let error = InputError::from(Mistake::new("unknown key `a\nwarning: b`"));
    assert_eq!(error.lines().next().unwrap(), "unknown key `a\\u{a}warning: b`");
    assert!(!error.to_string().contains("\nwarning"));
}

#[test]
fn no_text_speaks_to_a_terminal() {
    let source = Source::new(Name::CommandLine, "a = \"\u{9b}31m\u{1b}[35m\"");
    let error = InputError::from(Mistake::new("\u{1b}\u{9b}").at(&source, 4..16).label("\u{90}").help("\0\n"));
    let report = error.to_string();
    assert!(!report.contains(|c: char| c.is_control() && c != '\n'), "{report:?}");
    // What is painted is painted by us alone.
    let painted = error.report(Paint::On);
    assert!(painted.contains("\u{1b}[") && !painted.contains("\u{1b}[35m"), "{painted:?}");
    let foreign = |c: char| c.is_control() && c != '\n' && c != '\u{1b}';
    assert!(!painted.contains(foreign), "{painted:?}");
}

#[test]
fn a_mistake_may_have_an_origin_a_path_or_no_place() {
    let path = Arc::new(PathBuf::from("/p.toml"));
    let origin = Origin::File { path, line: 3, column: 7 };
    for (mistake, report) in [
        (Mistake::new("bad").written(&origin), "error: bad\n--> /p.toml:3:7"),
        (Mistake::new("bad").written(&Origin::CommandLine), "error: bad\n--> command line"),
        (Mistake::new("bad").in_file("/p.toml"), "error: bad\n--> /p.toml"),
        (Mistake::new("bad"), "error: bad"),
    ] {
        assert_eq!(InputError::from(mistake).to_string(), report);
    }
}

#[test]
fn only_a_slip_is_suggested() {
    for (word, expected) in [
        ("memroy", Some("memory")),
        ("open_files", Some("open-files")),
        ("Time", Some("time")),
        ("banana", None),
        ("", None),
    ] {
        assert_eq!(nearest(word, ["memory", "open-files", "time"]), expected, "{word}");
    }
}
