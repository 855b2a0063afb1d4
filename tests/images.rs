// SPDX-License-Identifier: Apache-2.0
//! Root images: a directory of the host, from which a sandbox is made in place of the host's own files. What is in it
//! is whoever's made it: it must not lead out, give rights, or be written to.

use crate::scene::stage::{self, Room, mode};
use crate::scene::{Outcome, Scene, arguments, host, scene};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::Command;

/// An image as distributions make them: the probe, a shell, what they load, and links at its top.
struct Image(Room);

impl Image {
    fn new() -> Image {
        let image = Image(stage::room());
        for directory in ["image", "image/usr", "image/usr/bin", "image/etc", "image/srv", "image/proc", "image/dev"] {
            image.0.directory(directory);
        }
        for name in ["bin", "lib", "lib64"] {
            fs::create_dir_all(image.at(&format!("usr/{name}"))).expect("the stage can be written");
            symlink(format!("usr/{name}"), image.at(name)).expect("the stage can be written");
        }
        image.add(&stage::program("probe"), "usr/bin/probe");
        image.add(Path::new("/bin/sh"), "usr/bin/sh");
        image.0.file("image/etc/motd", "of the image\n");
        image.0.file("image/srv/page", "served\n");
        image
    }

    fn at(&self, path: &str) -> std::path::PathBuf {
        self.0.path("image").join(path)
    }

    fn path(&self) -> String {
        self.at("").display().to_string().trim_end_matches('/').to_string()
    }

    /// Copies a program, and what ldd(1) says that it loads, each to its own place.
    fn add(&self, program: &Path, to: &str) {
        fs::copy(program, self.at(to)).expect("the program is there");
        let told = Command::new("ldd").arg(program).output().expect("ldd is part of libc-bin");
        for word in String::from_utf8_lossy(&told.stdout).split_whitespace().filter(|word| word.starts_with("/lib")) {
            let to = self.at(&word[1..]);
            fs::create_dir_all(to.parent().expect("it has one")).expect("the stage can be written");
            fs::copy(word, to).expect("the library is there");
        }
    }

    /// Strict, with this for its root.
    fn scene(&self) -> Scene {
        scene("strict").set(&format!("files.root=\"{}\"", self.path()))
    }

    /// The same with all of it to be seen.
    fn whole(&self) -> Scene {
        self.scene().set("files.execute=[\"/\"]")
    }
}

fn probe(scene: Scene, actions: &str) -> Outcome {
    scene.command(&format!("/bin/probe {actions}")).run()
}

#[test]
fn what_a_policy_lists_is_looked_up_in_the_image() {
    let image = Image::new();
    let scene = image.scene().set("files.read=[\"/etc/motd\"]");
    let found = probe(scene, "read /etc/motd , open /srv/page , list / , list /etc , open /etc/passwd").exits(0);
    assert_eq!(found.answer("read /etc/motd"), "of the image");
    assert_eq!(found.answer("list /etc"), "motd");
    // Neither what it has besides nor what the host has is there.
    assert_eq!(found.answer("open /srv/page"), "ENOENT");
    assert_eq!(found.answer("open /etc/passwd"), "ENOENT");
    assert_eq!(found.answer("list /"), ".scratch bin dev etc lib lib64 tmp usr");
}

#[test]
fn all_of_an_image_is_shown_but_what_the_sandbox_has_of_its_own() {
    let image = Image::new();
    image.0.file("image/dev/own", "");
    let found = probe(image.whole(), "list / , read /srv/page , list /dev , list /proc , mkdir /srv/new").exits(0);
    assert_eq!(found.answer("list /"), ".scratch bin dev etc lib lib64 srv tmp usr");
    assert_eq!(found.answer("read /srv/page"), "served");
    assert_eq!(found.answer("list /dev"), "full null random urandom zero");
    assert_eq!(found.answer("list /proc"), "ENOENT");
    assert_eq!(found.answer("mkdir /srv/new"), "EROFS");
    // What can only be read is not executed.
    let read = image.scene().set("files.read=[\"/\"]").set("files.proc=\"subset\"");
    fs::copy(image.at("usr/bin/probe"), image.at("srv/probe")).expect("the stage can be written");
    let found = probe(read, "execute /srv/probe , list /proc/self/fd , write /tmp/x y").exits(0);
    assert_eq!(found.answer("execute /srv/probe"), "EACCES");
    assert!(found.answer("list /proc/self/fd").starts_with("0 1 2"), "{found}");
    assert_eq!(found.answer("write /tmp/x y"), "ok");
}

#[test]
fn an_ordinary_user_has_images_of_its_own() {
    let image = Image::new();
    let found = probe(image.whole().unprivileged(), "read /etc/motd , list /proc , mkdir /srv/new").exits(0);
    assert_eq!(found.answer("read /etc/motd"), "of the image");
    assert_eq!((found.answer("list /proc"), found.answer("mkdir /srv/new")), ("ENOENT", "EROFS"));
    let proc = image.whole().unprivileged().set("files.proc=\"subset\"");
    assert!(probe(proc, "list /proc/self/fd").exits(0).answer("list /proc/self/fd").starts_with("0 1 2"));
}

