// SPDX-License-Identifier: Apache-2.0
//! The cgroup of all sessions of one service, with their limits together. The directories of its supervisors are in it:
//! one for `listen`, as many as master(8) starts.
//! It is nobody's alone: whoever comes makes it and writes its limits, whoever goes removes it if nobody is left.

use super::HostError;
use super::directory::Directory;
use crate::plan::Plan;
use crate::plan::model::CgroupLimits;
use crate::sys::errno;
use rustix::fs::Mode;

/// What the directories of services are called, followed by a name.
pub(super) const PREFIX: &str = "spawnbox-service-";
/// How often it is made again where its last supervisor removes it at that moment.
pub(super) const ATTEMPTS: u32 = 10;
/// The longest part of a service's name that is used: a file name has at most 255 bytes.
const LONGEST: usize = 64;
/// As many digits of a policy's hash as log lines show.
const DIGITS: usize = 12;

/// An open directory of a service. The last one to drop it removes it.
#[derive(Debug)]
pub(super) struct ServiceDirectory {
    pub(super) directory: Directory,
}

/// What a service's directory is called. Policies are told apart by their hash, so that processes which still serve
/// under the last policy and those which serve under the new one do not write each other's limits.
pub fn name(plan: &Plan) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '_' };
    let service: String = plan.service.chars().map(plain).take(LONGEST).collect();
    let hash: String = plan.policy_hash.chars().take(DIGITS).collect();
    format!("{PREFIX}{service}-{hash}")
}

impl ServiceDirectory {
    /// Makes it, or opens the one that is there, and writes its limits. Their controllers are enabled in `place`.
    pub(super) fn make(place: &Directory, name: &str, limits: &CgroupLimits) -> Result<ServiceDirectory, HostError> {
        match rustix::fs::mkdirat(&place.fd, name, Mode::from_raw_mode(0o700)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(place.error("create cgroup", name, errno(error))),
        }
        let made = ServiceDirectory { directory: place.child(name)? };
        made.directory.limit(limits)?;
        Ok(made)
    }
}

impl Drop for ServiceDirectory {
    fn drop(&mut self) {
        // EBUSY: other supervisors have theirs in it. One that was killed leaves it to the next sweep.
        let _ = std::fs::remove_dir(&self.directory.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{hosts, resolve};

    #[test]
    fn a_name_is_one_component_and_says_which_policy() {
        let mut request = hosts::listen(&["sh"]);
        request.service = "../127.0.0.1:10025/\u{e9}".into();
        let plan = resolve(&request, &hosts::strict(), &hosts::root_on_618()).unwrap();
        assert_eq!(name(&plan), "spawnbox-service-.._127.0.0.1_10025__-5f5f5f5f5f5f");
        request.service = "x".repeat(1000);
        let plan = resolve(&request, &hosts::strict(), &hosts::root_on_618()).unwrap();
        assert!(name(&plan).len() < 100);
    }
}
