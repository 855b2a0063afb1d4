// SPDX-License-Identifier: Apache-2.0
//! What the command finds when it starts: environment, identity, descriptors, signals, limits.

use super::at::At;
use super::row::{Row, row};

pub(super) fn rows() -> Vec<Row> {
    [environment(), identity(), descriptors(), process()].into_iter().flatten().collect()
}

fn environment() -> Vec<Row> {
    let env = |name: &str, proves| row(name, proves).runs("user=nobody argv=/usr/bin/env");
    vec![
        env("env_default", "export_environment (default: TZ MAIL_CONFIG LANG): the list of environment variables that a Postfix process will export to non-Postfix processes.")
            .prints("MAIL_CONFIG=@room/postfix/config\nLANG=C\nPATH=/usr/bin:/bin\n"),
        env("env_import_tz", "TZ: for SunOS, which has no other way to learn the time zone; imported by master, exported to the command.")
            .alone()
            .settings("import_environment = MAIL_CONFIG TZ=UTC+3 LANG=C")
            .prints("TZ=UTC+3\nMAIL_CONFIG=@room/postfix/config\nLANG=C\nPATH=/usr/bin:/bin\n"),
        env("env_export_names_values", "Specify a list of names and/or name=value pairs, separated by whitespace or comma.")
            .options("-o { export_environment = A=1,B=2 LANG C= NOWHERE }")
            .prints("A=1\nB=2\nLANG=C\nC=\nPATH=/usr/bin:/bin\n"),
        env("env_export_braces", "The form { name=value } is supported with whitespace around and inside the value.")
            .alone()
            .settings("export_environment = { A = two words } { B = x, y }, LANG")
            .prints("A=two words\nB=x, y\nLANG=C\nPATH=/usr/bin:/bin\n"),
        env("env_export_empty", "An empty list exports nothing; the search path is always set.")
            .options("-o export_environment=")
            .prints("PATH=/usr/bin:/bin\n"),
        env("env_path_is_last", "PATH is set last, and always: export_environment cannot change it.")
            .options("-o { export_environment = PATH=/nowhere A=1 PATH }")
            .prints("PATH=/usr/bin:/bin\nA=1\n"),
        env("env_export_twice", "Later entries of the list win.")
            .options("-o { export_environment = A=1 A=2 LANG=de LANG }")
            .prints("A=2\nLANG=C\nPATH=/usr/bin:/bin\n"),
        env("env_export_dollar", "The value of a parameter is expanded: $name is replaced by a parameter's value.")
            .options("-o { export_environment = A=$myhostname B=$nothing C=$$x D=${mydestination}! }")
            .prints("A=mx.here.example\nB=\nC=$x\nD=here.example!\nPATH=/usr/bin:/bin\n"),
        env("env_expand_conditions", "${name?value}, ${name:value}, ${name?{value1}:{value2}}.")
            .options("-o { export_environment = A=${myhostname?yes} B=${nothing:no} C=${nothing?{x}:{y}} D=${{1} < {2} ? {less} : {more}} }")
            .prints("A=yes\nB=no\nC=y\nD=less\nPATH=/usr/bin:/bin\n"),
        env("env_expand_foreign", "A parameter that the daemon has no default for and main.cf does not set is empty.")
            .options("-o { export_environment = A=<$smtpd_timeout> }")
            .prints("A=<>\nPATH=/usr/bin:/bin\n"),
        env("env_expand_builtin", "What is filled in later than the expansion is empty: max_idle is.")
            .options("-o { export_environment = A=<$max_idle> }")
            .prints("A=<>\nPATH=/usr/bin:/bin\n"),
        env("env_expand_service_name", "service_name: the master.cf service name of a Postfix daemon process.")
            .options("-o { export_environment = A=$service_name }")
            .prints("A=@name\nPATH=/usr/bin:/bin\n"),
        env("env_expand_override", "-o name=value: override the named parameter; also where another value names it.")
            .options("-o my_word=hello -o { export_environment = A=$my_word }")
            .prints("A=hello\nPATH=/usr/bin:/bin\n"),
        env("env_override_o", "Of two -o for one parameter the last wins.")
            .options("-o export_environment=A=1 -o export_environment=A=2")
            .prints("A=2\nPATH=/usr/bin:/bin\n"),
        env("env_of_the_daemon", "The daemon's own environment has more, which is exported only if it is named.")
            .options("-o { export_environment = MAIL_LOGTAG POSTLOG_SERVICE GENERATION }")
            .sees(|at| {
                let answer = at.answer();
                let lines: Vec<&str> = answer.lines().collect();
                let [tag, generation, path] = lines[..] else { panic!("{answer}") };
                assert_eq!((tag, path), (at.fill("MAIL_LOGTAG=@name").as_str(), "PATH=/usr/bin:/bin"));
                let generation = generation.strip_prefix("GENERATION=").expect("the generation");
                assert!(generation.bytes().all(|digit| digit.is_ascii_digit()), "{generation}");
            }),
    ]
}

