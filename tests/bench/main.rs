// SPDX-License-Identifier: Apache-2.0
//! `cargo bench`, as root: this server and its peers with the same command, in turn, in one run, and how each compares
//! with a bare accept, vfork and exec. What is compared are ratios of one run: no figure of another run or machine.
//!
//! It prints a picture and tables, writes every figure as JSON, and with `--readme` puts both into the README. A peer
//! that is not installed is left out in words. `cargo test` runs a short form, which shows that the harness works:
//! every server that is there answers, every figure is there, and no time is asserted.
//!
//! All of it plays in a network, mounts and control groups of its own, which are gone when it ends.

// What the tests share is more than what is used here.
#[allow(dead_code, unused_macros)]
#[path = ".."]
#[macro_use]
mod tests {
    #[macro_use]
    pub(crate) mod scene;
    pub(crate) mod postfix {
        pub(crate) mod instance;
        pub(crate) mod private;
    }
}
use tests::{postfix, scene};

mod size;
mod peers;
mod nspawn;
mod command;
mod server;
mod group;
mod bare;
mod load;
mod processor;
mod round;
mod idle;
mod mounts;
mod figures;
mod table;
mod picture;
mod readme;
mod short;

use figures::Report;
use nix::mount::MsFlags;
use size::Size;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.first().map(String::as_str) {
        Some("bare") => bare::serve(&words[1..]),
        // cargo says so to what it runs as a benchmark, and nothing to what it runs as a test.
        _ if words.iter().any(|word| word == "--bench") => long(),
        _ => short::test(&words),
    }
}

fn long() -> ExitCode {
    let print = |size: Size| {
        let text = table::markdown(&measure(&size)?);
        print!("{text}");
        if size.readme { readme::write(&text) } else { Ok(()) }
    };
    match size::of_arguments().and_then(print) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("bench: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Everything, in a world of its own; else in words why there are no figures.
fn measure(size: &Size) -> Result<Report, String> {
    let room = scene::stage::room();
    let mut result = Err("nothing was measured".to_string());
    postfix::private::in_private(room.whole(), |_log| {
        // What servers leave there goes with the rest.
        postfix::private::attach(Path::new("run"), Path::new("/run"), Some("tmpfs"), MsFlags::empty());
        result = round::all(size);
    });
    let report = result?;
    let text = serde_json::to_string_pretty(&report).map_err(|error| error.to_string())?;
    std::fs::write(&size.json, text).map_err(|error| format!("cannot write {}: {error}", size.json.display()))?;
    eprintln!("bench: every figure is in {}", size.json.display());
    Ok(report)
}