#[test]
fn what_may_be_written_is_the_images_and_holds_no_program() {
    needs!(root);
    let image = Image::new();
    let own = image.0.directory("image/srv/own");
    std::os::unix::fs::chown(&own, Some(crate::scene::NOBODY), None).expect("root may");
    let scene = image.whole().set("files.write=[\"/srv/own\"]");
    let found = probe(scene, "write /srv/own/x written , write /srv/x y , chmod /srv/own/x 700 , execute /srv/own/x");
    assert_eq!(found.answer("write /srv/own/x written"), "ok");
    assert_eq!(found.answer("write /srv/x y"), "EROFS");
    assert_eq!(found.answer("execute /srv/own/x"), "EACCES");
    assert_eq!(fs::read_to_string(own.join("x")).expect("it is there"), "written");
}

#[test]
fn no_link_and_no_climbing_leads_out_of_an_image() {
    let image = Image::new();
    let secret = image.0.file("secret", "the host's\n");
    let up = "../".repeat(24);
    let links = [
        ("absolute", secret.display().to_string()),
        ("relative", format!("{up}{}", &secret.display().to_string()[1..])),
        ("beside", "../../secret".to_string()),
        ("root", format!("{up}etc")),
        ("magic", "/proc/1/root/etc/passwd".to_string()),
    ];
    for (name, to) in &links {
        symlink(to, image.at(&format!("etc/{name}"))).expect("the stage can be written");
    }
    let climbing = format!("/etc/{up}{}", &secret.display().to_string()[1..]);
    let actions = format!(
        "open /etc/absolute , open /etc/relative , open /etc/beside , list /etc/root , open /etc/magic , open {climbing}"
    );
    let found = probe(image.whole(), &actions).exits(0);
    for name in ["absolute", "relative", "beside", "magic"] {
        assert_eq!(found.answer(&format!("open /etc/{name}")), "ENOENT", "{name}: {found}");
    }
    // What leads to the top leads to the image's own.
    assert!(found.answer("list /etc/root").contains("motd"), "{found}");
    assert_eq!(found.answer(&format!("open {climbing}")), "ENOENT");
    // Nor does a list that names them: the set-up looks up nothing outside of the image.
    for (name, _) in links.iter().filter(|(name, _)| *name != "root") {
        let named = image.scene().set(&format!("files.read=[\"/etc/{name}\"]")).command("/bin/probe ids").run();
        named.says(&format!("/etc/{name}: No such file or directory")).exits(2).stdout("");
    }
    let top = image.scene().set("files.read=[\"/etc/root\"]");
    assert_eq!(probe(top, "read /etc/root/motd").exits(0).answer("read /etc/root/motd"), "of the image");
}

#[test]
fn a_set_user_id_program_of_an_image_gives_nothing() {
    needs!(root);
    let image = Image::new();
    mode(&image.at("usr/bin/probe"), 0o6755);
    let found = probe(image.whole(), "ids , capabilities , mode /bin/probe").exits(0);
    // It is one, and root's.
    assert_eq!(found.answer("mode /bin/probe").split(' ').next(), Some("6755"));
    assert!(found.answer("ids").starts_with("uid 65534 65534 65534 "), "{found}");
    assert_eq!(found.answer("capabilities"), "none");
}

#[test]
fn a_device_node_of_an_image_cannot_be_opened() {
    needs!(root);
    let image = Image::new();
    for place in ["srv/null", "dev/null"] {
        let made = Command::new("mknod").arg(image.at(place)).args(["c", "1", "3"]).status().expect("mknod is there");
        assert!(made.success());
        mode(&image.at(place), 0o666);
    }
    let found = probe(image.whole(), "open /srv/null , write /srv/null x , open /dev/null").exits(0);
    assert_eq!(found.answer("open /srv/null"), "EACCES");
    assert_eq!(found.answer("write /srv/null x"), "EACCES");
    // The sandbox's own.
    assert_eq!(found.answer("open /dev/null"), "ok");
    // Where the policy grants no device, there is none.
    let named = image.scene().set("files.read=[\"/srv/null\"]");
    assert_eq!(probe(named, "open /srv/null").answer("open /srv/null"), "EACCES");
}

#[test]
fn its_sessions_have_as_many_mounts_whatever_the_host_has() {
    needs!(root);
    let image = Image::new();
    let count = |scene: Scene| {
        let found = probe(scene.set("files.proc=\"full\""), "read /proc/self/mountinfo").exits(0);
        found.stdout.lines().filter(|line| line.contains(" - ")).count()
    };
    let beside = image.0.directory("beside").display().to_string();
    let more = "for n in 1 2 3 4 5 6 7 8; do mount -t tmpfs none \"$0\" || exit 9; done; exec \"$@\"";
    let among_more = image.whole().through(&["unshare", "--mount", "/bin/sh", "-c", more, &beside]);
    let mounts = count(image.whole());
    assert_eq!(count(among_more), mounts);
    // The root, three parts, five devices, /tmp and /proc.
    assert_eq!(mounts, 1 + 3 + 5 + 2);
}

