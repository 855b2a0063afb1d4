// SPDX-License-Identifier: Apache-2.0
//! What a command sees: paths that cannot be shown, and those that are, each once.

use super::super::hosts::{compatible, entry, line, listen, master, on, root_on_618, scratch, strict};
use super::super::model::{Access, Namespace, Plan, Root};
use super::super::request::Request;
use super::super::resolve;
use super::{SH, check, planned, refused};
use crate::host::facts::{Facts, Image, PathFact};
use crate::policy::Policy;
use crate::policy::model::{Entry, Proc, Root as Wanted};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const AT: &str = "/etc/spawnbox/test.toml";

fn reading(path: &str) -> impl FnOnce(&mut Policy) {
    let entry = entry(path);
    move |policy| policy.files.read.push(on(9, entry))
}

fn scratching(path: &str) -> impl FnOnce(&mut Policy) {
    let scratch = scratch(path);
    move |policy| policy.files.scratch.push(on(9, scratch))
}

fn bare(read: &[&str], execute: &[&str], write: &[&str]) -> Policy {
    let mut policy = Policy::named("bare");
    let entries = |paths: &[&str], number| paths.iter().map(|path| on(number, entry(path))).collect();
    policy.files.read = entries(read, 1);
    policy.files.execute = entries(execute, 2);
    policy.files.write = entries(write, 3);
    policy
}

fn seen(policy: &Policy) -> Plan {
    planned(&listen(&["/usr/bin/x"]), policy, &root_on_618())
}

fn binds(policy: &Policy) -> Vec<(String, Access)> {
    let Root::Empty { binds, .. } = seen(policy).root else { panic!("an empty root") };
    binds.into_iter().map(|bind| (bind.path.display().to_string(), bind.access)).collect()
}

fn links(policy: &Policy) -> Vec<(String, String)> {
    let Root::Empty { links, .. } = seen(policy).root else { panic!("an empty root") };
    links.into_iter().map(|(path, end)| (path.display().to_string(), end.display().to_string())).collect()
}

fn owned<T: Copy>(pairs: &[(&str, T)]) -> Vec<(String, T)> {
    pairs.iter().map(|(path, value)| ((*path).to_string(), *value)).collect()
}

#[test]
fn paths_that_cannot_be_shown_are_refused() {
    let optional = "correct it, or say { path = ..., optional = true }";
    check(reading("/etc/gone"), &format!("{AT}:9: /etc/gone: No such file or directory; {optional}"));
    check(reading("/never/asked"), &format!("{AT}:9: /never/asked: No such file or directory; {optional}"));
    check(reading("/root/key"), &format!("{AT}:9: /root/key: Permission denied; {optional}"));
    let whole =
        format!("{AT}:9: / cannot be granted as a path; list what the command needs, or say files.root = \"host\"");
    check(reading("/"), &whole);
    let proc = "say files.proc = \"subset\": a fresh /proc of this sandbox alone";
    check(reading("/proc"), &format!("{AT}:9: /proc cannot be granted as a path; {proc}"));
    check(reading("/proc/meminfo"), &format!("{AT}:9: /proc/meminfo cannot be granted as a path; {proc}"));
    let nodes = "name its nodes: files.devices = [\"null\", ...]";
    check(reading("/dev"), &format!("{AT}:9: /dev cannot be granted as a path; {nodes}"));
    let node = "name the node: files.devices; one that is shown by its path cannot be opened";
    check(reading("/dev/null"), &format!("{AT}:9: /dev/null cannot be granted as a path; {node}"));
    let ours = "name another path: file systems of our own are mounted there";
    check(reading("/.scratch/0"), &format!("{AT}:9: /.scratch/0 cannot be granted as a path; {ours}"));
}

#[test]
fn a_link_that_leads_to_such_a_path_is_refused_too() {
    let mut facts = root_on_618();
    let found = facts.paths[Path::new("/proc")].clone();
    facts.paths.insert(PathBuf::from("/srv"), found);
    let mut policy = strict();
    reading("/srv")(&mut policy);
    let line = refused(&listen(SH), &policy, &facts);
    assert!(line.starts_with("/etc/spawnbox/test.toml:9: /proc cannot be granted as a path"), "{line}");
}

#[test]
fn optional_paths_that_are_not_there_stay_away() {
    let mut policy = strict();
    for path in ["/etc/gone", "/root/key"] {
        policy.files.read.push(on(9, Entry { optional: true, ..entry(path) }));
    }
    assert_eq!(binds(&policy), binds(&strict()));
}

#[test]
fn what_can_be_written_must_not_be_executed() {
    let line = format!(
        "{AT}:2: /srv is in files.write and in files.execute; what can be written must not be executed: \
         name a narrower path in one of them"
    );
    let policy = bare(&[], &["/usr", "/srv"], &["/srv"]);
    assert_eq!(refused(&listen(&["/usr/bin/x"]), &policy, &root_on_618()), line);
}

