// SPDX-License-Identifier: Apache-2.0
//! What the command sees: the parts of the host that an empty root shows, links, scratch file systems, /proc.
//! Looks at no file: what a path is on this host stands in the facts.

use super::model::{Access, Bind, Command, Off, PROC, Proc, Root, SCRATCH, Scratch};
use super::refuse::{BadCommand, Lack, Refusal, Slip};
use super::view::View;
use crate::host::facts::{Facts, Image, PathFact};
use crate::policy::model::Level;
use crate::policy::model::{Device, Entry, Files, Root as Wanted};
use crate::policy::{Origin, Policy, Sourced};
use nix::errno::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, CString};
use std::path::{Path, PathBuf};

/// Where the file systems that are a session's own are mounted in an empty root.
const RESERVED: [&str; 2] = [SCRATCH, PROC];

/// What a sandbox has of its own, or not at all, whatever an image has there.
const OWN: [&str; 3] = ["/dev", "/proc", "/sys"];

/// Root, scratch file systems and /proc of a plan.
pub(super) struct Sight {
    pub(super) image: Option<PathBuf>,
    pub(super) root: Root,
    pub(super) scratch: Vec<Scratch>,
    pub(super) proc: Proc,
}

/// A path that the policy grants and the host has.
struct Granted {
    written: PathBuf,
    link: Option<PathBuf>,
    bind: Bind,
}

/// Plans the root directory and what is mounted in it.
pub(super) fn resolve(
    files: &Files,
    (chroot, level): (Option<&Path>, Level),
    off: &mut Vec<Off>,
    facts: &Facts,
) -> Result<Sight, Refusal> {
    let proc = files.proc.as_ref().map_or(Proc::None, |proc| proc.value);
    match files.root.as_ref().map_or(&Wanted::Empty, |root| &root.value) {
        Wanted::Host => {
            host_root(files, proc, off)?;
            match chroot {
                None => Ok(Sight { image: None, root: Root::Host, scratch: on_the_host(files, facts)?, proc }),
                Some(_) => below_the_chroot(files, proc, facts),
            }
        }
        wanted @ (Wanted::Empty | Wanted::Image(_)) => {
            let image = match wanted {
                Wanted::Image(written) => Some(image(written, chroot, files, facts)?),
                Wanted::Empty | Wanted::Host => None,
            };
            let granted = granted(files, facts)?;
            let scratch = in_the_empty_root(files, &granted)?;
            let binds = merge(granted.iter().map(|granted| granted.bind.clone()).collect())?;
            let links = links(&granted, &binds);
            let devices = files.devices.iter().map(|device| device.value).collect();
            if level == Level::LandlockOnly {
                off.extend(scratch.iter().map(|scratch| {
                    let why = "a scratch file system is a mount; nothing can be written there";
                    Off::new(scratch.path.display().to_string(), why)
                }));
                return Ok(Sight { image, root: Root::Held { binds, links, devices }, scratch: Vec::new(), proc });
            }
            Ok(Sight { image, root: Root::Empty { binds, links, devices }, scratch, proc })
        }
    }
}

/// Refuses a program that the root does not let anyone execute, and a directory that it does not show.
/// The front door's directory is only a wish: where an empty root has no such place, `/` stands.
pub(super) fn check(mut command: Command, sight: &Sight, policy: &Policy, argv: &Origin) -> Result<Command, Refusal> {
    let Some(view) = View::of(&sight.root, &sight.scratch, sight.proc) else { return Ok(command) };
    let directory = path_of(&command.directory).to_path_buf();
    if !view.has_directory(&directory) {
        match &policy.command.directory {
            Some(written) => {
                return Err(Refusal::new(BadCommand::DirectoryNotShown { path: directory }, &written.origin));
            }
            None => command.directory = CString::from(c"/"),
        }
    }
    let directory = path_of(&command.directory);
    if command.programs.iter().any(|program| view.may_execute(&directory.join(path_of(program)))) {
        return Ok(command);
    }
    let program = command.argv.first().map_or_else(String::new, |word| word.to_string_lossy().into_owned());
    Err(Refusal::new(BadCommand::NotShown { program }, argv))
}

