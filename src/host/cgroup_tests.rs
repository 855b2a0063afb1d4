// SPDX-License-Identifier: Apache-2.0
//! The place of session cgroups, on trees made of plain files.

use super::*;

/// A tree that looks like a cgroup2 mount.
struct Tree(PathBuf);

impl Tree {
    fn new(name: &str, files: &[(&str, &str)]) -> Tree {
        let base = std::env::temp_dir().join(format!("spawnbox cgroup-{name}-{}", std::process::id()));
        for (file, text) in files {
            let file = base.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        Tree(base)
    }

    fn mountinfo(&self) -> String {
        let point = self.0.display().to_string().replace(' ', "\\040");
        format!("24 1 0:22 / /proc rw - proc proc rw\n31 24 0:28 / {point} rw shared:4 - cgroup2 cgroup2 rw\n")
    }

    fn at(&self, path: &str, controllers: &[Controller]) -> Result<Cgroup, Why> {
        let controllers = controllers.iter().copied().collect();
        Ok(Cgroup::At { path: self.0.join(path), controllers, on_v1: BTreeSet::new() })
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Root,
    RootUnderSystemd,
    User,
}

fn seen(tree: &Tree, who: Who, own: &str) -> Seen {
    Seen { mountinfo: tree.mountinfo(), own: own.into(), root: who != Who::User, systemd: who == Who::RootUnderSystemd }
}

const ALL: &str = "cpuset cpu io memory hugetlb pids\n";

#[test]
fn what_cannot_be_had_is_said_in_words() {
    let tree = Tree::new("refused", &[("app/cgroup.type", "threaded\n"), ("app/cgroup.procs", "")]);
    let none = Seen { mountinfo: String::new(), ..seen(&tree, Who::Root, "0::/\n") };
    let cases = [
        (none, "no whole cgroup2 file system is mounted".to_string()),
        (
            seen(&tree, Who::User, "4:memory:/\n"),
            "/proc/self/cgroup has no line for cgroup2 that leads anywhere here".into(),
        ),
        (
            seen(&tree, Who::User, "0::/../outside\n"),
            "/proc/self/cgroup has no line for cgroup2 that leads anywhere here".into(),
        ),
        (seen(&tree, Who::User, "0::/app\n"), format!("{}/app is no domain cgroup", tree.0.display())),
        (
            seen(&tree, Who::User, "0::/gone\n"),
            format!("{}/gone cannot be written: No such file or directory", tree.0.display()),
        ),
    ];
    for (seen, why) in cases {
        assert_eq!(choose(&seen), Err(Why::None(why)));
    }
    let old = Kernel { major: 5, minor: 10, release: "5.10.0-28-amd64".into() };
    let why = "Linux 5.10.0-28-amd64 has no cgroup.kill, which came with 5.14";
    assert_eq!(observe(&old, 0), Ok(Cgroup::Unavailable(why.into())));
}

#[test]
fn places() {
    use Controller::{Cpu, Memory, Pids};
    let tree = Tree::new(
        "places",
        &[
            ("cgroup.controllers", ALL),
            ("cgroup.procs", "1\n"),
            ("app/cgroup.type", "domain\n"),
            ("app/cgroup.procs", "70\n"),
            ("app/cgroup.controllers", ALL),
        ],
    );
    let own = "0::/app\n";
    assert_eq!(choose(&seen(&tree, Who::Root, own)), tree.at("spawnbox", &[Cpu, Memory, Pids]));
    assert_eq!(choose(&seen(&tree, Who::RootUnderSystemd, own)), tree.at("app", &[]));
    assert_eq!(choose(&seen(&tree, Who::User, own)), tree.at("app", &[]));
    assert_eq!(choose(&seen(&tree, Who::User, "0::/\n")), tree.at("", &[]));

    // Inside a container.
    fs::write(tree.0.join("cgroup.type"), "domain\n").unwrap();
    assert_eq!(choose(&seen(&tree, Who::Root, own)), tree.at("spawnbox", &[]));

    let unit = "system.slice/spawnbox-sessions.service";
    fs::create_dir_all(tree.0.join(unit)).unwrap();
    let file = |name: &str| tree.0.join(unit).join(name);
    fs::write(file("cgroup.type"), "domain\n").unwrap();
    fs::write(file("cgroup.controllers"), "memory pids\n").unwrap();
    fs::write(file("cgroup.procs"), "").unwrap();
    assert_eq!(choose(&seen(&tree, Who::RootUnderSystemd, own)), tree.at(unit, &[Memory, Pids]));
    fs::write(file("cgroup.procs"), "71\n").unwrap();
    assert_eq!(choose(&seen(&tree, Who::RootUnderSystemd, own)), tree.at(unit, &[]));
}

#[test]
fn what_was_delegated_to_a_unit_gives_controllers_where_the_supervisor_is_alone() {
    use Controller::{Memory, Pids};
    let own = format!("{}\n", std::process::id());
    let tree = Tree::new(
        "delegated",
        &[
            ("app/cgroup.type", "domain\n"),
            ("app/cgroup.procs", &own),
            ("app/cgroup.controllers", "memory pids\n"),
            ("app/supervisor/cgroup.type", "domain\n"),
            ("app/supervisor/cgroup.procs", &own),
            ("app/supervisor/cgroup.controllers", "memory pids\n"),
        ],
    );
    let app = tree.0.join("app");
    let found = |own: &str| choose(&seen(&tree, Who::RootUnderSystemd, own));
    // Nobody says that it is.
    assert_eq!(found("0::/app\n"), tree.at("app", &[]));
    assert_eq!(found("0::/app/supervisor\n"), tree.at("app/supervisor", &[]));
    let mark = |text: &[u8]| rustix::fs::setxattr(&app, DELEGATED[1], text, rustix::fs::XattrFlags::empty()).unwrap();
    mark(b"0");
    assert_eq!(found("0::/app\n"), tree.at("app", &[]));
    mark(b"1");
    assert_eq!(found("0::/app\n"), tree.at("app", &[Memory, Pids]));
    // Others would be left in it, and it could give no controller.
    fs::write(app.join("cgroup.procs"), format!("{own}1\n")).unwrap();
    assert_eq!(found("0::/app\n"), tree.at("app", &[]));
    fs::write(app.join("cgroup.procs"), "").unwrap();
    assert_eq!(found("0::/app/supervisor\n"), tree.at("app", &[Memory, Pids]));
}

#[test]
fn a_bound_file_is_not_the_mount() {
    let mountinfo = "\
52 40 0:26 /system.slice/postfix.service/memory.pressure /run/a rw - cgroup2 cgroup2 rw
31 24 0:28 / /sys/fs/cgroup rw shared:9 - tmpfs tmpfs rw
35 31 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified\\040two rw,nosuid shared:11 master:3 - cgroup2 cgroup2 rw
53 40 0:26 /system.slice/postfix.service/memory.pressure /run/b rw - cgroup2 cgroup2 rw
";
    assert_eq!(mount_point(mountinfo), Some(PathBuf::from("/sys/fs/cgroup/unified two")));
}

#[test]
fn controllers_of_version_1() {
    let own = "9:name=systemd:/\n8:pids:/x\n4:memory:/y\n2:cpu,cpuacct:/\n1:cpuset:/\n0::/\n";
    assert_eq!(on_v1(own), BTreeSet::from(CONTROLLERS));
    assert_eq!(on_v1("0::/user.slice\n"), BTreeSet::new());
}
