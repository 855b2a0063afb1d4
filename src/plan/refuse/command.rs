// SPDX-License-Identifier: Apache-2.0
//! Refusals about the command line and what stands around it.
//! Words only: what is refused is decided in `command`.

use std::path::PathBuf;

/// A command that cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCommand {
    /// No one said what to run.
    #[error("no command is named")]
    Missing,
    /// A path that depends on where the supervisor happens to be.
    #[error("the program {program} is a relative path")]
    Relative {
        /// As written.
        program: String,
    },
    /// A bare word, and no directory to look for it.
    #[error("the program {program} cannot be looked for: no directory of PATH is absolute")]
    NoSearchPath {
        /// As written.
        program: String,
    },
    /// The empty root does not show it as something to execute.
    #[error("the program {program} is under no path that the policy lets it execute")]
    NotShown {
        /// As written.
        program: String,
    },
    /// The empty root does not show it.
    #[error("the working directory {} is under no path that the policy shows", path.display())]
    DirectoryNotShown {
        /// As written.
        path: PathBuf,
    },
    /// A relative working directory.
    #[error("the working directory {} is a relative path", path.display())]
    DirectoryRelative {
        /// As written.
        path: PathBuf,
    },
    /// The kernel ends every string at a NUL.
    #[error("{key} holds a NUL character")]
    Nul {
        /// The policy key.
        key: &'static str,
    },
    /// A variable that no program could look up.
    #[error("the environment cannot hold a variable named \"{name}\"")]
    Variable {
        /// As written, control characters escaped.
        name: String,
    },
}

impl BadCommand {
    /// What the operator can do about it.
    pub(super) fn way_out(&self) -> String {
        match self {
            BadCommand::Missing => "name one after --, or as command.argv in the policy".to_string(),
            BadCommand::Relative { .. } => "write the absolute path".to_string(),
            BadCommand::NoSearchPath { .. } => {
                "write the absolute path, or set PATH to absolute directories".to_string()
            }
            BadCommand::NotShown { program } if program.starts_with('/') => {
                format!("add it: files.execute = [\"{program}\"]")
            }
            BadCommand::NotShown { .. } => "write its absolute path and add it to files.execute".to_string(),
            BadCommand::DirectoryNotShown { path } => {
                format!("add it: files.read = [\"{}\"], or leave command.directory out", path.display())
            }
            BadCommand::DirectoryRelative { .. } => "write the absolute path".to_string(),
            BadCommand::Nul { .. } => "take it out".to_string(),
            BadCommand::Variable { .. } => "a name is not empty and holds neither = nor NUL".to_string(),
        }
    }

    /// What spawn(8) says to the same mistake.
    pub(super) fn spawn_words(&self) -> Option<String> {
        match self {
            BadCommand::Missing => Some("missing argv= attribute".to_string()),
            BadCommand::Relative { .. }
            | BadCommand::NoSearchPath { .. }
            | BadCommand::NotShown { .. }
            | BadCommand::DirectoryNotShown { .. }
            | BadCommand::DirectoryRelative { .. }
            | BadCommand::Nul { .. }
            | BadCommand::Variable { .. } => None,
        }
    }
}
