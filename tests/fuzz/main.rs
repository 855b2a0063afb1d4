// SPDX-License-Identifier: Apache-2.0
//! libFuzzer's loop around one law of the library, which SPAWNBOX_FUZZ names: see ci/fuzz.
#![no_main]

use spawnbox::fuzz::{LAWS, Law};
use std::sync::LazyLock;

static CHOSEN: LazyLock<Law> = LazyLock::new(|| {
    let name = std::env::var("SPAWNBOX_FUZZ").expect("SPAWNBOX_FUZZ names a law");
    let law = LAWS.iter().find(|(known, _)| *known == name);
    law.map_or_else(|| panic!("there is no law {name}"), |(_, law)| *law)
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| (CHOSEN)(bytes));