/// A path that was made for the kernel, as a path again.
pub(super) fn path_of(path: &CStr) -> &Path {
    use std::os::unix::ffi::OsStrExt;
    Path::new(std::ffi::OsStr::from_bytes(path.to_bytes()))
}

/// The host's own tree: /proc must be a fresh one, or the command would see every process of the host; lists of
/// paths change nothing there.
fn host_root(files: &Files, proc: Proc, off: &mut Vec<Off>) -> Result<(), Refusal> {
    let root = files.root.as_ref().map_or(&Origin::Default, |root| &root.origin);
    match proc {
        Proc::Subset | Proc::Full => {}
        Proc::None => {
            let origin = files.proc.as_ref().map_or(root, |proc| &proc.origin);
            let needs = "files.proc = \"subset\" or \"full\"";
            return Err(Refusal::new(Slip::Needs { key: "files.root = \"host\"", needs }, origin));
        }
    }
    off.push(Off::new(
        "private root",
        format!("files.root = \"host\" ({root}): what the user may see, the command sees"),
    ));
    let listed = !(files.read.is_empty() && files.execute.is_empty() && files.write.is_empty());
    if listed || !files.devices.is_empty() {
        off.push(Off::new("lists of paths", "read, execute, write and devices restrict nothing in the host's root"));
    }
    Ok(())
}

/// The directory of a root image. What it lists is looked up there, by the kernel and in that root.
fn image(written: &Path, chroot: Option<&Path>, files: &Files, facts: &Facts) -> Result<PathBuf, Refusal> {
    let origin = files.root.as_ref().map_or(&Origin::Default, |root| &root.origin);
    if chroot.is_some() {
        let key = "a directory as files.root";
        return Err(Refusal::new(Slip::Excludes { key, other: "y in the chroot column" }, origin));
    }
    let path = written.to_path_buf();
    match &facts.image {
        Some(Image::Found { path, .. }) => Ok(path.clone()),
        Some(Image::Unfit { why, way_out }) => {
            Err(Refusal::new(Lack::Image { path, why: why.clone(), way_out: way_out.clone() }, origin))
        }
        None => {
            let (why, way_out) = ("it was not looked at".to_string(), "correct it".to_string());
            Err(Refusal::new(Lack::Image { path, why, way_out }, origin))
        }
    }
}

fn granted(files: &Files, facts: &Facts) -> Result<Vec<Granted>, Refusal> {
    let lists = [(&files.read, Access::Read), (&files.execute, Access::Execute), (&files.write, Access::Write)];
    let mut granted = Vec::new();
    for (entries, access) in lists {
        for entry in entries {
            match &facts.image {
                Some(Image::Found { top, .. }) if entry.value.path == Path::new("/") => {
                    granted.extend(whole(top, (access, &entry.origin), files));
                }
                Some(_) | None => granted.extend(grant(entry, access, facts)?),
            }
        }
    }
    Ok(granted)
}

fn grant(entry: &Sourced<Entry>, access: Access, facts: &Facts) -> Result<Option<Granted>, Refusal> {
    let Sourced { value: Entry { path, optional, .. }, origin } = entry;
    grantable(path, origin)?;
    // No node can be opened where a path is shown (MOUNT_ATTR_NODEV): a grant of it would be none.
    if Device::ALL.iter().any(|device| *path == Path::new("/dev").join(device.name())) {
        let instead = "name the node: files.devices; one that is shown by its path cannot be opened";
        return Err(Refusal::new(Slip::NotGrantable { path: path.clone(), instead }, origin));
    }
    let errno = match facts.paths.get(path) {
        Some(PathFact::Found { resolved, directory, link }) => {
            grantable(resolved, origin)?;
            let bind = Bind { path: resolved.clone(), directory: *directory, access, origin: origin.clone() };
            return Ok(Some(Granted { written: path.clone(), link: link.clone(), bind }));
        }
        Some(PathFact::Unreadable(errno)) => *errno,
        Some(PathFact::Missing) | None => Errno::ENOENT as i32,
    };
    // What cannot be looked at cannot be shown either: an optional path stays away, which grants less.
    if *optional { Ok(None) } else { Err(Refusal::new(Lack::Path { path: path.clone(), errno }, origin)) }
}

