// SPDX-License-Identifier: Apache-2.0
//! Taking more than a share: processes, memory, disk, descriptors, signals, the processor, and the limits themselves.

use crate::attempt::{Attempt, Verdict, filling, found, together};
use crate::file::scratch;
use crate::kernel::{Child, at, call, into};
use nix::errno::Errno;
use nix::libc;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsRawFd;

const MIB: usize = 1 << 20;

pub(crate) const ALL: &[Attempt] = &[
    filling("limit: 600 processes", |_| {
        let made: Vec<Child> = (0..600).map_while(|_| Child::new(|| ()).ok()).collect();
        found(made.len() == 600, format!("{} were made", made.len()))
    }),
    filling("limit: 600 threads", |_| {
        let thread = || std::thread::Builder::new().stack_size(65536).spawn(std::thread::park);
        let made = (0..600).map_while(|_| thread().ok()).count();
        found(made == 600, format!("{made} were made"))
    }),
    filling("limit: 1 GiB in one process", |_| {
        let size = 1024 * MIB;
        let asked =
            [0, size as u64, 3, (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE) as u64, u64::MAX, 0];
        call(libc::SYS_mmap, &asked).into()
    }),
    filling("limit: 1 GiB in sixteen processes", |_| many_with_memory()),
    filling("limit: 192 MiB on disk", |_| disk()),
    filling("limit: 20000 files", |_| files()),
    filling("limit: 8 GiB sparse file", |_| {
        let path = scratch("sparse");
        let result = File::create(&path).and_then(|file| file.set_len(8 << 30));
        let _ = fs::remove_file(&path);
        result.into()
    }),
    filling("limit: 5000 descriptors", |_| {
        raise(Resource::RLIMIT_NOFILE);
        let null = File::open("/dev/null").expect("every sandbox has it");
        let made: Vec<File> = (0..5000).map_while(|_| null.try_clone().ok()).collect();
        found(made.len() == 5000, format!("{} were made", made.len()))
    }),
    filling("limit: pending signals", |_| {
        let signal = libc::SIGRTMIN() as u64;
        let mask = 1_u64 << (signal - 1);
        let blocked = call(libc::SYS_rt_sigprocmask, &[libc::SIG_BLOCK as u64, at(&mask), 0, 8]);
        let mut about = [0_u64; 16];
        about[1] = -1_i32 as u32 as u64;
        let own = u64::from(std::process::id());
        let send = || call(libc::SYS_rt_sigqueueinfo, &[own, signal, at(&about)]);
        let sent = (0..5000).take_while(|_| blocked.is_ok() && send().is_ok()).count();
        found(sent == 5000, format!("{sent} wait"))
    }),
    filling("limit: locked memory", |_| {
        let room = vec![0_u8; MIB];
        call(libc::SYS_mlock, &[room.as_ptr() as u64, MIB as u64]).into()
    }),
    filling("limit: processor time", |world| {
        raise(Resource::RLIMIT_CPU);
        // What is counted ends this, however seldom it has a processor.
        nix::unistd::alarm::cancel();
        // Those who judge this limit a process to a second less.
        let seconds = 2 + i64::from(world.patience());
        let spent = profiled();
        while spent() < seconds {
            (0..100_000).for_each(|_| std::hint::spin_loop());
        }
        found(true, format!("{seconds} s of it"))
    }),
    together("limit: raise its own", |_| {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("limits can be read");
        setrlimit(Resource::RLIMIT_NOFILE, hard + 1, hard + 1).into()
    }),
    together("limit: change its own", |_| {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("limits can be read");
        setrlimit(Resource::RLIMIT_NOFILE, soft, hard).into()
    }),
    together("limit: the stack of a process", |_| {
        let (_, hard) = getrlimit(Resource::RLIMIT_STACK).expect("limits can be read");
        found(hard == libc::RLIM_INFINITY, format!("{hard} bytes"))
    }),
    together("limit: message queues", |_| {
        let (_, hard) = getrlimit(Resource::RLIMIT_MSGQUEUE).expect("limits can be read");
        found(hard > 0, format!("{hard} bytes"))
    }),
    together("limit: pipes as large as memory", |_| {
        let (read, _write) = std::io::pipe().expect("a pipe");
        let grown = call(libc::SYS_fcntl, &[read.as_raw_fd() as u64, libc::F_SETPIPE_SZ as u64, 2 << 20]);
        grown.into()
    }),
    together("limit: a better priority", |_| call(libc::SYS_setpriority, &[0, 0, -5_i64 as u64]).into()),
    together("limit: real-time scheduling", |_| call(libc::SYS_sched_setscheduler, &[0, 1, at(&[1_i32])]).into()),
    together("limit: background scheduling of others", |_| {
        call(libc::SYS_sched_setscheduler, &[0, 3, at(&[0_i32])]).into()
    }),
    together("limit: the disk first", |_| call(libc::SYS_ioprio_set, &[1, 0, 1 << 13]).into()),
];

