// SPDX-License-Identifier: Apache-2.0
//! Every mistake in the keys of a file and in the sorts of its values.

use super::super::source::Name;
use super::*;

fn lines(text: &str) -> Vec<String> {
    let source = Source::new(Name::CommandLine, text);
    parse(&source, Version::Required).unwrap_err().lines().map(|l| l.replacen("command line:", "", 1)).collect()
}

fn check(text: &str, expected: &[&str]) {
    assert_eq!(lines(text), expected, "{text}");
}

#[test]
fn text_that_is_not_toml_is_refused() {
    for (text, expected) in [
        (
            "version = 1\n[limits\n",
            "2:8: unclosed table, expected `]` (what is opened on a line is closed there, but for a list)",
        ),
        (
            "version = 1\nversion = 1\n",
            "2:1: key `version` is written twice: for the second time (write what belongs to it in one place)",
        ),
        (
            "version = \"1\n",
            "1:13: invalid basic string, expected `\"` (what is opened on a line is closed there, but for a list)",
        ),
        (
            "a b c",
            "1:3: key with no value, expected `=` (a policy is TOML: lines such as `key = value`, and `[table]` above them)",
        ),
        ("version = 1\ncommand.user = nobody\n", "2:16: text is in quotes (write `\"nobody\"`)"),
        ("version = 1\nconnection.stderr = log\n", "2:21: text is in quotes (write `\"log\"`)"),
        (
            "version = 1\nextends = [\"strict\"\n[command]\nargv = [\"/bin/cat\"]\n",
            "3:1: missing comma between array elements, expected `,` (entries of a list are divided by commas, and the list ends with `]`)",
        ),
    ] {
        check(text, &[expected]);
    }
}

