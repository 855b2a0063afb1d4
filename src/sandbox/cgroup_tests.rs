// SPDX-License-Identifier: Apache-2.0
//! Against a real cgroup2 hierarchy that this user may write, where the host has one.

use super::*;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command};

/// A place of this test's own, removed at the end.
struct Scene(std::path::PathBuf);

impl Scene {
    /// `None`, said aloud, where no cgroup can be made; with `SPAWNBOX_TESTS=must` that is a failure.
    fn new(name: &str) -> Option<Scene> {
        let path = root().map(|root| root.join(format!("test-{}-{name}", std::process::id())));
        match path.map(|path| std::fs::create_dir(&path).map(|()| path)) {
            Some(Ok(path)) => return Some(Scene(path)),
            Some(Err(error)) => eprintln!("skipped: cannot make a cgroup: {error}"),
            None => eprintln!("skipped: no cgroup2 is mounted"),
        }
        let must = std::env::var_os("SPAWNBOX_TESTS").is_some_and(|value| value == "must");
        assert!(!must, "skipped, and SPAWNBOX_TESTS=must");
        None
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let removed = std::fs::remove_dir(&self.0);
        assert!(removed.is_ok() || std::thread::panicking(), "{removed:?}");
    }
}

/// The supervisor's own cgroup in the cgroup2 hierarchy.
fn root() -> Option<std::path::PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    let mount = mounts.lines().find(|line| line.contains(" cgroup2 "))?.split(' ').nth(1)?.to_string();
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    let own = own.lines().find_map(|line| line.strip_prefix("0::"))?.to_string();
    Some(std::path::PathBuf::from(mount + &own))
}

/// A process in `cgroup` that sleeps.
fn sleeper(cgroup: &Cgroup) -> Child {
    sleeper_in(&cgroup.path())
}

fn sleeper_in(directory: &Path) -> Child {
    let child = Command::new("sleep").arg("1000").spawn().unwrap();
    std::fs::write(directory.join("cgroup.procs"), child.id().to_string()).unwrap();
    child
}

#[test]
fn a_session_is_killed_found_empty_and_removed() {
    let Some(scene) = Scene::new("session") else { return };
    let slice = Slice::make(&scene.0).unwrap();
    let (cgroup, _) = slice.session(7, &CgroupLimits::default()).unwrap();
    let mut child = sleeper(&cgroup);
    assert!(cgroup.holds(Pid::from_raw(child.id() as i32)).unwrap());
    assert_eq!(cgroup.remove(), Err(Errno::EBUSY));
    std::fs::create_dir_all(cgroup.path().join("nested/deeper")).unwrap();
    cgroup.kill().unwrap();
    child.wait().unwrap();
    assert!(cgroup.is_empty().unwrap());
    assert!(cgroup.counted().processor.is_some());
    assert_eq!(cgroup.remove(), Ok(()));
    slice.remove().unwrap();
}

/// Only who may write in the place can do that. Names are not secret, so none that is there is taken, whatever is in
/// it.
#[test]
fn the_place_is_nobody_elses_to_make_control_groups_in() {
    let Some(scene) = Scene::new("place") else { return };
    let place = scene.0.join("place");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // From here on this thread has a umask of its own.
            crate::sys::mount::unshare(nix::libc::CLONE_FS).unwrap();
            crate::sys::process::set_umask(0);
            drop(Slice::make(&place).unwrap());
        });
    });
    let mode = std::fs::metadata(&place).unwrap().permissions().mode();
    std::fs::remove_dir(&place).unwrap();
    assert_eq!(mode & 0o777, 0o755);
}

/// Whether a process is in it, itself.
fn holds(place: &Path, process: &Child) -> bool {
    let processes = std::fs::read_to_string(place.join("cgroup.procs")).unwrap();
    processes.lines().any(|line| line == process.id().to_string())
}