fn raise(resource: Resource) {
    let (_, hard) = getrlimit(resource).expect("limits can be read");
    // Where the filter does not let it, the soft limit stays.
    let _ = setrlimit(resource, hard, hard);
}

/// Counts whole seconds of the processor from here on as RLIMIT_CPU does, which is by ticks: the remainder of a
/// profiling timer that is far away, see check_process_timers and get_cpu_itimer in Linux's kernel/time. getrusage(2)
/// counts otherwise, and more than the limit where an emulated processor is kept waiting.
fn profiled() -> impl Fn() -> i64 {
    const FAR: i64 = 1_000_000;
    let none = libc::timeval { tv_sec: 0, tv_usec: 0 };
    let far = libc::itimerval { it_interval: none, it_value: libc::timeval { tv_sec: FAR, tv_usec: 0 } };
    call(libc::SYS_setitimer, &[libc::ITIMER_PROF as u64, at(&far), 0]).expect("every sandbox has timers");
    move || {
        let mut left = far;
        let asked = call(libc::SYS_getitimer, &[libc::ITIMER_PROF as u64, into(&mut left)]);
        asked.expect("every sandbox has timers");
        FAR - 1 - left.it_value.tv_sec
    }
}

fn many_with_memory() -> Verdict {
    let (read, write) = std::io::pipe().expect("a pipe");
    let take = || {
        let mut taken = vec![0_u8; 64 * MIB];
        taken.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
        std::hint::black_box(&taken);
        let _ = nix::unistd::write(&write, b"x");
        std::mem::forget(taken);
    };
    let made: Vec<Child> = (0..16).map_while(|_| Child::new(take).ok()).collect();
    drop(write);
    let mut have = 0;
    let mut byte = [0];
    while have < made.len() && nix::unistd::read(&read, &mut byte) == Ok(1) {
        have += 1;
    }
    found(have == 16, format!("{have} have 64 MiB each"))
}

/// In pieces, so that no limit on one file answers for the file system's.
fn disk() -> Verdict {
    let block = vec![b'x'; 8 * MIB];
    let path = |index: usize| scratch(&format!("disk-{index}"));
    let write = |index: &usize| File::create(path(*index)).and_then(|mut file| file.write_all(&block)).is_ok();
    let written = (0..24).take_while(write).count();
    (0..24).for_each(|index| drop(fs::remove_file(path(index))));
    found(written == 24, format!("{} MiB", written * 8))
}

fn files() -> Verdict {
    let directory = scratch("files");
    let made = fs::create_dir(&directory).map(|()| {
        let path = |index: usize| format!("{directory}/{index}");
        (0..20000).take_while(|index| File::create(path(*index)).is_ok()).count()
    });
    let _ = fs::remove_dir_all(&directory);
    match made {
        Ok(count) => found(count == 20000, format!("{count} were made")),
        Err(error) => Err::<(), Errno>(Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))).into(),
    }
}
