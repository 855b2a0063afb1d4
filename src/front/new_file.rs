// SPDX-License-Identifier: Apache-2.0
//! A file that somebody wants written, and that is there by no accident: none that is there already is touched.

use super::arrange::Failure;
use crate::host::HostError;
use crate::policy::Mistake;
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Read by all, written by its owner, as policies of an administrator are.
pub(super) const MODE: u32 = 0o644;

/// Makes it. `way_out` is for whoever has named one that is there.
pub(super) fn new_file(path: &Path, way_out: &str) -> Result<File, Failure> {
    match OpenOptions::new().write(true).create_new(true).mode(MODE).open(path) {
        Ok(file) => Ok(file),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let mistake = Mistake::new("this file is there already").in_file(path);
            Err(Failure::Input(mistake.help(way_out).into()))
        }
        Err(error) => Err(Failure::Host(HostError::of_library(format!("make {}", path.display()), &error))),
    }
}