#[test]
fn who_is_alone_in_a_delegated_directory_leaves_it_for_a_leaf() {
    let Some(scene) = Scene::new("leaf") else { return };
    let (leaf, beside) = (scene.0.join(crate::host::SUPERVISOR), scene.0.join("beside"));
    std::fs::create_dir(&beside).unwrap();
    let [mut supervisor, mut other] = [&scene.0, &beside].map(|place| sleeper_in(place));
    let leave = || place::move_to_leaf(&scene.0, supervisor.id()).unwrap();
    leave();
    assert!(holds(&leaf, &supervisor), "it did not leave");
    assert_eq!(std::fs::read_to_string(scene.0.join("cgroup.procs")).unwrap(), "");
    // A program that takes its place is in the leaf already; one that systemd starts anew finds that made.
    leave();
    assert!(holds(&leaf, &supervisor));
    std::fs::write(scene.0.join("cgroup.procs"), supervisor.id().to_string()).unwrap();
    leave();
    assert!(holds(&leaf, &supervisor), "it did not go into one that is there");
    assert!(holds(&beside, &other), "another was moved");
    [&mut supervisor, &mut other].into_iter().for_each(|process| {
        process.kill().unwrap();
        process.wait().unwrap();
    });
    [leaf, beside].iter().for_each(|path| std::fs::remove_dir(path).unwrap());
}

#[test]
fn who_is_not_alone_in_a_directory_or_not_in_it_stays_where_he_is() {
    let Some(scene) = Scene::new("stays") else { return };
    let there = || std::fs::read_to_string("/proc/self/cgroup").unwrap();
    let before = there();
    leave(&scene.0).unwrap();
    leave(&scene.0.join("absent")).unwrap();
    assert_eq!(there(), before);
    let mut both = [(); 2].map(|()| sleeper_in(&scene.0));
    place::move_to_leaf(&scene.0, both[0].id()).unwrap();
    assert!(both.iter().all(|process| holds(&scene.0, process)), "one has left the other");
    both.iter_mut().for_each(|process| {
        process.kill().unwrap();
        process.wait().unwrap();
    });
    // No leaf was made: else the place could not be removed.
}

#[test]
fn what_stands_under_a_name_of_ours_already_is_not_entered() {
    let Some(scene) = Scene::new("standing") else { return };
    let standing = (0..3).map(|number| scene.0.join(format!("{PREFIX}{}-{number}", std::process::id())));
    let standing: Vec<_> = standing.inspect(|path| std::fs::create_dir(path).unwrap()).collect();
    let slice = Slice::make(&scene.0).unwrap();
    assert!(!standing.contains(&slice.directory.directory.path));
    std::fs::create_dir(slice.directory.directory.path.join("7")).unwrap();
    let error = slice.session(7, &CgroupLimits::default()).unwrap_err().to_string();
    assert!(error.ends_with("/7: File exists"), "{error}");
    let (next, _) = slice.session(8, &CgroupLimits::default()).unwrap();
    assert_eq!(next.remove(), Ok(()));
    std::fs::remove_dir(slice.directory.directory.path.join("7")).unwrap();
    slice.remove().unwrap();
    standing.iter().for_each(|path| std::fs::remove_dir(path).unwrap());
}

#[test]
fn a_sweep_spares_the_living_and_removes_what_the_dead_left() {
    let Some(scene) = Scene::new("sweep") else { return };
    let living = Slice::make(&scene.0).unwrap();
    let dead = Slice::make(&scene.0).unwrap();
    let (left, _) = dead.session(1, &CgroupLimits::default()).unwrap();
    let mut child = sleeper(&left);
    let dead_path = dead.directory.directory.path.clone();
    drop((left, dead));
    // What does not carry our name is not ours.
    std::fs::create_dir(scene.0.join("foreign")).unwrap();
    let reaper = std::thread::spawn(move || child.wait().unwrap());
    // Another test's child shares the dead one's lock between its fork and its exec.
    let deadline = std::time::Instant::now() + Duration::from_secs(5);
    while sweep(&scene.0).unwrap().removed == 0 && std::time::Instant::now() < deadline {}
    reaper.join().unwrap();
    assert!(!dead_path.exists());
    assert!(living.directory.directory.path.exists());
    std::fs::remove_dir(scene.0.join("foreign")).unwrap();
    living.remove().unwrap();
}