/// All of an image, without what the sandbox has of its own: each name at its top is a part. Where the policy has a
/// scratch file system in the place of one, that one is not shown.
fn whole<'a>(
    top: &'a BTreeMap<PathBuf, PathFact>,
    (access, origin): (Access, &'a Origin),
    files: &'a Files,
) -> impl Iterator<Item = Granted> + 'a {
    let own = move |path: &Path| {
        OWN.iter().any(|own| path.starts_with(own)) || files.scratch.iter().any(|scratch| scratch.value.path == path)
    };
    top.iter().filter_map(move |(name, fact)| match fact {
        PathFact::Found { resolved, directory, link } => {
            let shown = !own(name) && !own(resolved) && grantable(resolved, origin).is_ok();
            let bind = Bind { path: resolved.clone(), directory: *directory, access, origin: origin.clone() };
            shown.then(|| Granted { written: name.clone(), link: link.clone(), bind })
        }
        // A link that leads nowhere is one that nobody can use.
        PathFact::Missing | PathFact::Unreadable(_) => None,
    })
}

/// Some paths have a key of their own, which says more exactly what is shown of them.
fn grantable(path: &Path, origin: &Origin) -> Result<(), Refusal> {
    let instead = if path == Path::new("/") {
        "list what the command needs, or say files.root = \"host\""
    } else if path.starts_with("/proc") {
        "say files.proc = \"subset\": a fresh /proc of this sandbox alone"
    } else if path == Path::new("/dev") {
        "name its nodes: files.devices = [\"null\", ...]"
    } else if RESERVED.iter().any(|reserved| path.starts_with(reserved)) {
        "name another path: file systems of our own are mounted there"
    } else {
        return Ok(());
    };
    Err(Refusal::new(Slip::NotGrantable { path: path.to_path_buf(), instead }, origin))
}

/// Sorts parents before children and drops what the bind around it grants already.
/// Grants add up: a weaker entry inside a stronger one takes nothing away.
fn merge(mut binds: Vec<Bind>) -> Result<Vec<Bind>, Refusal> {
    // The stronger of two equal paths first.
    binds.sort_by(|a, b| a.path.cmp(&b.path).then(b.access.cmp(&a.access)));
    let mut kept: Vec<Bind> = Vec::new();
    // Where those in `kept` are that the next one may be inside of, outermost first: what is sorted by its components
    // leaves a directory for good.
    let mut open: Vec<usize> = Vec::new();
    for bind in binds {
        while open.last().is_some_and(|last| !bind.path.starts_with(&kept[*last].path)) {
            open.pop();
        }
        // Only the nearest bind around it counts: the mount of that one hides those further out.
        match open.last().map(|last| &kept[*last]) {
            Some(around) if covers(around.access, bind.access) => {}
            Some(around) if around.path == bind.path => {
                return Err(Refusal::new(Slip::WriteAndExecute { path: bind.path }, &bind.origin));
            }
            Some(_) | None => {
                open.push(kept.len());
                kept.push(bind);
            }
        }
    }
    Ok(kept)
}

fn covers(around: Access, inside: Access) -> bool {
    around == inside || inside == Access::Read
}