#[test]
fn a_path_inside_another_is_bound_only_for_what_the_other_does_not_grant() {
    let usr = ("/usr", Access::Execute);
    assert_eq!(binds(&bare(&["/usr/lib", "/usr"], &["/usr"], &[])), owned(&[usr]));
    let var = ("/usr/local/var", Access::Write);
    assert_eq!(binds(&bare(&[], &["/usr"], &["/usr/local/var"])), owned(&[usr, var]));
    assert_eq!(binds(&bare(&["/usr/local/var"], &["/usr"], &["/usr/local/var"])), owned(&[usr, var]));
}

#[test]
fn links_of_the_host_are_made_anew() {
    let to = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(path, end)| ((*path).to_string(), (*end).to_string())).collect()
    };
    let usr = ["/usr"].as_slice();
    assert_eq!(links(&bare(&[], &["/usr", "/lib"], &[])), to(&[("/lib", "/usr/lib")]));
    // Reached through /lib, which is a link itself.
    let deep = ("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu");
    assert_eq!(links(&bare(&["/lib/x86_64-linux-gnu"], usr, &[])), to(&[deep]));
    assert_eq!(links(&bare(&["/lib/x86_64-linux-gnu", "/lib"], usr, &[])), to(&[("/lib", "/usr/lib")]));
    // The host's own link in /usr says /etc/alternatives/awk, which must lead on.
    assert_eq!(links(&bare(&["/usr/bin/awk"], usr, &[])), to(&[("/etc/alternatives/awk", "/usr/bin/mawk")]));
}

#[test]
fn scratch_file_systems_stand_apart() {
    let apart = "neither may lie inside the other: name another path";
    let overlap = |a: &str, b: &str| format!("{AT}:9: the scratch file system {a} overlaps with {b}; {apart}");
    check(scratching("/usr/local/tmp"), &overlap("/usr/local/tmp", "/usr"));
    check(scratching("/usr"), &overlap("/usr", "/usr"));
    check(scratching("/etc"), &overlap("/etc", "/etc/ld.so.cache"));
    check(scratching("/lib/tmp"), &overlap("/lib/tmp", "/lib"));
    check(scratching("/tmp/deeper"), &overlap("/tmp/deeper", "/tmp"));
    check(scratching("/dev/shm"), &overlap("/dev/shm", "/dev"));
    // A policy's own /tmp stands in place of its profile's.
    let mut policy = strict();
    let mut larger = scratch("/tmp");
    larger.size = 64 << 20;
    policy.files.scratch.push(on(9, larger));
    let plan = seen(&policy);
    assert_eq!(plan.scratch.len(), 1);
    assert_eq!((plan.scratch[0].size, plan.scratch[0].origin.clone()), (64 << 20, line(9)));
}

#[test]
fn on_the_hosts_root_a_scratch_file_system_needs_its_directory() {
    let mut policy = compatible();
    policy.files.scratch = vec![on(9, scratch("/etc/ld.so.cache"))];
    let line = format!(
        "{AT}:9: /etc/ld.so.cache: there is no directory to mount a scratch file system on; make it, or name another path"
    );
    assert_eq!(refused(&master("policyd-spf", SH), &policy, &root_on_618()), line);
    policy.files.scratch = vec![on(9, scratch("/lib"))];
    let plan = planned(&master("policyd-spf", SH), &policy, &root_on_618());
    assert_eq!(plan.scratch[0].path, Path::new("/usr/lib"));
}

#[test]
fn the_hosts_root_needs_a_proc_of_its_own() {
    let line = format!(
        "{AT}:9: files.root = \"host\" needs files.proc = \"subset\" or \"full\"; \
         set files.proc = \"subset\" or \"full\", or leave it out"
    );
    check(|policy| policy.files.root = Some(on(9, Wanted::Host)), &line);
}

#[test]
fn what_needs_a_namespace_is_refused_without_it() {
    let without = |left_out: Namespace| {
        let all: BTreeSet<_> = Namespace::ALL.into_iter().filter(|namespace| *namespace != left_out).collect();
        move |policy: &mut Policy| policy.isolation.namespaces = Some(on(7, all))
    };
    let mount = "needs \"mount\" in isolation.namespaces; set \"mount\" in isolation.namespaces, or leave it out";
    check(without(Namespace::Mount), &format!("files.root = \"empty\" {mount}"));
    let mut policy = compatible();
    without(Namespace::Mount)(&mut policy);
    let line = refused(&master("policyd-spf", SH), &policy, &root_on_618());
    assert_eq!(line, format!("profile compatible:7: files.scratch {mount}"));
    policy.files.scratch.clear();
    let line = refused(&master("policyd-spf", SH), &policy, &root_on_618());
    assert_eq!(line, format!("profile compatible:8: files.proc {mount}"));
    check(
        |policy| {
            without(Namespace::Pid)(policy);
            policy.files.proc = Some(on(9, Proc::Subset));
        },
        &format!(
            "{AT}:9: files.proc needs \"pid\" in isolation.namespaces; \
             set \"pid\" in isolation.namespaces, or leave it out"
        ),
    );
}

