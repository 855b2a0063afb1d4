// SPDX-License-Identifier: Apache-2.0
//! What each value may be, and what it means.

use super::super::shape::{self, Version};
use super::super::source::Name;
use super::*;
use std::time::Duration;

fn layer(text: &str) -> Result<Layer, InputError> {
    let source = Source::new(Name::CommandLine, text);
    read(shape::parse(&source, Version::Implied)?, &source)
}

fn lines(text: &str) -> Vec<String> {
    layer(text).unwrap_err().lines().map(|line| line.replacen("command line:", "", 1)).collect()
}

#[test]
fn an_impossible_value_is_refused() {
    for (text, expected) in [
        ("description = \"a\\nb\"", "1:15: impossible value of `description`: must be one line of text"),
        ("command.user = \"${user}\"", "1:16: impossible value of `user`: `${user}` is this very value"),
        (
            "command.argv = [\"/bin/sh\", \"-c\", \"echo ${HOME}\"]",
            "1:16: impossible value of `argv`: `${HOME}` is not known, `${service}` and `${user}` are: \
                 write `$${` where no name is meant",
        ),
        (
            "command.environment = { A = \"${}\" }",
            "1:29: impossible value of `environment`: `${}` is not known, `${service}` and `${user}` are: \
                 write `$${` where no name is meant",
        ),
        (
            "command.group = \"${user\"",
            "1:17: impossible value of `group`: `${` without `}`: write `$${` where no name is meant",
        ),
        (
            "files.read = [\"/var/lib/${servcie}\"]",
            "1:15: impossible value of `read`: `${servcie}` is not known, `${service}` and `${user}` are: \
                 write `$${` where no name is meant",
        ),
        ("files.write = [\"${service}\"]", "1:16: relative path in `write`: a path starts with `/`"),
        ("command.user = \"\"", "1:16: impossible value of `user`: a name or a number is needed"),
        ("command.user = \"a:b\"", "1:16: impossible value of `user`: user and group are two keys"),
        (
            "command.user = { range = \"1000\" }",
            "1:26: impossible value of `range`: write FIRST-LAST, such as \"61184-65519\"",
        ),
        (
            "command.user = { range = \"+1-2\" }",
            "1:26: impossible value of `range`: write FIRST-LAST, such as \"61184-65519\"",
        ),
        (
            "command.user.range = \"1-4294967296\"",
            "1:22: impossible value of `range`: write FIRST-LAST, such as \"61184-65519\"",
        ),
        ("command.user.range = \"2-1\"", "1:22: impossible value of `range`: the first id is above the last"),
        ("command.group = \"a b\"", "1:17: impossible value of `group`: no account has this name"),
        ("command.argv = []", "1:16: impossible value of `argv`: the program is missing"),
        ("command.argv = [\"\", \"x\"]", "1:16: impossible value of `argv`: the program has no name"),
        ("command.argv = [\"/x\", \"\\u0000\"]", "1:16: impossible value of `argv`: no word can hold a NUL"),
        ("command.umask = \"0778\"", "1:17: impossible value of `umask`: must be octal, from 000 to 777"),
        ("command.umask = \"1000\"", "1:17: impossible value of `umask`: must be octal, from 000 to 777"),
        ("command.umask = \"+77\"", "1:17: impossible value of `umask`: must be octal, from 000 to 777"),
        ("command.umask = \"\"", "1:17: impossible value of `umask`: must be octal, from 000 to 777"),
        (
            "command.environment = { \"A=B\" = \"\" }",
            "1:25: impossible value of `environment`: no variable can have this name",
        ),
        (
            "command.environment = { A = \"\\u0000\" }",
            "1:29: impossible value of `environment`: no variable can hold a NUL",
        ),
        (
            "files.scratch = [{ path = \"/t\", size = 0, inodes = 1 }]",
            "1:40: impossible value of `size`: must be at least 1",
        ),
        (
            "files.scratch = [{ path = \"/t\", size = 1, inodes = 0 }]",
            "1:52: impossible value of `inodes`: must be at least 1",
        ),
        ("network.connect.ports = [0]", "1:26: impossible value of `connect`: must be from 1 to 65535"),
        ("network.udp.ports = [53, 65536]", "1:26: impossible value of `udp`: must be from 1 to 65535"),
        ("network.bind.ports = \"all\"", "1:22: impossible value of `bind`: write \"any\", or a list such as [25]"),
        ("syscalls.allow = [\"\"]", "1:19: impossible value of `allow`: no call or group has this name"),
        ("limits.time = 0", "1:15: impossible value of `time`: must be at least 1s"),
        (
            "limits.time = \"5min\"",
            "1:15: impossible value of `time`: a time is a number and one of s, m, h, d, w, such as `5m`",
        ),
        ("limits.memory = 0", "1:17: impossible value of `memory`: must be at least 1"),
        (
            "limits.memory = \"64MB\"",
            "1:17: impossible value of `memory`: write `64M`: K, M, G and T are powers of 1024",
        ),
        ("limits.service.tasks = 0", "1:24: impossible value of `tasks`: must be at least 1"),
        ("limits.tasks = -1", "1:16: impossible value of `tasks`: must be at least 1"),
        ("limits.cpu = 0", "1:14: impossible value of `cpu`: must be at least 1"),
        (
            "limits.open-files = 7",
            "1:21: impossible value of `open-files`: must be at least 8: \
                 three for the connection, five to hand it over",
        ),
        ("isolation.pid-max = 300", "1:21: impossible value of `pid-max`: must be from 301 to 4194304"),
    ] {
        assert_eq!(lines(text), [expected], "{text}");
    }
}

