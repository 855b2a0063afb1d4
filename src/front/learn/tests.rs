// SPDX-License-Identifier: Apache-2.0
//! From what was seen to what is written, without a command: what is granted, what is not, and what is said of it.

use super::cover::Cover;
use super::draft::{Draft, Ports};
use super::journal::Journal;
use super::needs::Needs;
use super::used;
use crate::observe::{About, Event, Found, Using};
use crate::policy::builtin;
use nix::libc;
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A place with a file `data`, a program `program` and a directory `spool`.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let place = std::env::temp_dir().join(format!("spawnbox-learn-{name}-{}", std::process::id()));
        std::fs::create_dir_all(place.join("spool")).unwrap();
        let place = Place(std::fs::canonicalize(place).unwrap());
        std::fs::write(place.0.join("data"), "").unwrap();
        place
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn file(path: impl AsRef<Path>, using: Using) -> About {
    let path = path.as_ref().to_path_buf();
    About::Path { written: path.clone(), using, found: Found::File { real: path } }
}

fn event(call: libc::c_long, arguments: [u64; 6], about: Vec<About>) -> Event {
    Event { thread: Pid::from_raw(1), program: "x".into(), call: call as u32, arguments, about }
}

fn seen(about: Vec<About>) -> Event {
    event(libc::SYS_openat, [0; 6], about)
}

/// What is written of these, on a kernel whose Landlock has this ABI.
fn draft(events: Vec<Event>, landlock_abi: u32) -> Draft {
    let (mut journal, strict) = (Journal::default(), super::strict().ok().unwrap());
    events.into_iter().for_each(|event| journal.note(event, &strict));
    Draft::of(&journal, &Needs::of(&journal), Cover::of(&builtin("strict").unwrap()), landlock_abi)
}

fn granted(draft: &Draft, list: &str) -> Vec<String> {
    draft.files.get(list).map_or_else(Vec::new, |grants| grants.iter().map(|grant| grant.path.clone()).collect())
}

#[test]
fn what_was_not_there_is_no_need_and_what_came_later_is_optional() {
    let missing = |path: &str| About::Path { written: path.into(), using: Using::Read, found: Found::Missing };
    let refused = About::Path { written: "/etc/shadow".into(), using: Using::Read, found: Found::Refused };
    let draft = draft(
        vec![
            seen(vec![missing("/etc/x"), missing("/etc/hosts"), refused]),
            seen(vec![file("/etc/hosts", Using::Read)]),
        ],
        10,
    );
    let read: Vec<_> = draft.files["read"].iter().map(|grant| (grant.path.as_str(), grant.optional)).collect();
    assert_eq!(read, [("/etc/hosts", true)]);
}

#[test]
fn a_secret_is_granted_with_a_warning() {
    let draft = draft(vec![seen(vec![file("/srv/x/tls.key", Using::Read), file("/srv/x/crt", Using::Read)])], 10);
    let warned: Vec<_> =
        draft.files["read"].iter().map(|grant| (grant.path.as_str(), grant.warning.is_some())).collect();
    assert_eq!(warned, [("/srv/x/crt", false), ("/srv/x/tls.key", true)]);
}

#[test]
fn what_no_policy_can_say_is_a_note() {
    let odd = Path::new(OsStr::from_bytes(b"/srv/\xff"));
    let both = [file("/srv/both", Using::Write), file("/srv/both", Using::Execute)];
    let process = About::Path {
        written: "/proc/meminfo".into(),
        using: Using::Read,
        found: Found::Proc { process: false, real: None },
    };
    let name = About::Abstract { bind: false, name: b"x\n".to_vec() };
    let about =
        vec![file(odd, Using::Read), process, name, About::Foreign, About::Unread, file("/dev/tty", Using::Read)];
    let draft = draft(vec![seen(about), seen(both.to_vec())], 10);
    for words in [
        "is not UTF-8",
        "/srv/both is written to and executed",
        "x asks /proc/meminfo; files.proc = \"full\" would show it",
        "x connects to the abstract socket @x\\n",
        "32 bits",
        "what it was about could not be read",
        "x uses /dev/tty, a device that no policy shows",
    ] {
        assert!(draft.notes.iter().any(|note| note.contains(words)), "{words}: {:?}", draft.notes);
    }
    assert_eq!(granted(&draft, "read"), Vec::<String>::new());
}

#[test]
fn where_names_are_made_the_directory_is_granted_but_never_one_of_all() {
    // Outside the scratch directory, which needs no grant.
    let made = |path: &str| About::Path { written: path.into(), using: Using::Change, found: Found::Missing };
    let draft =
        draft(vec![seen(vec![made("/var/x"), made("/usr/share/doc/x"), made("/tmp/x"), made("/dev/shm/x")])], 10);
    assert_eq!(granted(&draft, "write"), ["/usr/share/doc"]);
    assert!(
        draft.notes.iter().any(|note| note == "x makes names in /var, which is never granted whole"),
        "{:?}",
        draft.notes
    );
    assert_eq!(draft.scratch.keys().collect::<Vec<_>>(), ["/dev/shm"]);
}

