// SPDX-License-Identifier: Apache-2.0
//! One thing that a sandbox does not let a command do, and the lines of a policy that would. Values and words only.

use crate::plan::calls::Grant;
use crate::plan::sought::End;
use crate::policy::quote;
use nix::errno::Errno;
use std::path::PathBuf;

/// What is denied, to whom does not matter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Denial {
    pub(super) what: What,
    /// How it ends.
    pub(super) end: End,
    /// What would allow it, or why nothing does.
    pub(super) remedy: Result<Vec<Grant>, String>,
    /// It is made all the same, because whoever traces wants to hear what comes after it.
    pub(super) made: bool,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// A call, by its name, which no argument would make better.
    Call { name: String, about: Option<String> },
    /// A file, by the first call that asked for it.
    Path { call: String, path: PathBuf },
    /// A peer or a port.
    Address { call: String, address: String },
}

impl What {
    /// In the words of the log.
    pub(super) fn words(&self) -> String {
        match self {
            What::Call { name, about: None } => format!("call={name}"),
            What::Call { name, about: Some(about) } => format!("call={name} {about}"),
            What::Path { call, path } => format!("call={call} path={}", quote(&path.to_string_lossy())),
            What::Address { call, address } => format!("call={call} {address}"),
        }
    }
}

impl Denial {
    /// The same for each call that asks for one file.
    pub(super) fn without_call(&self) -> Denial {
        match &self.what {
            What::Path { path, .. } => {
                Denial { what: What::Path { call: String::new(), path: path.clone() }, ..self.clone() }
            }
            What::Call { .. } | What::Address { .. } => self.clone(),
        }
    }

    /// Its line.
    pub(super) fn words(&self, program: &str) -> String {
        let denied = if self.made { "would be denied" } else { "denied" };
        format!("{denied} {} program={program}: {}; {}", self.what.words(), self.end, self.remedy())
    }

    fn remedy(&self) -> String {
        crate::plan::calls::said(&self.remedy)
    }

    /// The same for programs.
    pub(super) fn json(&self, program: &str) -> serde_json::Value {
        let (kind, call, subject) = match &self.what {
            What::Call { name, about } => ("call", name, about.clone()),
            What::Path { call, path } => ("path", call, Some(path.to_string_lossy().into_owned())),
            What::Address { call, address } => ("address", call, Some(address.clone())),
        };
        let errno = match self.end {
            End::Fails(errno) => Some(format!("{:?}", Errno::from_raw(errno))),
            End::Killed | End::Unreachable => None,
        };
        let (grants, why) = match &self.remedy {
            Ok(grants) => (grants.iter().map(Grant::to_string).collect(), None),
            Err(why) => (Vec::new(), Some(why)),
        };
        serde_json::json!({
            "denied": kind, "call": call, "about": subject, "program": program, "end": self.end.to_string(),
            "errno": errno, "grants": grants, "why": why, "made": self.made,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::libc;

    #[test]
    fn what_a_command_chose_stays_in_its_quotes() {
        let what = What::Path { call: "openat".into(), path: "/x\"\n\u{1b}[2J".into() };
        let remedy = Ok(vec![Grant::text("files.read", "/x\"\n")]);
        let denial = Denial { what, end: End::Fails(libc::ENOENT), remedy, made: false };
        let said = denial.words("cat");
        crate::fuzz::assert_one_line(&said);
        let expected = r#"denied call=openat path="/x\"\U0000000A\U0000001B[2J" program=cat: No such file or directory; to allow it: files.read = ["/x\"\U0000000A"]"#;
        assert_eq!(said, expected);
    }
}