const IDS: &str = "argv=/bin/grep -E ^(Uid|Gid|Groups) /proc/self/status";

fn ids(uid: u32, gid: u32) -> String {
    format!("Uid:\t{uid}\t{uid}\t{uid}\t{uid}\nGid:\t{gid}\t{gid}\t{gid}\t{gid}\nGroups:\t{gid} \n")
}

fn identity() -> Vec<Row> {
    let as_user = |name: &str, proves, user: &str| row(name, proves).runs(&format!("user={user} {IDS}"));
    vec![
        as_user(
            "ids_user",
            "user=username: the external command is executed with the rights of the specified username.",
            "nobody",
        )
        .prints(&ids(65534, 65534)),
        as_user("ids_user_group", "user=username:groupname: with the rights of that group.", "nobody:daemon")
            .prints(&ids(65534, 1)),
        as_user("ids_empty_group", "user=x: means the user's own group.", "daemon:").prints(&ids(1, 1)),
        as_user("ids_other_user", "All of real, effective, saved and file system id are the user's.", "games")
            .prints(&ids(5, 60)),
        as_user(
            "ids_no_supplementary_groups",
            "setgroups(1, gid): no supplementary groups, whatever group(5) says.",
            "policyd-spf:www-data",
        )
        .sees(|at| assert!(at.answer().ends_with("Groups:\t33 \n"))),
    ]
}

fn descriptors() -> Vec<Row> {
    vec![
        row("descriptors", "Descriptors 0, 1 and 2 are open, and no other: the fourth is the directory that is read.")
            .runs("user=nobody argv=/bin/ls /proc/self/fd")
            .prints("0\n1\n2\n3\n"),
        row("descriptors_are_the_connection", "The external command is given the connection as standard input, output and error.")
            .runs("user=nobody argv=/usr/bin/perl -e {print join(' ', map {(stat $_)[1]} *STDIN, *STDOUT, *STDERR)}")
            .sees(|at| {
                let answer = at.answer();
                let inodes: Vec<&str> = answer.split(' ').collect();
                assert!(inodes.len() == 3 && inodes.iter().all(|one| one == &inodes[0] && *one != "0"), "{answer}");
            }),
        row("descriptors_are_one", "They are one open file description: a flag that one gets all have.")
            .runs("user=nobody argv=/usr/bin/perl -MFcntl -e {fcntl(STDIN, F_SETFL, O_RDWR|O_NONBLOCK|O_APPEND); printf {STDOUT} '%o', fcntl(STDERR, F_GETFL, 0)}")
            .prints("6002"),
        row("descriptor_flags", "They are read-write and blocking, and stay open across exec.")
            .script("for fd in 0 1 2; do grep flags /proc/self/fdinfo/$fd; done")
            .prints("flags:\t02\nflags:\t02\nflags:\t02\n"),
        row("stderr_goes_to_client", "What the command writes to standard error goes to the client.")
            .script("echo out; echo err >&2")
            .prints("out\nerr\n"),
        row("input_comes_from_client", "What the client sends is what the command reads.")
            .runs("user=nobody argv=/usr/bin/tr a-f A-F")
            .sees(|at| assert_eq!(at.client().send(b"abc\ndef\n").finish().rest(), "ABC\nDEF\n")),
        row("keepalive_inet", "Accepted TCP sockets have SO_KEEPALIVE.")
            .entries("127.0.0.1:2601 inet n n n - 0 @spawn user=nobody argv=/usr/bin/perl -MSocket -e {print unpack('i', getsockopt(STDIN, SOL_SOCKET, SO_KEEPALIVE))}")
            .sees(|_| assert_eq!(crate::scene::Client::connect("127.0.0.1:2601").finish().rest(), "1")),
        row("peer_inet", "The command can ask who is at the other end: nothing stands between.")
            .entries("127.0.0.1:2602 inet n n n - 0 @spawn user=nobody argv=/usr/bin/perl -MSocket -e {print((sockaddr_in getpeername STDIN)[0])}")
            .sees(|_| {
                let client = std::net::TcpStream::connect("127.0.0.1:2602").expect("master listens");
                let port = client.local_addr().expect("a connected socket").port();
                let mut answer = String::new();
                std::io::Read::read_to_string(&mut &client, &mut answer).expect("an answer");
                assert_eq!(answer, port.to_string());
            }),
    ]
}

