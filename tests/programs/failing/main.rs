// SPDX-License-Identifier: Apache-2.0
//! Makes chosen system calls fail, then becomes the program that its other arguments name.
//!
//! `failing keyctl=EPERM prctl@0:38=EINVAL -- PROGRAM ARG...`: every keyctl fails with EPERM, and every prctl whose
//! argument 0 is 38 with EINVAL; `seccomp=done` says that it was done, and does nothing. With `session:` before it,
//! only a session's own call fails, not those with which the program tried the host before; with `command:`, only those
//! of the process that becomes the command. So a step of the child meets a real refusal, without a hook in the product.
//! With `landlock=3` Landlock is that of an older kernel.
// Test program, never installed: a listener of seccomp(2) has no safe wrapper.
#![allow(unsafe_code)]

mod landlock;
mod refusal;
mod session;

use refusal::Refusal;
use std::ffi::CString;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let split = words.iter().position(|word| word == "--").expect("-- stands between refusals and program");
    let (mut everywhere, mut in_sessions) = (Vec::new(), Vec::new());
    let mut landlock = None;
    for word in &words[..split] {
        if let Some(abi) = word.strip_prefix("landlock=") {
            landlock = Some(abi.parse().expect("an ABI"));
            continue;
        }
        match word.split_once(':').filter(|(whose, _)| ["session", "command"].contains(whose)) {
            Some((whose, word)) => in_sessions.push((Refusal::parse(word), whose == "command")),
            None => everywhere.push(Refusal::parse(word)),
        }
    }
    if !in_sessions.is_empty() || landlock.is_some() {
        session::refuse(in_sessions, landlock);
    }
    for refusal in &everywhere {
        seccompiler::apply_filter(&refusal.filter()).expect("the kernel takes the filter");
    }
    let argv: Vec<CString> =
        words[split + 1..].iter().map(|word| CString::new(word.as_str()).expect("no NUL")).collect();
    let errno = nix::unistd::execvp(&argv[0], &argv).expect_err("execvp returns only to fail");
    panic!("cannot execute {:?}: {errno}", argv[0]);
}