#[test]
fn a_directory_that_cannot_be_swept_keeps_no_other() {
    let Some(scene) = Scene::new("stuck") else { return };
    let made = |name: &str| {
        let path = scene.0.join(name);
        std::fs::create_dir(&path).unwrap();
        path
    };
    // Deeper than a sweep goes: cgroups have no order, so one on either side.
    let (stuck, below) = (made("spawnbox-5-0"), "a/b/c/d/e/f/g/h/i/j");
    std::fs::create_dir_all(stuck.join(below)).unwrap();
    let others = ["spawnbox-4-0", "spawnbox-6-0"].map(made);
    let swept = sweep(&scene.0).unwrap();
    assert_eq!((swept.removed, swept.kept.len()), (2, 1), "{swept:?}");
    assert!(swept.kept[0].to_string().contains("spawnbox-5-0"), "{swept:?}");
    assert!(others.iter().all(|path| !path.exists()));
    for path in Path::new(below).ancestors() {
        std::fs::remove_dir(stuck.join(path)).unwrap();
    }
}

#[test]
fn a_name_that_somebody_has_made_before_is_not_used() {
    let Some(scene) = Scene::new("taken") else { return };
    let name = |number: u32| scene.0.join(format!("spawnbox-{}-{number}", std::process::id()));
    let (taken, theirs) = (name(0), 65534);
    std::fs::create_dir(&taken).unwrap();
    // A hostile owner, where we may make one.
    let _ = std::os::unix::fs::chown(&taken, Some(theirs), Some(theirs));
    let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
    std::fs::write(taken.join("cgroup.procs"), child.id().to_string()).unwrap();
    let slice = Slice::make(&scene.0).unwrap();
    assert_eq!(slice.directory.directory.path, name(1));
    assert_eq!(child.try_wait().unwrap(), None, "a process that is not ours was ended");
    // By its name it is a dead supervisor's, so the next start has it ended and removed.
    let reaper = std::thread::spawn(move || child.wait().unwrap());
    assert_eq!(sweep(&scene.0).unwrap(), Swept { removed: 1, kept: Vec::new() });
    reaper.join().unwrap();
    slice.remove().unwrap();
}

