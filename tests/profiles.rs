// SPDX-License-Identifier: Apache-2.0
//! What each built-in profile grants, tried once, and what lies just beside, which is denied. The trials are made from
//! the profiles and from what `explain` says of them, so a grant that is added is tried too.

mod calls;
mod paths;

/// Stands for all profiles.
const EVERY: &[&str] = &["every"];

/// The built-in profiles, in the order of their names.
fn all() -> Vec<String> {
    let place = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/profiles");
    let files = std::fs::read_dir(place).expect("it is there");
    let names = files.map(|file| file.expect("it can be read").file_name().to_string_lossy().into_owned());
    let mut all: Vec<String> = names.filter_map(|name| name.strip_suffix(".toml").map(str::to_string)).collect();
    all.sort();
    all
}
