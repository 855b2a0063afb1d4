// SPDX-License-Identifier: Apache-2.0
//! What commands share with the host and with each other: where a sandbox must differ, and where it must not.

use super::at::install;
use super::row::{Row, row};

pub(super) fn rows() -> Vec<Row> {
    [shared(), apart()].into_iter().flatten().collect()
}

fn shared() -> Vec<Row> {
    vec![
        row("state_is_shared", "What one command leaves behind in a directory of its user the next finds.")
            .script("cat @spool/@name 2>/dev/null; echo x >>@spool/@name")
            .prints("")
            .prints("x\n")
            .prints("x\nx\n"),
        row("sysv_memory", "System V shared memory is the host's: what one command makes another attaches.")
            .script("exec perl -e '\
                     my $key = (stat q(@script))[1];\
                     my $id = shmget($key, 64, 0600);\
                     if (defined $id) { shmread($id, $_, 0, 5); print; shmctl($id, 0, 0) }\
                     else { shmwrite(shmget($key, 64, 01600), q(hello), 0, 5); print q(made) }'")
            .prints("made")
            .prints("hello"),
        row("flock_is_shared", "Locks hold between commands that run at the same time.")
            .script("exec perl -e 'use Fcntl; $| = 1; open F, q(>>@spool/@name) or die; print flock(F, LOCK_EX | LOCK_NB) ? qq(mine\\n) : qq(taken\\n); <STDIN>'".replace("use Fcntl", "use Fcntl q(:flock)").as_str())
            .sees(|at| {
                let mut first = at.client();
                assert_eq!(first.line(), "mine");
                assert_eq!(at.client().line(), "taken");
                assert_eq!(first.finish().rest(), "");
            }),
        row("abstract_sockets", "Abstract UNIX sockets are the host's.")
            .script("exec perl -MSocket -e 'socket S, AF_UNIX, SOCK_STREAM, 0; connect S, sockaddr_un(qq(\\0@name)) or die qq($!); print <S>'")
            .sees(|at| {
                use std::os::linux::net::SocketAddrExt;
                let address = std::os::unix::net::SocketAddr::from_abstract_name(at.name).expect("a short name");
                let listener = std::os::unix::net::UnixListener::bind_addr(&address).expect("the name is free");
                let client = at.client().finish();
                let (mut guest, _) = listener.accept().expect("the command connects");
                std::io::Write::write_all(&mut guest, b"reached\n").expect("the command reads");
                drop(guest);
                assert_eq!(client.rest(), "reached\n");
            }),
        row("signals_to_the_first", "What a command sends to process 1 ends nothing.")
            .script("for signal in ALRM ALRM ALRM ALRM TERM INT HUP CHLD; do kill -$signal 1 2>/dev/null; done; sleep 1; echo on")
            .prints("on\n"),
        row("helpers", "A command may start other programs, and wait for them.")
            .script("echo $(echo a | tr a b) $(perl -e 'print 6 * 7')")
            .prints("b 42\n"),
        row("log_of_the_command", "A command reaches syslog.")
            .runs("user=nobody argv=/usr/bin/logger -t @name hello")
            .prints("")
            .sees(|at| assert!(at.line(|line| line.contains(&format!("{}: hello", at.name))).is_some())),
        row("devices", "The harmless devices are there.")
            .script("head -c 3 /dev/zero | wc -c; head -c 2 /dev/urandom | wc -c; echo x >/dev/null && echo null")
            .prints("3\n2\nnull\n"),
    ]
}

fn apart() -> Vec<Row> {
    let status = |name: &str, proves, lines: &str| {
        row(name, proves).runs(&format!("user=nobody argv=/bin/sed -n -E /^({lines}):/p /proc/self/status"))
    };
    vec![
        status("privileges", "no_new_privs off, seccomp off", "NoNewPrivs|Seccomp")
            .prints("NoNewPrivs:\t0\nSeccomp:\t0\n")
            .instead(|at| assert_eq!(at.answer(), "NoNewPrivs:\t1\nSeccomp:\t2\n")),
        status("bounding_set", "The bounding set is whole.", "CapBnd")
            .sees(|at| {
                let own = crate::scene::host::status_of(at.postfix.id(), "CapBnd").expect("master lives");
                assert_eq!(at.answer(), format!("CapBnd:\t{own}\n"));
            })
            .instead(|at| assert_eq!(at.answer(), "CapBnd:\t0000000000000000\n")),
        row("set_id_programs", "setuid programs (sudo) work from a command.")
            .script("exec @spool/@name -u")
            .sees(|at| install("/usr/bin/id", &at.spool(at.name), "4755"))
            .prints("0\n")
            .instead(|at| {
                install("/usr/bin/id", &at.spool(at.name), "4755");
                assert_eq!(at.answer(), "65534\n");
            }),
        row("parent", "The command is the daemon's child.")
            .script("echo $PPID; read -r end")
            .sees(|at| {
                let mut client = at.client();
                assert_eq!(client.line(), at.daemon().to_string());
            })
            .instead(|at| assert_eq!(at.answer(), "1\n")),
        row("other_processes", "The command sees the host's processes.")
            .script("ls -d /proc/$PPID/../@name 2>/dev/null; ls /proc | grep -c '^[0-9]'")
            .sees(|at| assert!(at.answer().trim().parse::<u32>().expect("a number") > 8))
            .instead(|at| assert!(at.answer().trim().parse::<u32>().expect("a number") <= 8)),
        row("signals_between_commands", "A command signals another process of its user: a daemon whose pid file it reads.")
            .script("read -r word; case $word in wait) echo $$; read -r end;; *) kill $word 2>&1 && echo sent;; esac")
            .sees(|at| {
                let mut waiting = at.client().send(b"wait\n");
                let pid = waiting.line();
                assert_eq!(at.client().send(format!("{pid}\n").as_bytes()).finish().rest(), "sent\n");
                assert_eq!(waiting.rest(), "");
            })
            .instead(|at| {
                let mut waiting = at.client().send(b"wait\n");
                let pid = waiting.line();
                let answer = at.client().send(format!("{pid}\n").as_bytes()).finish().rest();
                assert!(answer.contains("No such process"), "{answer}");
                assert!(!at.is_over(&waiting));
            }),
        row("tmp_is_shared", "/tmp is the host's.")
            .script("cat /tmp/@name.$(stat -c %i @script) 2>/dev/null && rm /tmp/@name.$(stat -c %i @script) || echo x >/tmp/@name.$(stat -c %i @script)")
            .prints("")
            .prints("x\n")
            .instead(|at| (0..2).for_each(|_| assert_eq!(at.answer(), ""))),
        row("peer_unix_pid", "The command can ask which process is at the other end.")
            .runs("user=nobody argv=/usr/bin/perl -MSocket -e {print unpack 'i', getsockopt(STDIN, SOL_SOCKET, 17)}")
            .prints(&std::process::id().to_string())
            .instead(|at| assert_eq!(at.answer(), "0")),
    ]
}
