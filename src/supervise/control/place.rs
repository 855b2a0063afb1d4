// SPDX-License-Identifier: Apache-2.0
//! Where the control socket is: in a directory in which nobody else could put another in its place. A socket that a
//! dead supervisor left is replaced; where another one listens, that is said.

use super::super::change;
use super::super::inherited::{CONTROL, Inherited};
use super::super::listener::Listener;
use crate::host::HostError;
use crate::plan::model::Listen;
use crate::policy::address::{Address, UnixAddress};
use nix::unistd::Group;
use std::fs::{DirBuilder, metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

/// How many may wait to be accepted.
const BACKLOG: i32 = 64;

/// Listens there.
pub(super) fn listen(address: &UnixAddress, inherited: &mut Inherited) -> Result<Listener, HostError> {
    let refused = |why: String| HostError { doing: format!("open the control socket {}", address.path.display()), why };
    if address.mode & 0o007 != 0 {
        return Err(refused("everybody could connect to it: write mode=0600, or mode=0660 with group=".to_string()));
    }
    let directory = address.path.parent().filter(|_| address.path.is_absolute());
    let directory = directory.ok_or_else(|| refused("a path starts with `/`".to_string()))?;
    make(directory).map_err(|error| refused(format!("cannot make {}: {error}", directory.display())))?;
    judge(directory).map_err(refused)?;
    let how = Listen { backlog: BACKLOG, ..Listen::NOWHERE };
    change::listen(CONTROL, &how, &Address::Unix(address.clone()), inherited).map(|bound| bound.listener)
}

/// The id of its group.
pub(super) fn group(name: &str) -> Result<u32, HostError> {
    let doing = || format!("look up the group `{name}` of the control socket");
    match name.parse() {
        Ok(gid) => Ok(gid),
        Err(_) => match Group::from_name(name) {
            Ok(Some(group)) => Ok(group.gid.as_raw()),
            Ok(None) => Err(HostError { doing: doing(), why: "there is none".into() }),
            Err(errno) => Err(HostError::new(doing(), errno)),
        },
    }
}

/// Makes the directory, where its parent is there; others may pass through it.
fn make(directory: &Path) -> std::io::Result<()> {
    match DirBuilder::new().mode(0o755).create(directory) {
        // The umask is for what is ours alone.
        Ok(()) => std::fs::set_permissions(directory, PermissionsExt::from_mode(0o755)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether somebody else could put another socket in the place of ours, and be told what is meant for us.
fn judge(directory: &Path) -> Result<(), String> {
    let unknown = |path: &Path, error| format!("cannot look at {}: {error}", path.display());
    let whole = directory.canonicalize().map_err(|error| unknown(directory, error))?;
    let own = rustix::process::geteuid().as_raw();
    for part in whole.ancestors() {
        let found = metadata(part).map_err(|error| unknown(part, error))?;
        if found.uid() != 0 && found.uid() != own {
            return Err(format!("{} belongs to user {}", part.display(), found.uid()));
        }
        // In a sticky directory others cannot rename what is ours, but they could be there first.
        let sticky = found.mode() & 0o1000 != 0 && part != whole;
        if found.mode() & 0o022 != 0 && !sticky {
            return Err(format!("{} can be written by others than its owner: `chmod go-w` it", part.display()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Scene;

    fn address(path: &Path, mode: u32) -> UnixAddress {
        UnixAddress { path: path.to_path_buf(), mode, user: None, group: None }
    }

    #[test]
    fn a_place_that_others_could_take_is_refused() {
        let room = Scene::new();
        let place = room.path("made/control");
        let refused = |mode, bits| {
            if let Some(bits) = bits {
                std::fs::set_permissions(room.path("made"), PermissionsExt::from_mode(bits)).unwrap();
            }
            listen(&address(&place, mode), &mut Inherited::default()).map(drop).map_err(|error| error.why)
        };
        assert_eq!(refused(0o660, None), Ok(()));
        assert_eq!(room.path("made").metadata().unwrap().mode() & 0o777, 0o755);
        assert!(refused(0o666, None).unwrap_err().starts_with("everybody could connect"));
        for bits in [0o775, 0o757, 0o1777] {
            let why = refused(0o600, Some(bits)).unwrap_err();
            assert!(why.contains("can be written by others"), "{why}");
        }
        assert_eq!(refused(0o600, Some(0o700)), Ok(()));
        let why = listen(&address(Path::new("control"), 0o600), &mut Inherited::default()).unwrap_err().why;
        assert_eq!(why, "a path starts with `/`");
    }

    #[test]
    fn a_dead_socket_is_replaced_and_a_living_one_is_not() {
        let room = Scene::new();
        let place = room.path("control");
        drop(std::os::unix::net::UnixListener::bind(&place).unwrap());
        let first = listen(&address(&place, 0o600), &mut Inherited::default()).unwrap();
        let error = listen(&address(&place, 0o600), &mut Inherited::default()).unwrap_err();
        assert_eq!(error.why, "another program listens there");
        drop(first);
        assert!(!place.exists());
    }
}