#[test]
fn the_front_doors_directory_stands_only_where_it_is_shown() {
    let strict = planned(&master("policyd-spf", SH), &strict(), &root_on_618());
    assert_eq!(strict.command.directory.as_c_str(), c"/");
    let compatible = planned(&master("policyd-spf", SH), &compatible(), &root_on_618());
    assert_eq!(compatible.command.directory.as_c_str(), c"/var/spool/postfix");
    let mut shown = super::super::hosts::strict();
    shown.files.write.push(on(9, entry("/var/spool/postfix")));
    let shown = planned(&master("policyd-spf", SH), &shown, &root_on_618());
    assert_eq!(shown.command.directory.as_c_str(), c"/var/spool/postfix");
}

#[test]
fn a_chroot_directory_hides_with_a_mount_only_what_it_has() {
    let request = Request { chroot: Some("/var/spool/postfix".into()), ..master("policyd-spf", SH) };
    let mut facts = root_on_618();
    let place = |path: &str| PathFact::Found { resolved: path.into(), directory: true, link: None };
    facts.paths = [("/tmp".into(), PathFact::Missing)].into();
    let plan = planned(&request, &compatible(), &facts);
    assert_eq!((plan.root, plan.scratch.len(), plan.proc), (Root::Host, 0, Proc::None));
    facts.paths = ["/tmp", "/proc"].map(|path| (path.into(), place(path))).into();
    let plan = planned(&request, &compatible(), &facts);
    assert_eq!((plan.scratch.len(), plan.proc), (1, Proc::Full));
}

/// A root image with these names at its top.
fn image(top: &[(&str, PathFact)]) -> Facts {
    let top = top.iter().map(|(name, fact)| (PathBuf::from(name), fact.clone())).collect();
    Facts { image: Some(Image::Found { path: "/srv/image".into(), top }), ..root_on_618() }
}

#[test]
fn all_of_an_image_is_each_name_at_its_top() {
    let place = |path: &str, directory| PathFact::Found { resolved: path.into(), directory, link: None };
    let link = |to: &str, text: &str| PathFact::Found { resolved: to.into(), directory: true, link: Some(text.into()) };
    let facts = image(&[
        ("/bin", link("/usr/bin", "usr/bin")),
        ("/dev", place("/dev", true)),
        ("/file", place("/file", false)),
        ("/lost", PathFact::Missing),
        ("/mounts", link("/proc", "proc")),
        ("/proc", place("/proc", true)),
        ("/sys", place("/sys", true)),
        ("/tmp", place("/tmp", true)),
        ("/top", link("/", ".")),
        ("/usr", place("/usr", true)),
    ]);
    let mut policy = bare(&["/"], &["/"], &[]);
    policy.files.root = Some(on(9, Wanted::Image("/srv/link".into())));
    policy.files.scratch = vec![on(9, scratch("/tmp"))];
    let plan = resolve(&listen(&["/bin/sh"]), &policy, &facts).unwrap();
    assert_eq!(plan.image.as_deref(), Some(Path::new("/srv/image")));
    let Root::Empty { binds, links, .. } = plan.root else { panic!("an empty root") };
    let shown: Vec<(&str, bool, Access)> =
        binds.iter().map(|bind| (bind.path.to_str().unwrap(), bind.directory, bind.access)).collect();
    assert_eq!(shown, [("/file", false, Access::Execute), ("/usr", true, Access::Execute)]);
    assert_eq!(links, [("/bin".into(), "/usr/bin".into())].into());
}

#[test]
fn an_image_excludes_a_chroot_directory_and_must_be_fit() {
    let mut policy = bare(&["/"], &[], &[]);
    policy.files.root = Some(on(9, Wanted::Image("/srv/image".into())));
    let request = Request { chroot: Some("/var/spool/postfix".into()), ..master("policyd-spf", SH) };
    let line = resolve(&request, &policy, &image(&[])).unwrap_err().to_string();
    let words = "a directory as files.root and y in the chroot column exclude each other";
    assert!(line.contains(&format!("{AT}:9: {words}")), "{line}");
    let unfit = Image::Unfit { why: "it does not exist".into(), way_out: "make it".into() };
    let line = resolve(&listen(SH), &policy, &Facts { image: Some(unfit), ..root_on_618() }).unwrap_err().to_string();
    assert_eq!(line, format!("{AT}:9: the root image /srv/image cannot be used: it does not exist; make it"));
}

#[test]
fn a_chroot_directory_needs_a_mount_namespace() {
    let request = Request { chroot: Some("/var/spool/postfix".into()), ..master("policyd-spf", SH) };
    let mut policy = compatible();
    policy.files.scratch.clear();
    policy.isolation.namespaces = Some(on(7, BTreeSet::from([Namespace::Pid])));
    let line = refused(&request, &policy, &root_on_618());
    assert!(line.contains("y in the chroot column needs \"mount\" in isolation.namespaces"), "{line}");
}
