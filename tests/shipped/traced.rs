// SPDX-License-Identifier: Apache-2.0
//! Whether `trace` names a grant that is missing and of which the log says nothing: among the lines that it prints for
//! a policy, one is of that grant, or of what lies below it, and is not printed with all grants.

use super::named::parts;
use super::service::Service;
use super::start_as;
use crate::postfix::private::Log;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// What a policy in this file lacks, by `trace` while the service does, or tries to do, its work: each as it is
/// written.
pub(super) fn grants(service: &Service, log: &Log, policy: &Path, out: &Path) -> BTreeSet<String> {
    let out_option = format!("--out={}", out.display());
    let server = start_as("trace", service, &policy.display().to_string(), &["--json", &out_option]);
    let server = server.unwrap_or_else(|said| panic!("{said}"));
    let done = (service.work)(&server, log);
    let (_, said) = server.stop();
    println!("{} traced under {}: {done:?}\n{said}", service.policy, policy.display());
    let text = fs::read_to_string(out).unwrap_or_else(|error| panic!("{}: {error}\n{said}", out.display()));
    println!("{text}");
    let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("a line is an object"));
    let grants = lines.filter_map(|line| Some(line.get("grants")?.as_array()?.clone())).flatten();
    grants.map(|grant| grant.as_str().expect("a grant is a text").to_string()).collect()
}

/// One of them is this grant, and is not lacking with all grants.
pub(super) fn names(policy: &str, grant: &str, lacks: &BTreeSet<String>, usual: &BTreeSet<String>) {
    let parts = parts(grant);
    // `files.read = ["/srv/git/it.git"]`: the first text in it.
    let value = |line: &str| line.split('"').nth(1).unwrap_or_default().to_string();
    let is_of = |value: &str| parts.words.iter().any(|word| Path::new(value).starts_with(word));
    let new: Vec<&String> = lacks.difference(usual).collect();
    let named = new.iter().find(|line| is_of(&value(line)));
    let named =
        named.unwrap_or_else(|| panic!("{policy}: trace does not name {grant} where it is missing, but {new:?}"));
    println!("{policy}: {grant} is named by trace: {named}");
}
