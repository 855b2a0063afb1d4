// SPDX-License-Identifier: Apache-2.0
//! `spawnbox import`: the configuration of another program as a policy. Reads one file and prints; writes nothing.

use super::arrange::Failure;
use super::cli::{From, Import};
use super::output;
use crate::host::HostError;
use crate::plan::calls;
use crate::policy::Mistake;
use crate::policy::import::{Calls, Format, Imported, import as imported};
use std::fs::File;
use std::io::{Read, Write};
use std::process::ExitCode;

/// The most of a file that is read; what is longer is refused.
const MOST_BYTES: u64 = 1 << 20;
/// Ends it where a part could not be carried.
const LOST: u8 = 3;

/// Prints the policy, and says how much is not in it.
pub(super) fn import(options: &Import) -> Result<ExitCode, Failure> {
    let text = read(&options.file)?;
    let format = options.from.map_or_else(|| guess(&text), format);
    let words = Calls { allow: &calls::refused, deny: &calls::undeniable, shared: &calls::shared };
    let Imported { policy, parts, .. } = imported(format, &text, words).map_err(|why| {
        let mistake = Mistake::new(format!("this is nothing that can be imported: {why}")).in_file(&options.file);
        Failure::Input(mistake.help("say what it is: --from oci, nsjail, xinetd or systemd").into())
    })?;
    output::print(policy)?;
    match parts {
        0 => Ok(ExitCode::SUCCESS),
        parts => {
            let parts = if parts == 1 { "1 part is".to_string() } else { format!("{parts} parts are") };
            // Where nobody can be told, the status is left.
            let _ = writeln!(std::io::stderr(), "{parts} not carried over: the end of the policy names what and why");
            Ok(ExitCode::from(LOST))
        }
    }
}

fn read(file: &std::path::Path) -> Result<String, Failure> {
    let failed =
        |error: std::io::Error| Failure::Host(HostError::of_library(format!("read {}", file.display()), &error));
    let mut bytes = Vec::new();
    match file.as_os_str() == "-" {
        true => std::io::stdin().lock().take(MOST_BYTES + 1).read_to_end(&mut bytes),
        false => File::open(file).and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes)),
    }
    .map_err(failed)?;
    String::from_utf8(bytes)
        .map_err(|_| Failure::Input(Mistake::new("this file is not UTF-8 text").in_file(file).into()))
}

fn format(from: From) -> Format {
    match from {
        From::Oci => Format::Oci,
        From::Nsjail => Format::Nsjail,
        From::Xinetd => Format::Xinetd,
        From::Systemd => Format::Systemd,
    }
}

/// By the line that none of them can do without.
fn guess(text: &str) -> Format {
    let begins = |word: &str| text.lines().any(|line| line.trim_start().starts_with(word));
    if text.trim_start().starts_with('{') {
        Format::Oci
    } else if begins("[Service]") {
        Format::Systemd
    } else if begins("service ") || begins("service\t") {
        Format::Xinetd
    } else {
        Format::Nsjail
    }
}
