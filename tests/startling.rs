// SPDX-License-Identifier: Apache-2.0
//! Policies that nobody would write: each gets an error, in little memory and a moment.
//! The program has an address space of 50 MiB, of which a third is itself, and a second of a processor: how long others
//! keep it from one is not its doing. That it does not wait is seen by the deadline that every run has.

use crate::scene::{Outcome, a_second, arguments, stage};
use std::fs::File;

/// What the program is slower by, at least, where it is built without optimisation.
const SLOWER: u64 = if cfg!(debug_assertions) { 5 } else { 1 };

/// Within these it must end by a line of its own.
fn checked(word: &str) -> Outcome {
    let processor = format!("--cpu={}", SLOWER * a_second().as_secs());
    arguments(&["check", word]).through(&["prlimit", "--as=52428800", &processor, "--"]).run()
}

/// What is said about a file with these bytes.
fn said(bytes: &[u8]) -> String {
    let room = stage::room();
    let path = room.path("startling.toml");
    std::fs::write(&path, bytes).expect("the stage can be written");
    stage::mode(&path, 0o644);
    let outcome = checked(&path.display().to_string()).exits(2).stdout("");
    assert!(outcome.stderr.len() < 1 << 18, "{} bytes of report", outcome.stderr.len());
    outcome.stderr
}

/// A policy that goes on like this up to about half a megabyte.
fn much(of: &str) -> Vec<u8> {
    format!("version = 1\n{}", of.repeat(500_000 / of.len())).into_bytes()
}

#[test]
fn what_is_no_text_is_refused() {
    let table: [(&[u8], &str); 5] = [
        (b"version = 1\n\0\0\0", "error: invalid"),
        (b"\0", "error: "),
        (b"version = 1\n# \xff\xfe", "error: this file is not UTF-8 text"),
        (b"\x7fELF\x02\x01\x01\0\0\0\0\xb1", "error: this file is not UTF-8 text"),
        (b"\xef\xbb\xbfversion = 2", "error: this file is in format 2"),
    ];
    for (bytes, report) in table {
        let said = said(bytes);
        assert!(said.starts_with(report), "{report}\n{said}");
    }
}

#[test]
fn what_is_too_much_is_refused() {
    let large = [b"version = 1\n".to_vec(), vec![b'#'; 10 << 20]].concat();
    let hole = stage::room();
    let path = hole.path("hole.toml");
    File::create(&path).and_then(|file| file.set_len(1 << 40)).expect("the stage can be written");
    stage::mode(&path, 0o644);
    let report = "error: this file is larger than 524288 bytes";
    assert!(said(&large).starts_with(report));
    checked(&path.display().to_string()).says(report).exits(2);
    for text in ["k\n", "[k]\n", "a = 1\n", "[[a]]\n", "==", "a = \"\n", "{[", ",,,\n", "a = [1,\n"] {
        assert!(said(&much(text)).contains("error: this file holds more than 100000 lines and values"), "{text}");
    }
}

#[test]
fn what_is_deep_or_long_is_refused() {
    let nested =
        |open: &str, close: &str| format!("version = 1\nx = {}1{}\n", open.repeat(40_000), close.repeat(40_000));
    for text in [nested("[", "]"), nested("{a=", "}"), format!("version = 1\n{}a = 1", "a.".repeat(40_000))] {
        assert!(said(text.as_bytes()).contains("recurs"));
    }
    let key = said(&[much("a"), b" = 1\n".to_vec()].concat());
    assert!(key.starts_with("error: unknown key `aaaa") && key.len() < 2000, "{key}");
    let value = said(&[b"version = 1\nfiles.proc = \"".to_vec(), vec![b'x'; 400_000], b"\"\n".to_vec()].concat());
    assert!(value.starts_with("error: unknown word for `proc`") && value.len() < 2000, "{value}");
}

#[test]
fn of_many_mistakes_the_first_are_told() {
    let list = |entry: &str| format!("version = 1\nfiles.read = [{}]\n", vec![entry; 90_000].join(","));
    let keys: String = (0..40_000).map(|n| format!("k{n}=1\n")).collect();
    for text in [list("1"), list("\"a\""), list("\"/no\""), list("{}"), format!("version = 1\n{keys}")] {
        let mistakes = said(text.as_bytes()).matches("error: ").count();
        assert!((1..=20).contains(&mistakes), "{mistakes}: {}", &text[..40]);
    }
}

#[test]
fn what_is_no_file_is_refused() {
    let room = stage::room();
    let fifo = room.path("fifo.toml");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::from_bits_truncate(0o644)).expect("the stage can be written");
    let directory = room.directory("directory.toml");
    let link = room.path("link.toml");
    std::os::unix::fs::symlink(&link, &link).expect("the stage can be written");
    let words = [fifo, directory, link].map(|path| path.display().to_string());
    for (word, report) in [
        (words[0].as_str(), "is not a regular file"),
        (&words[1], "is not a regular file"),
        (&words[2], "symbolic links"),
        ("/dev/zero", "cannot use the policy file"),
        ("/proc/self/fd/0", "cannot use the policy file"),
        ("/dev/stdin", "cannot use the policy file"),
        ("/", "is not a regular file"),
        ("./\n", "cannot use the policy file"),
    ] {
        checked(word).says(report).exits(2).stdout("");
    }
}

#[test]
fn what_extends_itself_is_refused() {
    let room = stage::room();
    let [a, b] = ["a.toml", "b.toml"].map(|name| room.path(name).display().to_string());
    room.file("a.toml", &format!("version = 1\nextends = [\"{b}\"]\n"));
    room.file("b.toml", &format!("version = 1\nextends = [{}]\n", vec![format!("\"{a}\""); 1000].join(",")));
    checked(&a).says("error: `extends` goes in a circle").exits(2);
    // A tree whose files extend all that follow is read once each.
    for number in 0..80 {
        let next: Vec<String> =
            (number + 1..80).map(|next| format!("\"{}\"", room.path(&format!("t{next}.toml")).display())).collect();
        room.file(&format!("t{number}.toml"), &format!("version = 1\nextends = [{}]\n", next.join(",")));
    }
    checked(&room.path("t0.toml").display().to_string()).says("error: `extends` goes too far").exits(2);
}
