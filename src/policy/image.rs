// SPDX-License-Identifier: Apache-2.0
//! The root image of a policy: the directory of the host from which the sandbox is made, where that is not the host's
//! own root. Whoever can change it decides what runs, so it is trusted as the policy itself is; what is in it is not.

use super::Policy;
use super::model::Root;
use super::trust::{self, Fault, Reason};
use crate::host::facts::{Facts, Image, Names};
use crate::host::{Elsewhere, HostError, Machine};
use std::path::Path;

impl Policy {
    /// The directory of its root image, where it names one.
    pub fn image(&self) -> Option<&Path> {
        match &self.files.root.as_ref()?.value {
            Root::Image(path) => Some(path),
            Root::Empty | Root::Host => None,
        }
    }

    /// What is known of the machine for this policy, with these names. Its paths are the image's where it has one.
    pub fn facts(&self, machine: &Machine, names: &Names) -> Result<Facts, HostError> {
        let Some(written) = self.image() else { return machine.facts(names, &self.paths()) };
        match trust::directory(written, machine.uid()) {
            Ok(path) if path.parent().is_none() => {
                let why = "it is the host's own root directory".to_string();
                let way_out = "name an image, or say files.root = \"host\"".to_string();
                Ok(Facts { image: Some(Image::Unfit { why, way_out }), ..machine.facts(names, &[])? })
            }
            Ok(path) => machine.facts_of_image(&Elsewhere::open(&path)?, names, &self.paths()),
            Err(fault) => {
                let facts = machine.facts(names, &[])?;
                Ok(Facts { image: Some(unfit(&fault, written)), ..facts })
            }
        }
    }
}

/// Why nothing is made from it, and the way out.
fn unfit(fault: &Fault, wanted: &Path) -> Image {
    let path = fault.path.display();
    let (why, way_out) = match &fault.reason {
        Reason::Missing => ("does not exist".to_string(), "correct it, or unpack the image there".to_string()),
        Reason::Refused(errno) => {
            (format!("cannot be opened: {}", std::io::Error::from(*errno)), "let it be entered".to_string())
        }
        Reason::Owner(uid) => {
            let way_out = format!("`chown root {path}`, or keep the image in a directory of root's");
            (format!("belongs to user {uid}, who could change what runs"), way_out)
        }
        Reason::Writable | Reason::WritableDirectory => {
            let way_out = format!("move the image to another directory, or `chmod go-w {path}`");
            ("is a directory that others than its owner can write".to_string(), way_out)
        }
        Reason::NotADirectory | Reason::NotAFile => {
            ("is not a directory".to_string(), "name the directory into which the image was unpacked".to_string())
        }
        Reason::Links => ("leads through too many symbolic links".to_string(), "name where they lead".to_string()),
        Reason::Replaced => ("was replaced while it was looked at".to_string(), "try again".to_string()),
    };
    let what = if wanted == fault.path { "it".to_string() } else { path.to_string() };
    Image::Unfit { why: format!("{what} {why}"), way_out }
}