#[test]
fn what_its_own_scratch_directory_hides_is_said() {
    let place = Place::new("hidden");
    let data = place.0.join("data");
    let draft = draft(vec![seen(vec![file(&data, Using::Read)])], 10);
    assert_eq!(granted(&draft, "read"), Vec::<String>::new());
    let words = format!("{} is hidden by a session's own /tmp", data.display());
    assert!(draft.notes.iter().any(|note| note.starts_with(&words)), "{:?}", draft.notes);
}

#[test]
fn ports_are_listed_where_the_kernel_holds_them() {
    let internet = |stream, bind, address: &str| About::Internet { stream, bind, address: address.parse().unwrap() };
    let peer = internet(true, false, "127.0.0.1:25");
    let forwarded = draft(vec![seen(vec![peer.clone()])], 10);
    assert_eq!(forwarded.forward.keys().map(ToString::to_string).collect::<Vec<_>>(), ["127.0.0.1:25"]);
    assert!(forwarded.host_network.is_none() && forwarded.ports.is_empty());
    let time = internet(false, false, "192.0.2.1:123");
    let both = draft(vec![seen(vec![peer.clone(), time.clone()])], 10);
    assert_eq!(both.forward.keys().map(ToString::to_string).collect::<Vec<_>>(), ["udp:192.0.2.1:123", "127.0.0.1:25"]);
    assert!(both.host_network.is_none() && both.ports.is_empty());
    // Nobody in particular is forwarded to.
    let group = internet(false, false, "224.0.1.1:123");
    let events = || vec![seen(vec![peer.clone(), group.clone()])];
    let held = draft(events(), 10);
    assert!(held.host_network.is_some() && held.forward.is_empty());
    assert_eq!(held.ports["connect"].0, Ports::List([25].into()));
    assert_eq!(held.ports["udp"].0, Ports::List([123].into()));
    let old = draft(events(), 3);
    // What is not used is said, too: without it there would be no plan.
    assert!(["connect", "bind", "udp"].iter().all(|key| old.ports[key].0 == Ports::Any));
    let middle = draft(events(), 4);
    assert_eq!(middle.ports.keys().copied().collect::<Vec<_>>(), ["connect", "udp"]);
    assert_eq!((&middle.ports["connect"].0, &middle.ports["udp"].0), (&Ports::List([25].into()), &Ports::Any));
    let resolver = draft(vec![seen(vec![internet(false, false, "127.0.0.53:53")])], 10);
    assert_eq!((resolver.extends, resolver.ports.len()), (vec!["dns-client"], 0));
}

#[test]
fn a_unix_socket_that_finds_nobody_needs_no_word() {
    let socket = || event(libc::SYS_socket, [1, 1, 0, 0, 0, 0], Vec::new());
    let connect = |found| {
        let about = About::Path { written: "/srv/s".into(), using: Using::Connect, found };
        event(libc::SYS_connect, [3, 1, 110, 0, 0, 0], vec![about])
    };
    let idle = draft(vec![socket(), connect(Found::Missing)], 10);
    assert!(idle.allow.is_empty() && idle.idle.contains("call=socket arguments=0x1,0x1,0x0 "), "{idle:?}");
    let used = draft(vec![socket(), connect(Found::File { real: "/srv/s".into() })], 10);
    assert_eq!(used.allow.keys().collect::<Vec<_>>(), [&"unix-client"]);
    assert_eq!(granted(&used, "write"), ["/srv/s"]);
}

#[test]
fn code_that_is_written_needs_the_word_for_it_and_code_that_is_mapped_does_not() {
    let map = |protection: i32| event(libc::SYS_mmap, [0, 4096, protection as u64, 0, 0, 0], Vec::new());
    assert!(draft(vec![map(libc::PROT_READ | libc::PROT_EXEC)], 10).allow.is_empty());
    let written = draft(vec![map(libc::PROT_WRITE | libc::PROT_EXEC)], 10);
    assert_eq!(written.allow.keys().collect::<Vec<_>>(), [&"jit"]);
}

#[test]
fn limits_are_proposed_that_a_policy_can_have_and_none_is_zero() {
    assert_eq!(
        used(1300, 12),
        "# It took 1.300 s of processor time and 12 MiB in its largest process.\n\
         # With four times as much: limits = { memory = \"48M\", processor-time = \"6s\" }\n"
    );
    let proposed = used(0, 0);
    let (_, limits) = proposed.split_once("times as much: ").unwrap();
    let text = format!("version = 1\nextends = [\"strict\"]\n{limits}");
    assert!(crate::policy::laws::policy(&text).is_ok(), "{text}");
}
