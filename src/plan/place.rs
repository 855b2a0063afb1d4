// SPDX-License-Identifier: Apache-2.0
//! Where a path leads in a sandbox, by its plan and by the links that whoever asks finds in what is shown. What comes
//! of it is not decided here.

use super::Plan;
use super::model::{Bind, PROC, Proc, Root, SCRATCH, Scratch};
use crate::host::paths::MOST_LINKS;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place<'a> {
    /// The host's own tree.
    Host,
    /// A part of the host that is shown.
    Shown(&'a Bind),
    /// A private file system, and the path in it.
    Scratch(&'a Scratch, PathBuf),
    /// A device node.
    Device,
    /// Something of /proc.
    Proc,
    /// A directory that leads to what is shown.
    Above,
    /// Nothing.
    Nowhere,
}

/// Follows an absolute path. `link` reads one of the host's links, where there is one.
pub fn place<'a>(plan: &'a Plan, path: &Path, link: &dyn Fn(&Path) -> Option<PathBuf>) -> Place<'a> {
    if path.starts_with("/proc") || path.starts_with(PROC) {
        return if plan.proc == Proc::None { Place::Nowhere } else { Place::Proc };
    }
    let (Root::Empty { binds, links, devices } | Root::Held { binds, links, devices }) = &plan.root else {
        let scratch = plan.scratch.iter().find(|scratch| path.starts_with(&scratch.path));
        return scratch.map_or(Place::Host, |scratch| Place::Scratch(scratch, below(path, &scratch.path)));
    };
    let leads = |to: &Path, from: &Path| to != from && to.starts_with(from);
    let (mut so_far, mut rest, mut followed) = (PathBuf::from("/"), names(path), 0);
    let mut found = Place::Above;
    while let Some(name) = rest.pop_front() {
        if name == ".." {
            so_far.pop();
            continue;
        }
        so_far.push(name);
        if let Some(place) = own(plan, &so_far, &rest) {
            return place;
        }
        let shown = binds.iter().rev().find(|bind| so_far.starts_with(&bind.path));
        // A link that was made, or one of the host's in what is shown.
        let link = links.get(&so_far).cloned().or_else(|| shown.and_then(|_| link(&so_far)));
        if let Some(link) = link {
            followed += 1;
            if followed > MOST_LINKS {
                return Place::Nowhere;
            }
            so_far.pop();
            if link.is_absolute() {
                so_far = PathBuf::from("/");
            }
            let mut names = names(&link);
            names.append(&mut rest);
            rest = names;
            if rest.is_empty() {
                found = Place::Above;
            }
            continue;
        }
        let made = binds.iter().map(|bind| &bind.path).chain(links.keys()).chain(plan.scratch.iter().map(|s| &s.path));
        found = match shown {
            Some(bind) => Place::Shown(bind),
            None if { made }.any(|made| leads(made, &so_far)) => Place::Above,
            None if so_far == Path::new("/dev") && !devices.is_empty() => Place::Above,
            None if so_far
                .strip_prefix("/dev")
                .is_ok_and(|name| devices.iter().any(|d| Path::new(d.name()) == name)) =>
            {
                Place::Device
            }
            None => return Place::Nowhere,
        };
    }
    found
}

/// Where a session has a file system of its own.
fn own<'a>(plan: &'a Plan, so_far: &Path, rest: &VecDeque<OsString>) -> Option<Place<'a>> {
    if so_far == Path::new("/proc") {
        return Some(if plan.proc == Proc::None { Place::Nowhere } else { Place::Proc });
    }
    let below: PathBuf = rest.iter().collect();
    if let Some(scratch) = plan.scratch.iter().find(|scratch| scratch.path == so_far) {
        return Some(Place::Scratch(scratch, below));
    }
    // A current directory is told so.
    if so_far == Path::new(SCRATCH) {
        let mut rest = below.components();
        let number: Option<usize> = rest.next().and_then(|number| number.as_os_str().to_str()?.parse().ok());
        let scratch = number.and_then(|number| plan.scratch.get(number));
        return Some(scratch.map_or(Place::Above, |scratch| Place::Scratch(scratch, rest.as_path().to_path_buf())));
    }
    None
}

/// Where `path` of a scratch file system is below the root directory.
pub fn in_root(plan: &Plan, scratch: &Scratch, below: &Path) -> PathBuf {
    match &plan.root {
        Root::Host | Root::Held { .. } => scratch.path.strip_prefix("/").unwrap_or(&scratch.path).join(below),
        Root::Empty { .. } => {
            let number = plan.scratch.iter().position(|one| one == scratch).unwrap_or_default();
            Path::new(&SCRATCH[1..]).join(number.to_string()).join(below)
        }
    }
}

fn below(path: &Path, outer: &Path) -> PathBuf {
    path.strip_prefix(outer).map(Path::to_path_buf).unwrap_or_default()
}

fn names(path: &Path) -> VecDeque<OsString> {
    let name = |component: Component<'_>| match component {
        Component::Normal(name) => Some(name.to_os_string()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::super::hosts::{listen, root_on_618, strict};
    use super::super::resolve;
    use super::*;

    #[test]
    fn a_path_leads_where_the_sandbox_has_it() {
        let plan = resolve(&listen(&["sh"]), &strict(), &root_on_618()).unwrap();
        let at = |path: &str| place(&plan, Path::new(path), &|_| None);
        assert!(matches!(at("/usr/bin/env"), Place::Shown(bind) if bind.path == Path::new("/usr")));
        assert!(matches!(at("/bin/sh"), Place::Shown(_)), "{:?}", at("/bin/sh"));
        assert!(matches!(at("/usr/../usr/bin"), Place::Shown(_)));
        assert!(matches!(at("/tmp/x/y"), Place::Scratch(_, below) if below == Path::new("x/y")));
        assert!(matches!(at("/.scratch/0/x"), Place::Scratch(_, below) if below == Path::new("x")));
        assert_eq!((at("/"), at("/etc/shadow"), at("/home")), (Place::Above, Place::Nowhere, Place::Nowhere));
        assert_eq!(
            (at("/proc/self/status"), at("/dev/null"), at("/dev/tty")),
            (Place::Nowhere, Place::Device, Place::Nowhere)
        );
    }
}