#[test]
fn a_file_says_first_which_format_it_is_in() {
    for (text, expected) in [
        ("", "1:1: missing key `version` (add `version = 1` as the first line)"),
        ("version = 2\nfuture = true\n", "1:11: this file is in format 2: this spawnbox reads format 1"),
        ("version = 0\n", "1:11: there is no such format: this spawnbox reads format 1"),
        ("version = \"1\"\n", "1:11: there is no such format: this spawnbox reads format 1"),
    ] {
        check(text, &[expected]);
    }
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_known_one() {
    for (text, expected) in [
        ("descripton = \"\"", "2:1: unknown key `descripton`: not a key here (did you mean `description`?)"),
        ("[limits]\nmemroy = 1", "3:1: unknown key `memroy`: not a key of this table (did you mean `memory`?)"),
        ("limits.open_files = 1", "2:8: unknown key `open_files`: not a key here (did you mean `open-files`?)"),
        (
            "[connection]\nx = 1",
            "3:1: unknown key `x`: not a key of this table (known here: hold, ends, stderr, concurrency, spares)",
        ),
        (
            "[files]\nread = [{ path = \"/a\", wy = \"\" }]",
            "3:24: unknown key `wy`: not a key here (did you mean `why`?)",
        ),
        ("user = \"x\"", "2:1: unknown key `user`: not a key here (did you mean `command.user`?)"),
        (
            "[files]\nallow = [\"x\"]",
            "3:1: unknown key `allow`: not a key of this table (did you mean `clients.allow` or `syscalls.allow`?)",
        ),
        ("[limit]\n", "2:2: unknown key `limit`: not a key here (did you mean `limits`?)"),
        (
            "[connection]\n\"x`, expected `\\u0000\" = 1",
            "3:1: unknown key `x`, expected `\\u{0}`: not a key of this table (known here: hold, ends, stderr, concurrency, spares)",
        ),
    ] {
        check(&format!("version = 1\n{text}\n"), &[expected]);
    }
}

#[test]
fn a_value_of_the_wrong_type_is_refused() {
    for (text, expected) in [
        ("description = 1", "2:15: wrong type of `description`: expected text in quotes, found a number"),
        ("limits = 1", "2:10: wrong type of `limits`: expected a table, found a number"),
        ("limits.time = true", "2:15: wrong type of `time`: expected a time such as \"5m\", found `true`"),
        ("limits.memory = [1]", "2:17: wrong type of `memory`: expected a size such as \"64M\", found a list"),
        ("limits.tasks = 1.5", "2:16: wrong type of `tasks`: expected a whole number, found a fraction"),
        (
            "limits.tasks = 99999999999999999999",
            "2:16: wrong type of `tasks`: expected a whole number, found a number out of range",
        ),
        ("isolation.init = \"yes\"", "2:18: wrong type of `init`: expected `true` or `false`, found text"),
        (
            "files.read = \"/a\"",
            "2:14: wrong type of `read`: expected a list in brackets, found text (write `[\"/a\"]`)",
        ),
        (
            "command.argv = \"/bin/cat -u\"",
            "2:16: wrong type of `argv`: expected a list in brackets, found text (write `[\"/bin/cat\", \"-u\"]`)",
        ),
        (
            "files.read = [\"/a\", 1]",
            "2:21: wrong type of `read`: expected a path, or a table with `path`, found a number",
        ),
        ("limits = [\"5m\"]", "2:10: wrong type of `limits`: expected a table, found a list"),
        (
            "files.scratch = [[\"/t\", 1, 1]]",
            "2:18: wrong type of `scratch`: expected a table with `path`, `size` and `inodes`, found a list",
        ),
        (
            "files.scratch = [\"/tmp\"]",
            "2:18: wrong type of `scratch`: expected a table with `path`, `size` and `inodes`, found text",
        ),
        (
            "network.connect = [25]",
            "2:19: wrong type of `connect`: expected a table such as `{ ports = [25] }`, found a list",
        ),
        (
            "network.connect.ports = 25",
            "2:25: wrong type of `ports`: expected a list of ports, or \"any\", found a number",
        ),
        ("command.environment = [1]", "2:23: wrong type of `environment`: expected a table, found a list"),
        ("description = 2026-01-01", "2:15: wrong type of `description`: expected text in quotes, found a date"),
    ] {
        check(&format!("version = 1\n{text}\n"), &[expected]);
    }
}

#[test]
fn a_missing_key_is_refused() {
    for (text, expected) in [
        (
            "files.scratch = [{ path = \"/tmp\", size = 1 }]",
            "2:18: missing key `inodes`: `inodes` must be written here",
        ),
        ("files.read = [{ why = \"\" }]", "2:15: missing key `path`: `path` must be written here"),
        ("network.udp = {}", "2:15: missing key `ports`: `ports` must be written here"),
    ] {
        check(&format!("version = 1\n{text}\n"), &[expected]);
    }
}

#[test]
fn all_mistakes_are_found_at_once() {
    let text =
        "version = 1\n[limits]\nmemroy = 1\ntime = true\n[files]\nread = [{ path = \"/a\", wy = 1 }]\nwrite = 3\n";
    let places: Vec<String> = lines(text).iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(places, ["3:1:", "4:8:", "6:24:", "7:9:"]);
}

#[test]
fn a_mistake_does_not_make_another_one() {
    check(
        "version = 1\nfiles.scratch = [{ path = \"/t\", size = true, inodes = 1 }]\n",
        &["2:40: wrong type of `size`: expected a size such as \"64M\", found `true`"],
    );
}

#[test]
fn more_mistakes_than_anyone_reads_are_cut_off() {
    let keys: String = (0..100).map(|n| format!("k{n} = 1\n")).collect();
    assert_eq!(lines(&format!("version = 1\n{keys}")).len(), MOST_MISTAKES);
}

#[test]
fn an_unknown_key_is_reported_in_the_shape_of_rustc() {
    let source = Source::new(Name::Builtin("x".into()), "version = 1\n\n[limits]\nmemroy = \"64M\"\n");
    let expected = "\
error: unknown key `memroy`
 --> built-in x.toml:4:1
  |
3 | [limits]
  | -------- in this table
4 | memroy = \"64M\"
  | ^^^^^^ not a key of this table
  |
  = help: did you mean `memory`?";
    assert_eq!(parse(&source, Version::Required).unwrap_err().to_string(), expected);
}