#[test]
fn an_impossible_path_is_refused() {
    let long = format!("files.read = [\"/{}\"]", "a".repeat(4096));
    for (text, expected) in [
        ("files.read = [\"etc\"]", "1:15: relative path in `read`: a path starts with `/`"),
        ("files.read = [\"\"]", "1:15: relative path in `read`: a path starts with `/`"),
        ("files.write = [{ path = \"a/b\" }]", "1:25: relative path in `write`: a path starts with `/`"),
        ("files.execute = [\"/a/../b\"]", "1:18: path with a detour in `execute`: write it without `.` and `..`"),
        ("files.execute = [\"/a/./b\"]", "1:18: path with a detour in `execute`: write it without `.` and `..`"),
        ("files.read = [\"/a\\u0000\"]", "1:15: impossible path in `read`: no file can have this name"),
        (&long, "1:15: impossible path in `read`: no file can have this name"),
        (
            "files.write = [\"//\"]",
            "1:16: the root directory in `write`: this is the whole host \
                 (list what the command needs, or say `root = \"host\"`)",
        ),
        ("command.directory = \"x\"", "1:21: relative path in `directory`: a path starts with `/`"),
        (
            "files.scratch = [{path=\"/t\",size=1,inodes=1}, {path=\"/t/\",size=1,inodes=1}]",
            "1:53: scratch path is written twice: for the second time",
        ),
    ] {
        assert_eq!(lines(text), [expected], "{text}");
    }
}

#[test]
fn an_unknown_word_is_refused_with_the_nearest_known_one() {
    for (text, expected) in [
        ("files.root = \"hots\"", "1:14: unknown word for `root`: has no meaning here (did you mean `host`?)"),
        ("files.proc = \"yes\"", "1:14: unknown word for `proc`: has no meaning here (known here: none, subset, full)"),
        (
            "files.devices = [\"tty\"]",
            "1:18: unknown word for `devices`: has no meaning here (known here: null, zero, full, random, urandom)",
        ),
        ("network.mode = \"Host\"", "1:16: unknown word for `mode`: has no meaning here (did you mean `host`?)"),
        (
            "isolation.namespaces = [\"net\"]",
            "1:25: unknown word for `namespaces`: has no meaning here (known here: mount, pid, network, ipc, uts, cgroup, user)",
        ),
        (
            "isolation.landlock = \"on\"",
            "1:22: unknown word for `landlock`: has no meaning here (known here: required, off)",
        ),
        (
            "command.ignore-signals = [\"SIPIPE\"]",
            "1:27: unknown word for `ignore-signals`: has no meaning here (did you mean `PIPE`?)",
        ),
        ("connection.ends = \"tee\"", "1:19: unknown word for `ends`: has no meaning here (did you mean `tree`?)"),
    ] {
        assert_eq!(lines(text), [expected], "{text}");
    }
}

#[test]
fn override_names_limits_of_its_own_file() {
    for (text, expected) in [
        (
            "override = [\"limits.time\"]",
            "1:13: `override` names a limit that this file does not set: has no value in this file",
        ),
        ("override = [\"limits.tiem\"]", "1:13: unknown key in `override`: not a limit (did you mean `limits.time`?)"),
        (
            "override = [\"files.read\"]",
            "1:13: unknown key in `override`: not a limit (write it as in \"limits.time\")",
        ),
    ] {
        assert_eq!(lines(text), [expected], "{text}");
    }
    let forced = layer("override = [\"limits.time\"]\nlimits.time = 5").unwrap().forced;
    assert_eq!(forced, BTreeSet::from(["limits.time"]));
}

#[test]
fn all_mistakes_are_found_at_once() {
    let text = "command.argv = []\nfiles.read = [\"a\", \"b\"]\nlimits.time = 0\nlimits.tasks = 0\n";
    assert_eq!(lines(text).len(), 5);
}

#[test]
fn values_get_their_meaning_and_their_place() {
    let policy = layer(
        "command = { umask = \"027\", ignore-signals = [\"PIPE\"], directory = \"/\" }\n\
             files.read = [\"/a//b/\", { path = \"/c\", why = \"w\", optional = true }]\n\
             network.connect.ports = [53, 25]\n\
             limits = { time = \"5m\", memory = \"1G\", core-size = 0 }\n",
    );
    let policy = policy.unwrap().policy;
    assert_eq!(policy.command.umask.unwrap().value, 0o027);
    assert_eq!(policy.command.ignore_signals.unwrap().value, BTreeSet::from([13]));
    assert_eq!(policy.files.read[0].value.path.as_os_str(), "/a/b");
    assert_eq!(policy.files.read[1].value.why.as_deref(), Some("w"));
    assert!(policy.files.read[1].value.optional && !policy.files.read[0].value.optional);
    assert_eq!(policy.network.connect.unwrap().value, crate::policy::model::Ports::List([25, 53].into()));
    assert_eq!(policy.limits.time.unwrap().value, Duration::from_secs(300));
    assert_eq!(policy.limits.memory.unwrap().value, 1 << 30);
    assert_eq!(policy.limits.core_size.unwrap().value, 0);
}

fn boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

proptest::proptest! {
    /// A shipped file with one piece replaced by another, and text of any sort: words or a layer, never a panic.
    #[test]
    fn no_text_makes_it_panic(cut in 0..4000usize, length in 0..40usize, piece in "\\PC{0,12}|[\\[\\]{}=\"',.#\n]{0,6}") {
        for text in super::super::shipped::names().filter_map(super::super::shipped::find).map(|(_, text)| text) {
            let start = boundary(text, cut);
            let end = boundary(text, start + length);
            let changed = [&text[..start], &piece, &text[end..]].concat();
            if let Err(error) = layer(&changed).and_then(|_| layer(&piece)) {
                proptest::prop_assert!(!error.to_string().is_empty() && error.lines().count() > 0);
            }
        }
    }
}