fn process() -> Vec<Row> {
    let status = |name: &str, proves, lines: &str| {
        row(name, proves).runs(&format!("user=nobody argv=/bin/sed -n -E /^({lines}):/p /proc/self/status"))
    };
    vec![
        row("session", "setsid(): the command leads its own session and process group.")
            .script("read -r pid name state parent group session tty rest < /proc/$$/stat\n\
                     [ $pid = $$ ] && [ $group = $$ ] && [ $session = $$ ] && echo leads $tty")
            .prints("leads 0\n"),
        // The upper half is of the C library's own signals, and differs with who started master.
        row("signals_ignored", "SIGPIPE and SIGXFSZ are ignored, the others have their default action.")
            .script("while read -r name value; do [ $name = SigIgn: ] && printf %x $((0x$value & 0x7fffffff)); done </proc/$$/status")
            .prints("1001000"),
        status("signals_blocked", "No signal is blocked, pending or caught.", "SigBlk|SigPnd|ShdPnd|SigCgt")
            .prints("SigPnd:\t0000000000000000\nShdPnd:\t0000000000000000\nSigBlk:\t0000000000000000\nSigCgt:\t0000000000000000\n"),
        row("writer_sees_epipe", "A command that writes to a client who has left sees EPIPE instead of dying of SIGPIPE.")
            .script("read -r go; read -r gone; while :; do echo x || exit 7; done 2>/dev/null")
            .sees(|at| drop(at.client().send(b"go\n")))
            .says("warning: command /bin/sh exit status *"),
        status("umask", "The umask is 077.", "Umask").prints("Umask:\t0077\n"),
        row("umask_of_files", "Files that the command makes are its user's alone.")
            .script("echo x >@spool/@name.out; stat -c '%a %U' @spool/@name.out")
            .prints("600 nobody\n"),
        row("working_directory", "The working directory is the queue directory.")
            .runs("user=nobody argv=/bin/pwd")
            .prints("@room/postfix/queue\n"),
        row("resource_limits", "Limits are master's; that of open files is raised to the hard limit.")
            .runs("user=nobody argv=/bin/cat /proc/self/limits")
            .sees(|at| assert_eq!(limits(&at.answer(), &["Max open"]), limits(&limits_of_master(at), &["Max open"])))
            .instead(|at| {
                let but = ["Max open", "Max core"];
                assert_eq!(limits(&at.answer(), &but), limits(&limits_of_master(at), &but));
            }),
        row("resource_limit_of_files", "RLIMIT_NOFILE: the soft limit is raised to the hard limit.")
            .script("[ $(ulimit -Sn) = $(ulimit -Hn) ] && echo raised")
            .prints("raised\n"),
        row("priority", "Priority and scheduling are master's.")
            .runs("user=nobody argv=/usr/bin/nice")
            .prints("0\n"),
        row("oom_score", "The badness for the kernel's out-of-memory killer is master's.")
            .runs("user=nobody argv=/bin/cat /proc/self/oom_score_adj")
            .sees(|at| {
                let master = std::fs::read_to_string(format!("/proc/{}/oom_score_adj", at.postfix.id()));
                assert_eq!(at.answer(), master.expect("master lives"));
            })
            .instead(|at| assert_eq!(at.answer(), "500\n")),
        row("host_name", "The command sees the host's name.").runs("user=nobody argv=/bin/uname -n").prints(&format!("{}\n", nix::unistd::gethostname().expect("a host has a name").display())),
        row("host_files", "The command sees the host's files, as its user's rights allow.")
            .script("cat /etc/passwd | cmp - /etc/passwd && cat /etc/shadow")
            .prints("cat: /etc/shadow: Permission denied\n"),
        row("host_network", "The command has the host's network: it reaches what listens there.")
            .runs("user=nobody argv=/usr/bin/perl -MIO::Socket::INET -e {$s = IO::Socket::INET->new('127.0.0.1:2525') or die $!; print substr <$s>, 0, 4}")
            .prints("220 "),
    ]
}

fn limits_of_master(at: &At<'_>) -> String {
    std::fs::read_to_string(format!("/proc/{}/limits", at.postfix.id())).expect("master lives")
}

/// The lines but some, however wide their columns are.
fn limits(text: &str, but: &[&str]) -> Vec<String> {
    let lines = text.lines().filter(|line| but.iter().all(|start| !line.starts_with(start)));
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}
