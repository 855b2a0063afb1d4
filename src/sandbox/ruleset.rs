// SPDX-License-Identifier: Apache-2.0
//! The Landlock ruleset of a service, built inside the template because its rules name inodes.
//! Every right that the kernel's ABI knows is handled, as a hard requirement: nothing is left out in silence.

use super::HostError;
use crate::plan::model::{Access, Landlock, PROC, Plan, Proc, Protocol, Relay, Root, SCRATCH};
use crate::sys::lock::{LOG_NEW_EXEC_ON, LOG_SUBDOMAINS_OFF};
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, Scope, make_bitflags,
};
use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::Path;

/// Builds the ruleset; its descriptor is what a session enforces, with these flags.
pub(super) fn build(plan: &Plan, landlock: &Landlock) -> Result<(OwnedFd, u32), HostError> {
    // The reaper and the relay execute nothing, and the domain that keeps the command from its reaper denies what every
    // domain does: only this one is told of.
    let told = if landlock.audit { LOG_NEW_EXEC_ON } else { 0 };
    descriptor(plan, landlock).map(|ruleset| (ruleset, flags(landlock) | told))
}

/// The flags that every ruleset is enforced with.
pub(super) fn flags(landlock: &Landlock) -> u32 {
    if landlock.quiets_subdomains() { LOG_SUBDOMAINS_OFF } else { 0 }
}

/// Builds that of the plan's relay: no file, no signal, no abstract socket, and of the TCP ports those of its peers.
/// Where it carries datagrams, those of UDP are left to its filter: it answers to whatever port the command has asked
/// from.
pub(super) fn relay(landlock: &Landlock, relay: &Relay) -> Result<OwnedFd, HostError> {
    let knows = |abi: ABI| landlock.abi >= abi as u32;
    let connect = knows(ABI::V4).then(|| relay.ports(Protocol::Tcp));
    let datagrams = !relay.ports(Protocol::Udp).is_empty();
    let (bind, udp) = (knows(ABI::V4).then(BTreeSet::new), (knows(ABI::V10) && !datagrams).then(BTreeSet::new));
    let own = Landlock { files: true, connect, bind, udp, ..landlock.clone() };
    finish(&own, create(&own).map_err(|e| told(CREATE, &e))?)
}

/// Builds that of a command whose reaper must be out of its reach: the domain inside the reaper's. It handles signals
/// alone, for every one that is handled twice costs twice.
pub(super) fn domain(landlock: &Landlock) -> Result<(OwnedFd, u32), HostError> {
    let created = Ruleset::default().set_compatibility(CompatLevel::HardRequirement).scope(Scope::Signal);
    let created = created.and_then(Ruleset::create).map_err(|e| told(CREATE, &e))?;
    let none = Landlock { files: false, connect: None, bind: None, udp: None, ..landlock.clone() };
    finish(&none, created).map(|ruleset| (ruleset, flags(landlock)))
}

const CREATE: &str = "create the Landlock ruleset";

fn descriptor(plan: &Plan, landlock: &Landlock) -> Result<OwnedFd, HostError> {
    let mut ruleset = create(landlock).map_err(|e| told(CREATE, &e))?;
    if landlock.files {
        ruleset = add_files(plan, landlock, ruleset)?;
    }
    finish(landlock, ruleset)
}

fn finish(landlock: &Landlock, ruleset: RulesetCreated) -> Result<OwnedFd, HostError> {
    let ruleset = add_ports(landlock, ruleset).map_err(|e| told("add a port to the Landlock ruleset", &e))?;
    Option::<OwnedFd>::from(ruleset)
        .ok_or_else(|| HostError { doing: CREATE.into(), why: "the kernel has none".into() })
}

fn create(landlock: &Landlock) -> Result<RulesetCreated, RulesetError> {
    let mut ruleset = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    if landlock.files {
        ruleset = ruleset.handle_access(AccessFs::from_all(abi(landlock)))?;
    }
    if landlock.connect.is_some() {
        ruleset = ruleset.handle_access(AccessNet::ConnectTcp)?;
    }
    if landlock.bind.is_some() {
        ruleset = ruleset.handle_access(AccessNet::BindTcp)?;
    }
    if landlock.udp.is_some() {
        ruleset = ruleset.handle_access(make_bitflags!(AccessNet::{BindUdp | ConnectSendUdp}))?;
    }
    if landlock.scopes {
        ruleset = ruleset.scope(Scope::from_all(abi(landlock)))?;
    }
    ruleset.create()
}

