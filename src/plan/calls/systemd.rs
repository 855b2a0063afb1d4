// SPDX-License-Identifier: Apache-2.0
//! The sets that systemd.exec(5) publishes for `SystemCallFilter=`, so that a unit's line can be carried over.
//! As `systemd-analyze syscall-filter` of systemd 252 prints them, less the calls that x86_64 does not have.
//! Our rules hold here too: no set grants a call of the never list (it is refused, but does not kill, where a set
//! names it), and arguments are checked as in any group.

use super::groups::{Group, Reach, group as set, ruled};
use super::rules;

/// Sets that are systemd's. Those whose calls are all on the never list can be denied, not allowed.
pub(super) const SETS: &[Group] = &[
    set(
        "@default",
        "arch_prctl brk clock_getres clock_gettime clock_nanosleep execve exit exit_group futex futex_waitv
         get_robust_list get_thread_area getegid geteuid getgid getgroups getpgid getpgrp getpid getppid getrandom
         getresgid getresuid getrlimit getsid gettid gettimeofday getuid membarrier mmap mprotect munmap nanosleep
         pause prlimit64 restart_syscall rseq rt_sigreturn sched_getaffinity sched_yield set_robust_list
         set_thread_area set_tid_address time uretprobe",
    ),
    set(
        "@aio",
        "io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit
         io_uring_enter io_uring_register io_uring_setup",
    ),
    set(
        "@basic-io",
        "close close_range dup dup2 dup3 lseek pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readv
         write writev",
    ),
    set("@chown", "chown fchown fchownat lchown"),
    set("@clock", "adjtimex clock_adjtime clock_settime settimeofday"),
    set("@cpu-emulation", "modify_ldt"),
    set("@debug", "lookup_dcookie perf_event_open pidfd_getfd ptrace"),
    set(
        "@file-system",
        "access chdir chmod close creat faccessat faccessat2 fallocate fchdir fchmod fchmodat fchmodat2 fcntl
         fgetxattr flistxattr fremovexattr fsetxattr fstat fstatfs ftruncate futimesat getcwd getdents getdents64
         getxattr inotify_add_watch inotify_init inotify_init1 inotify_rm_watch lgetxattr link linkat listxattr
         llistxattr lremovexattr lsetxattr lstat mkdir mkdirat mknod mknodat newfstatat open openat openat2
         readlink readlinkat removexattr rename renameat renameat2 rmdir setxattr stat statfs statx symlink
         symlinkat truncate unlink unlinkat utime utimensat utimes",
    ),
    set(
        "@io-event",
        "epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old
         eventfd eventfd2 poll ppoll pselect6 select",
    ),
    set(
        "@ipc",
        "memfd_create mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink msgctl msgget msgrcv
         msgsnd pipe pipe2 process_madvise process_vm_readv process_vm_writev semctl semget semop semtimedop
         shmat shmctl shmdt shmget",
    ),
    set("@keyring", "add_key keyctl request_key"),
    set("@memlock", "mlock mlock2 mlockall munlock munlockall"),
    set("@module", "delete_module finit_module init_module"),
    set("@mount", "chroot fsconfig fsmount fsopen fspick mount mount_setattr move_mount open_tree pivot_root umount2"),
    ruled(
        "@network-io",
        "accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg recvmsg sendmmsg
         sendmsg sendto setsockopt shutdown socket socketpair",
        rules::NETWORK_IO,
    ),
    set("@pkey", "pkey_alloc pkey_free pkey_mprotect"),
    set(
        "@process",
        "capget clone clone3 execveat fork getrusage kill pidfd_open pidfd_send_signal prctl rt_sigqueueinfo
         rt_tgsigqueueinfo setns tgkill times tkill unshare vfork wait4 waitid",
    ),
    set("@raw-io", "ioperm iopl"),
    set("@reboot", "kexec_file_load kexec_load reboot"),
    // setrlimit(2) is prlimit64 in libc, so this set must hold both to mean what it says.
    ruled(
        "@resources",
        "ioprio_set mbind migrate_pages move_pages prlimit64 sched_setaffinity sched_setattr sched_setparam
         sched_setscheduler set_mempolicy set_mempolicy_home_node setpriority setrlimit",
        &[("prlimit64", rules::ANY)],
    ),
    set("@setuid", "setgid setgroups setregid setresgid setresuid setreuid setuid"),
    set(
        "@signal",
        "rt_sigaction rt_sigpending rt_sigprocmask rt_sigsuspend rt_sigtimedwait sigaltstack signalfd signalfd4",
    ),
    set("@swap", "swapoff swapon"),
    set("@sync", "fdatasync fsync msync sync sync_file_range syncfs"),
    set(
        "@timer",
        "alarm getitimer setitimer timer_create timer_delete timer_getoverrun timer_gettime timer_settime
         timerfd_create timerfd_gettime timerfd_settime times",
    ),
    Group {
        name: "@system-service",
        groups: "@aio @basic-io @chown @default @file-system @io-event @ipc @keyring @memlock @network-io @process
                 @resources @setuid @signal @sync @timer",
        calls: "capget capset copy_file_range fadvise64 flock get_mempolicy getcpu getpriority ioctl ioprio_get kcmp
                madvise mremap name_to_handle_at personality readahead remap_file_pages sched_get_priority_max
                sched_get_priority_min sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval
                sched_yield sendfile setfsgid setfsuid setpgid setsid splice sysinfo tee umask uname userfaultfd
                vmsplice",
        rules: &[],
        reach: Reach::Ordinary,
    },
];