#[test]
fn a_directory_of_ours_is_nobody_elses_to_lock() {
    use std::os::unix::fs::PermissionsExt;
    let Some(scene) = Scene::new("private") else { return };
    let slice = Slice::make(&scene.0).unwrap();
    assert_eq!(slice.directory.directory.path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    slice.remove().unwrap();
}

#[test]
fn a_limit_without_its_controller_names_the_file() {
    let Some(scene) = Scene::new("limit") else { return };
    let slice = Slice::make(&scene.0).unwrap();
    let limits = CgroupLimits { memory: Some(1 << 20), ..CgroupLimits::default() };
    let error = slice.session(1, &limits).unwrap_err().to_string();
    let path = slice.directory.directory.path.join("1/memory.max");
    assert_eq!(
        error,
        format!("cannot write 1048576 to {}: {}", path.display(), crate::host::errno_text(Errno::ENOENT))
    );
    slice.remove().unwrap();
}

#[test]
fn a_service_has_one_directory_however_many_supervisors_it_has() {
    let Some(scene) = Scene::new("service") else { return };
    let place = Slice::make(&scene.0).unwrap();
    let limits = CgroupLimits::default();
    let name = format!("{}policy-5f", service::PREFIX);
    let (first, second) = (place.of_service(&name, &limits).unwrap(), place.of_service(&name, &limits).unwrap());
    let path = scene.0.join(&name);
    assert_eq!([first.directory.directory.path.parent(), second.directory.directory.path.parent()], [Some(&*path); 2]);
    first.remove().unwrap();
    assert!(path.exists());
    // What a session still holds is there until the session is over.
    let (cgroup, _) = second.session(1, &limits).unwrap();
    let made = second.directory.directory.path.clone();
    drop(second);
    assert!(made.exists());
    cgroup.remove().unwrap();
    drop(cgroup);
    std::fs::remove_dir(made).unwrap();
    std::fs::remove_dir(path).unwrap();
    place.remove().unwrap();
}

#[test]
fn a_sweep_looks_into_the_directories_of_services() {
    let Some(scene) = Scene::new("services") else { return };
    let place = Slice::make(&scene.0).unwrap();
    let limits = CgroupLimits::default();
    let [living, dead] = ["living", "dead"].map(|name| format!("{}{name}", service::PREFIX));
    let kept = place.of_service(&living, &limits).unwrap();
    let left = place.of_service(&dead, &limits).unwrap();
    let (session, _) = left.session(1, &limits).unwrap();
    // As after SIGKILL: the lock is gone, the directories are not.
    drop((left, session));
    std::fs::create_dir(scene.0.join("service-of-others")).unwrap();
    // Another test's child shares the lock between its fork and its exec.
    let deadline = std::time::Instant::now() + Duration::from_secs(5);
    while scene.0.join(&dead).exists() && std::time::Instant::now() < deadline {
        sweep(&scene.0).unwrap();
    }
    assert!(!scene.0.join(&dead).exists());
    assert!(kept.directory.directory.path.exists());
    std::fs::remove_dir(scene.0.join("service-of-others")).unwrap();
    kept.remove().unwrap();
    place.remove().unwrap();
}

/// A process that has worked there for so long, and is gone.
fn work(cgroup: &Cgroup, millis: u32) {
    let enter = format!("echo $$ > {}/cgroup.procs", cgroup.path().display());
    let work = format!("{enter} && exec timeout 0.{millis:03} sh -c 'while :; do :; done'");
    let done = Command::new("sh").args(["-c", &work]).status().unwrap();
    assert_eq!(done.code(), Some(124));
}

#[test]
fn one_that_was_kept_is_had_again_and_tells_nothing_of_who_had_it() {
    let Some(scene) = Scene::new("kept") else { return };
    let slice = Slice::make(&scene.0).unwrap();
    assert!(slice.kept().is_none());
    let (first, _) = slice.session(1, &CgroupLimits::default()).unwrap();
    work(&first, 300);
    assert!(!first.keep(), "nobody has looked whether it is empty");
    assert!(first.is_empty().unwrap());
    let counted = first.counted().processor.unwrap();
    assert!(first.keep());
    let (second, _) = slice.kept().unwrap();
    assert_eq!(second.path(), first.path());
    assert!(slice.kept().is_none(), "two have it");
    assert!(second.is_empty().unwrap());
    // Less than what was used by then, of which the kernel may have counted some late.
    assert!(second.counted().processor.unwrap() * 2 < counted);
    assert!(second.keep());
    let path = second.path();
    slice.remove().unwrap();
    assert!(!path.exists());
}

#[test]
fn one_that_was_killed_or_frozen_is_nobodys_again() {
    let Some(scene) = Scene::new("killed") else { return };
    let slice = Slice::make(&scene.0).unwrap();
    let used = |session: u64, act: &dyn Fn(&Cgroup)| {
        let (cgroup, _) = slice.session(session, &CgroupLimits::default()).unwrap();
        act(&cgroup);
        assert!(cgroup.is_empty().unwrap());
        assert!(cgroup.counted().processor.is_some());
        let kept = cgroup.keep();
        assert!(kept || cgroup.remove().is_ok());
        kept
    };
    assert!(!used(1, &|cgroup| cgroup.kill().unwrap()));
    assert!(!used(2, &|cgroup| std::fs::write(cgroup.path().join("cgroup.freeze"), "1").unwrap()));
    assert!(used(3, &|_| ()));
    // Somebody else has killed a session: maybe with all that are beside it.
    let (lost, _) = slice.session(4, &CgroupLimits::default()).unwrap();
    lost.distrust();
    assert!(slice.kept().is_none());
    assert_eq!(lost.remove(), Ok(()));
    slice.remove().unwrap();
}

#[test]
fn no_more_are_kept_than_are_needed() {
    let Some(scene) = Scene::new("many") else { return };
    let slice = Slice::make(&scene.0).unwrap();
    let all: Vec<_> = (1..=40).map(|session| slice.session(session, &CgroupLimits::default()).unwrap().0).collect();
    let kept = all.iter().filter(|cgroup| {
        let fit = cgroup.is_empty().unwrap() && cgroup.counted().processor.is_some();
        fit && cgroup.keep() || cgroup.remove() != Ok(())
    });
    assert_eq!(kept.count(), 32);
    let there = || slice.directory.directory.children().unwrap().len();
    assert_eq!(there(), 32);
    // One at a time is needed now.
    for _ in 0..1100 {
        let (cgroup, _) = slice.kept().unwrap();
        assert!(cgroup.is_empty().unwrap() && cgroup.counted().processor.is_some() && cgroup.keep());
    }
    assert_eq!(there(), 1);
    slice.remove().unwrap();
}