fn add_files(plan: &Plan, landlock: &Landlock, mut ruleset: RulesetCreated) -> Result<RulesetCreated, HostError> {
    let (Root::Empty { binds, devices, .. } | Root::Held { binds, devices, .. }) = &plan.root else {
        return Ok(ruleset);
    };
    for bind in binds {
        ruleset = add_path(ruleset, landlock, &bind.path, rights(bind.access), bind.directory)?;
    }
    for device in devices {
        let path = Path::new("/dev").join(device.name());
        ruleset = add_path(ruleset, landlock, &path, make_bitflags!(AccessFs::{ReadFile | WriteFile}), false)?;
    }
    if !plan.scratch.is_empty() {
        // Whether a program may be run from one of them is the mount's own flag.
        let any_executes = plan.scratch.iter().any(|scratch| scratch.execute);
        let execute = if any_executes { AccessFs::Execute.into() } else { BitFlags::EMPTY };
        ruleset = add_path(ruleset, landlock, Path::new(SCRATCH), rights(Access::Write) | execute, true)?;
    }
    if plan.proc != Proc::None {
        ruleset = add_path(ruleset, landlock, Path::new(PROC), rights(Access::Read), true)?;
    }
    if let Root::Held { .. } = &plan.root {
        return Ok(ruleset);
    }
    // Directories may be listed everywhere: in an empty root there is none that the policy does not show.
    add_path(ruleset, landlock, Path::new("/"), AccessFs::ReadDir.into(), true)
}

fn add_path(
    ruleset: RulesetCreated,
    landlock: &Landlock,
    path: &Path,
    rights: BitFlags<AccessFs>,
    directory: bool,
) -> Result<RulesetCreated, HostError> {
    let doing = || format!("add {} to the Landlock ruleset", path.display());
    // The kernel refuses a right that only a directory has on a file (EINVAL), and one that the ABI does not know.
    let known = AccessFs::from_all(abi(landlock));
    let possible = if directory { known } else { known & AccessFs::from_file(abi(landlock)) };
    let parent = PathFd::new(path).map_err(|e| HostError { doing: doing(), why: e.to_string() })?;
    ruleset.add_rule(PathBeneath::new(parent, rights & possible)).map_err(|e| told(&doing(), &e))
}

fn add_ports(landlock: &Landlock, mut ruleset: RulesetCreated) -> Result<RulesetCreated, RulesetError> {
    for &port in landlock.connect.iter().flatten() {
        ruleset = ruleset.add_rule(NetPort::new(port, AccessNet::ConnectTcp))?;
    }
    for &port in landlock.bind.iter().flatten() {
        ruleset = ruleset.add_rule(NetPort::new(port, AccessNet::BindTcp))?;
    }
    if let Some(ports) = landlock.udp.as_ref().filter(|ports| !ports.is_empty()) {
        // Sending binds an ephemeral port first; port 0 stands for those.
        ruleset = ruleset.add_rule(NetPort::new(0, AccessNet::BindUdp))?;
        for &port in ports {
            ruleset = ruleset.add_rule(NetPort::new(port, AccessNet::ConnectSendUdp))?;
        }
    }
    Ok(ruleset)
}

/// The rights behind a word of the policy.
fn rights(access: Access) -> BitFlags<AccessFs> {
    let read = make_bitflags!(AccessFs::{ReadFile | ReadDir});
    match access {
        Access::Read => read,
        Access::Execute => read | AccessFs::Execute,
        Access::Write => {
            read | make_bitflags!(AccessFs::{
                WriteFile | Truncate | RemoveDir | RemoveFile | MakeDir | MakeReg | MakeSock | MakeFifo | MakeSym
                | Refer | ResolveUnix
            })
        }
    }
}

fn abi(landlock: &Landlock) -> ABI {
    ABI::from(landlock.abi as i32)
}

fn told(doing: &str, error: &RulesetError) -> HostError {
    HostError { doing: doing.to_string(), why: error.to_string() }
}