/// `spawnbox check` and a start refuse this root with the same words.
fn refused(root: &str, more: &[&str], words: &str) {
    let wanted = more.iter().fold(scene("strict").set(&format!("files.root=\"{root}\"")), |scene, key| scene.set(key));
    wanted.command("/bin/probe ids").run().says(words).exits(2).stdout("");
}

#[test]
fn an_image_that_others_could_change_is_refused() {
    needs!(root);
    let image = Image::new();
    let path = image.path();
    let whose = |uid| std::os::unix::fs::chown(image.at(""), Some(uid), None).expect("root may");
    whose(crate::scene::NOBODY);
    let words = format!("the root image {path} cannot be used: it belongs to user 65534, who could change what runs");
    refused(&path, &[], &format!("{words}; `chown root {path}`"));
    whose(0);
    mode(&image.at(""), 0o775);
    let words = "cannot be used: it is a directory that others than its owner can write";
    refused(&path, &[], &format!("the root image {path} {words}"));
    mode(&image.at(""), 0o755);
    // Of the way to it as well, and where a link leads.
    mode(image.0.whole(), 0o777);
    let link = stage::room();
    symlink(image.at(""), link.path("link")).expect("the stage can be written");
    let above = image.0.whole().display();
    let words = format!("cannot be used: {above} is a directory that others than its owner can write");
    for path in [path, link.path("link").display().to_string()] {
        refused(&path, &[], &format!("the root image {path} {words}"));
    }
    mode(image.0.whole(), 0o755);
    let through = link.path("link").display().to_string();
    probe(scene("strict").set(&format!("files.root=\"{through}\"")), "ids").exits(0);
}

#[test]
fn what_is_no_image_is_refused_in_words() {
    let image = Image::new();
    let (path, file) = (image.path(), image.at("etc/motd").display().to_string());
    refused(&format!("{path}/none"), &[], &format!("the root image {path}/none cannot be used: it does not exist"));
    refused(&file, &[], &format!("the root image {file} cannot be used: it is not a directory; name the directory"));
    let link = stage::room();
    symlink("/", link.path("host")).expect("the stage can be written");
    let host = link.path("host").display().to_string();
    let words = "cannot be used: it is the host's own root directory; name an image, or say files.root = \"host\"";
    refused(&host, &["files.execute=[\"/\"]"], &format!("the root image {host} {words}"));
    refused("srv/image", &[], "relative path in `root`");
    refused("/", &[], "the root directory in `root`");
    refused("/srv/../image", &[], "path with a detour in `root`");
    refused("hots", &[], "unknown word for `root`");
    let low = ["isolation.level=\"landlock-only\""];
    refused(&path, &low, "isolation.level = \"landlock-only\" and a directory as files.root exclude each other");
    let bare = ["isolation.namespaces=[\"pid\",\"user\",\"uts\"]"];
    refused(&path, &bare, "a directory as files.root needs \"mount\" in isolation.namespaces");
    refused(&path, &["files.write=[\"/\"]"], "the root directory in `write`");
    refused(&path, &["files.execute=[\"/opt\"]"], "/opt: No such file or directory");
}

#[test]
fn check_and_explain_know_the_image() {
    let image = Image::new();
    let (path, uid) = (image.path(), fs::metadata(image.at("")).expect("it is there").uid());
    assert_eq!(host::is_root(), uid == 0);
    let user = if host::is_root() { "user = \"nobody\"\n" } else { "" };
    let policy = |program: &str| {
        let text = format!(
            "version = 1\nextends = [\"strict\"]\n[command]\n{user}argv = [\"{program}\"]\n[files]\nroot = \"{path}\"\n"
        );
        image.0.file("p.toml", &text).display().to_string()
    };
    arguments(&["check", &policy("/bin/probe")]).run().exits(0);
    // What is watched has the host's files.
    let learn = arguments(&["learn", "--merge", &policy("/bin/probe")]).run().exits(1);
    learn.says(&format!("those of the policy are of {path}"));
    // The host has it, the image does not.
    let outcome = arguments(&["check", &policy("/bin/cat")]).run().exits(2);
    outcome.says(&format!("error: the image {path} has no /bin/cat"));
    image
        .whole()
        .command("/bin/probe ids")
        .explain(&[])
        .prints("an empty directory, read-only, but for what follows from")
        .prints(&path)
        .prints("/srv");
    let told = image.scene().set("syscalls.on-deny=report-all").command("/bin/probe ids").explain(&[]);
    told.prints("names of paths");
    let host_root = scene("strict").command("/bin/sh").explain(&[]);
    assert!(!host_root.stdout.contains(&path));
}