/// The symbolic links of the host that lead to what is shown, made anew, each with its absolute end as text.
fn links(granted: &[Granted], binds: &[Bind]) -> BTreeMap<PathBuf, PathBuf> {
    let mut links = BTreeMap::new();
    for Granted { written, link, bind } in granted {
        // Debian's /usr/bin/awk says /etc/alternatives/awk, which says /usr/bin/mawk: the middle is needed too.
        let middle = link.iter().filter(|text| text.is_absolute());
        for path in std::iter::once(written).chain(middle).filter(|path| **path != bind.path) {
            links.insert(path.clone(), bind.path.clone());
        }
    }
    // A tree of the host brings its own links, and nothing can be made in it.
    let shown: BTreeSet<&Path> = binds.iter().map(|bind| bind.path.as_path()).collect();
    links.retain(|path, _| !path.ancestors().any(|outer| shown.contains(outer)));
    let made: BTreeSet<PathBuf> = links.keys().cloned().collect();
    links.retain(|path, _| !path.ancestors().skip(1).any(|outer| made.contains(outer)));
    links
}

/// Of scratch file systems with equal paths the last counts: a policy's own stand after those it extends.
fn scratches(files: &Files) -> Vec<Scratch> {
    let mut scratches: Vec<Scratch> = Vec::new();
    for Sourced { value, origin } in &files.scratch {
        scratches.retain(|earlier| earlier.path != value.path);
        scratches.push(Scratch {
            path: value.path.clone(),
            size: value.size,
            inodes: value.inodes,
            execute: value.execute,
            origin: origin.clone(),
        });
    }
    scratches
}

/// In an empty root a scratch file system is reached by a link, which nothing else may stand in the way of.
fn in_the_empty_root(files: &Files, granted: &[Granted]) -> Result<Vec<Scratch>, Refusal> {
    let scratches = scratches(files);
    for scratch in &scratches {
        grantable(&scratch.path, &scratch.origin)?;
    }
    let own = ["/dev", "/proc"].map(PathBuf::from);
    let listed = granted.iter().flat_map(|granted| [&granted.written, &granted.bind.path]);
    let mut others: Vec<PathBuf> = listed.chain(&own).cloned().collect();
    // The outermost is the one to name.
    others.sort();
    apart(&scratches, &others)?;
    Ok(scratches)
}

/// On the host's own tree a scratch file system is mounted over a directory that is there.
fn on_the_host(files: &Files, facts: &Facts) -> Result<Vec<Scratch>, Refusal> {
    let mut scratches = scratches(files);
    for scratch in &mut scratches {
        match facts.paths.get(&scratch.path) {
            Some(PathFact::Found { resolved, directory: true, .. }) if resolved != Path::new("/") => {
                scratch.path = resolved.clone();
            }
            Some(PathFact::Found { .. } | PathFact::Missing | PathFact::Unreadable(_)) | None => {
                return Err(Refusal::new(Lack::MountPoint { path: scratch.path.clone() }, &scratch.origin));
            }
        }
    }
    apart(&scratches, &["/proc"].map(PathBuf::from))?;
    Ok(scratches)
}

/// In a chroot directory as an administrator made it: what is mounted over a directory of the host is mounted where
/// that one has the directory too. Without it there is nothing to hide.
fn below_the_chroot(files: &Files, proc: Proc, facts: &Facts) -> Result<Sight, Refusal> {
    let is_there = |path: &Path| matches!(facts.paths.get(path), Some(PathFact::Found { directory: true, .. }));
    let scratch = files.scratch.iter().filter(|scratch| is_there(&scratch.value.path)).cloned().collect();
    let scratch = on_the_host(&Files { scratch, ..files.clone() }, facts)?;
    let proc = if is_there(Path::new("/proc")) { proc } else { Proc::None };
    Ok(Sight { image: None, root: Root::Host, scratch, proc })
}

fn apart(scratches: &[Scratch], others: &[PathBuf]) -> Result<(), Refusal> {
    let overlap = |a: &Path, b: &Path| a.starts_with(b) || b.starts_with(a);
    for (index, scratch) in scratches.iter().enumerate() {
        let earlier = scratches[..index].iter().map(|scratch| &scratch.path);
        if let Some(other) = earlier.chain(others).find(|other| overlap(&scratch.path, other)) {
            let slip = Slip::Overlap { path: scratch.path.clone(), other: other.clone() };
            return Err(Refusal::new(slip, &scratch.origin));
        }
    }
    Ok(())
}
