// SPDX-License-Identifier: Apache-2.0
//! The command line of a program that stands alone. Words only: nothing is looked up here.
// The comments on options are what --help prints: brackets there are a grammar's, not links.
#![allow(rustdoc::broken_intra_doc_links)]

use super::address::Address;
use crate::plan::explain::broken;
use clap::{Args, Command, CommandFactory, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Under which options stand in --help.
const WHAT: &str = "What it is about";
const LISTENING: &str = "Listening";
const WRITTEN: &str = "The policy";
const DONE: &str = "What is done";
const WHERE: &str = "Where";
const PRINTED: &str = "What is printed";

/// What the words are for, in the order in which a newcomer meets them.
const GROUPS: [(&str, &[&str]); 4] = [
    ("Serve", &["listen", "run"]),
    ("Write policies", &["explain", "check", "diff", "learn", "trace", "import"]),
    ("Look at this host", &["doctor"]),
    ("Set up", &["install-postfix", "man", "completions", "help"]),
];

/// The grammar, with the words in groups, in lines of so many columns: clap knows groups of options only.
pub(super) fn grammar(width: usize) -> Command {
    let mut command = Cli::command();
    command.build();
    let heading = anstyle::Style::new().bold().underline();
    let mut words = String::new();
    for (group, names) in GROUPS {
        words.push_str(&format!("{heading}{group}:{heading:#}\n"));
        for name in names {
            let about = command.find_subcommand(name).and_then(Command::get_about).map(ToString::to_string);
            let about =
                broken(&about.unwrap_or_default(), width.saturating_sub(MARGIN)).join(&format!("\n{:MARGIN$}", ""));
            let bold = anstyle::Style::new().bold();
            words.push_str(&format!("  {bold}{name:<15}{bold:#}  {about}\n"));
        }
        words.push('\n');
    }
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{words}{heading}Options:{heading:#}\n{{options}}{{after-help}}"
    );
    Cli::command().help_template(template)
}

/// Where what a word is for begins: after the longest of them.
const MARGIN: usize = 19;

/// Hands each connection to a sandboxed command.
#[derive(Debug, Parser)]
#[command(
    version,
    max_term_width = 100,
    after_help = "Try it, without root and without a policy file:\n  \
        spawnbox listen 127.0.0.1:7000 -- sh -c 'id; ls -l /'\n  \
        nc 127.0.0.1 7000"
)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) verb: Verb,
    /// Whether to paint: auto is for a terminal, unless NO_COLOR or TERM=dumb says no
    ///
    /// Example: spawnbox explain --color always -- sh | less -R
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = When::Auto, hide_possible_values = true)]
    pub(super) color: When,
}

/// Whether something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum When {
    /// Where it is wanted.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Listen, and run the command for each connection
    #[command(after_help = "Examples:\n  \
        spawnbox listen 127.0.0.1:7000 -- sh -c 'echo hello'\n  \
        spawnbox listen '[::1]:10023' --policy greylist\n  \
        spawnbox listen unix:/run/spf.sock,mode=0660,group=postfix --policy policyd-spf\n\n\
        SIGTERM stops listening and waits for the sessions; a second one ends them.\n\
        Exit status: 0 ended as asked, 1 this host cannot, 2 usage or policy.")]
    Listen(Listen),
    /// Run the command once; standard input is its connection
    #[command(after_help = "Examples:\n  \
        spawnbox run -- sh -c 'id; ls -l /'\n  \
        echo hello | spawnbox run --policy echo\n  \
        spawnbox run -s limits.time=2s -- sleep 10\n\n\
        Where standard input and output are sockets, as under inetd, standard input is the\n\
        connection. Exit status: the command's own; 2 usage or policy, 124 time limit, 125 the\n\
        sandbox could not be made, 126 the command could not be run, 127 it was not found,\n\
        128+N it died of signal N.")]
    Run(Run),
    /// Print what will be enforced, who said so, and what is off
    #[command(after_help = "Examples:\n  \
        spawnbox explain -- sh\n  \
        spawnbox explain --policy policyd-spf --steps\n  \
        spawnbox explain --policy policyd-spf --seccomp | grep socket\n  \
        spawnbox explain --policy ./draft.toml --score\n  \
        spawnbox explain -s network.mode=host -- sh")]
    Explain(Explain),
    /// Say what a policy allows and takes away, compared with another
    #[command(after_help = "Examples:\n  \
        spawnbox diff /etc/spawnbox/greylist.toml ./greylist.toml\n  \
        spawnbox diff compatible strict\n\n\
        + is allowed by NEW alone, - by OLD alone, ~ is another value.\n\
        Another user or group counts as more; another command or environment is another value,\n\
        and no more is allowed by it.\n\
        Exit status: 0 nothing more is allowed, 1 this host cannot be looked at, 2 usage or policy,\n\
        3 NEW allows what OLD does not.")]
    Diff(Diff),
    /// Check policies, and the entries of master.cf that start spawnbox
    #[command(after_help = "Examples:\n  \
        spawnbox check                   every policy in /etc/spawnbox\n  \
        spawnbox check ./draft.toml\n  \
        spawnbox check --min-score 80    for a test of your own\n  \
        spawnbox check --master-cf       what Postfix will start\n  \
        spawnbox check --json ./draft.toml | jq '.mistakes[].what'\n\n\
        Prints a line for each that is good, and every mistake. Changes nothing.\n\
        Exit status: 0 all good, 1 this host cannot be looked at, 2 something is wrong.")]
    Check(Check),
    /// Say what this host can enforce, layer by layer, and what to do about each gap
    #[command(after_help = "Examples:\n  \
        spawnbox doctor                  can a strict sandbox be made here?\n  \
        spawnbox doctor policyd-spf      can this host run that policy?\n  \
        spawnbox doctor --json\n\n\
        Tries each layer in throw-away processes and makes a sandbox that proves them.\n\
        Exit status: 0 every layer is there, 1 this host lacks something, 2 the policy is wrong.")]
    Doctor(Doctor),
    /// Turn the configuration of another program into a policy, and name what could not be carried over
    #[command(after_help = "Examples:\n  \
        spawnbox import /etc/xinetd.d/finger >/etc/spawnbox/finger.toml\n  \
        spawnbox import --from nsjail chal.cfg\n  \
        systemctl cat quota | spawnbox import -\n\n\
        Exit status: 0 all of it was carried, 1 it cannot be read, 2 usage, or it is none of these,\n\
        3 the end of the policy names what was not carried.")]
    Import(Import),
    /// Run a trusted command openly, write the policy that it needs, and run it again under that
    #[command(after_help = "Examples:\n  \
        spawnbox learn --out ./hello.toml -- /usr/local/bin/hello\n  \
        spawnbox learn --out /etc/spawnbox/policyd-spf.toml --user policyd-spf 127.0.0.1:7000 -- /usr/bin/policyd-spf\n  \
        spawnbox learn --merge /etc/spawnbox/greylist.toml --connections 3 127.0.0.1:7000\n\n\
        The command is in no sandbox while its calls are watched: do this where nobody else connects.\n\
        Ctrl-C ends it, and writes what was learnt.\n\
        Exit status: 0 written, and under the policy it does the same, unless --no-verify or a signal\n\
        left that out; 1 this host cannot, or nobody connected; 2 usage or policy; 3 written, but it\n\
        does not pass check, or under it the command does not do the same.")]
    Learn(Learn),
    /// Run the command in its sandbox, and name each thing that it is denied with the line that would allow it
    #[command(after_help = "Examples:\n  \
        spawnbox trace -- sh -c 'cat /etc/hostname'\n  \
        spawnbox trace --policy ./draft.toml -s limits.time=10s\n  \
        spawnbox trace --policy policyd-spf --connections 1 127.0.0.1:7000\n\n\
        Standard error gets a line when something is denied for the first time, and at the end what\n\
        the policy lacks, ready to be added. What this host does not have either is no denial.\n\
        Exit status: as of run, or of listen where there is an address.")]
    Trace(Trace),
    /// Put the program and its units where Postfix and systemd find them
    #[command(after_help = "Examples:\n  \
        spawnbox install-postfix --dry-run    what would be done, file by file\n  \
        spawnbox install-postfix\n  \
        spawnbox install-postfix --remove     the way back\n\n\
        Never touches master.cf: it prints the commands for that.\n\
        Exit status: 0 done, 1 something is in the way and nothing was changed.")]
    InstallPostfix(InstallPostfix),
    /// Print the manual
    #[command(after_help = "Examples:\n  \
        spawnbox man | man -l -\n  \
        spawnbox man spawnbox-policy | man -l -\n  \
        spawnbox man >/usr/local/share/man/man8/spawnbox.8")]
    Man(Man),
    /// Print what a shell needs to complete our words and options
    #[command(after_help = "Examples:\n  \
        spawnbox completions bash >/etc/bash_completion.d/spawnbox\n  \
        spawnbox completions fish | source")]
    Completions(Completions),
}

#[derive(Debug, Args)]
pub(super) struct Listen {
    /// Where to listen: HOST:PORT, [HOST]:PORT, or unix:PATH[,mode=0660][,user=U][,group=G]
    ///
    /// HOST is an address of this host; 0.0.0.0 and [::] are all of them. With port 0 the kernel chooses one. A UNIX
    /// socket has mode 0600 unless another is given, and is removed at the end.
    #[arg(required = true, value_name = "ADDR")]
    pub(super) addresses: Vec<Address>,
    /// Print each port, or socket path, on a line of standard output
    ///
    /// Example: spawnbox listen --print-port 127.0.0.1:0 -- cat
    #[arg(long, help_heading = LISTENING)]
    pub(super) print_port: bool,
    /// Most sessions at once for each kind of socket; further clients wait in the kernel's queue
    /// [default: the policy's connection.concurrency, or 1000]
    ///
    /// Example: spawnbox listen --max-sessions 20 127.0.0.1:7000 -- cat
    #[arg(long, help_heading = LISTENING, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(super) max_sessions: Option<u32>,
    #[command(flatten)]
    pub(super) what: What,
}

#[derive(Debug, Args)]
pub(super) struct Run {
    #[command(flatten)]
    pub(super) what: What,
}

#[derive(Debug, Args)]
pub(super) struct Explain {
    #[command(flatten)]
    pub(super) form: Form,
    /// Print one JSON object: of what is asked for, or of all of this
    ///
    /// Example: spawnbox explain --steps --json -- sh
    #[arg(long, help_heading = PRINTED)]
    pub(super) json: bool,
    /// The kind of connection it is for
    ///
    /// Example: spawnbox explain --connection unix --policy policyd-spf
    #[arg(long, help_heading = WHAT, value_enum, default_value_t = Connection::Tcp)]
    pub(super) connection: Connection,
    #[command(flatten)]
    pub(super) what: What,
}

/// What is printed instead of the page.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(super) struct Form {
    /// Print the steps of the child instead, in order: who takes each, about what, by which calls, and why there
    ///
    /// Example: spawnbox explain --steps -- sh
    #[arg(long, help_heading = PRINTED)]
    pub(super) steps: bool,
    /// Print what becomes of each system call instead, with its arguments
    ///
    /// Example: spawnbox explain --seccomp -- sh | grep socket
    #[arg(long, help_heading = PRINTED)]
    pub(super) seccomp: bool,
    /// Print the points of each wall instead, of a hundred together
    ///
    /// Example: spawnbox explain --score --policy greylist
    #[arg(long, help_heading = PRINTED)]
    pub(super) score: bool,
}

#[derive(Debug, Args)]
pub(super) struct Diff {
    /// The policy as it was: a name, or a file (with a slash)
    #[arg(value_name = "OLD")]
    pub(super) old: String,
    /// The policy as it will be
    #[arg(value_name = "NEW")]
    pub(super) new: String,
    /// What ${service} stands for in both [default: the name of NEW]
    ///
    /// Example: spawnbox diff --service filter ./old.toml ./new.toml
    #[arg(long, help_heading = WHAT, value_name = "NAME")]
    pub(super) service: Option<String>,
    /// The kind of connection it is for
    ///
    /// Example: spawnbox diff --connection stdio compatible strict
    #[arg(long, help_heading = WHAT, value_enum, default_value_t = Connection::Tcp)]
    pub(super) connection: Connection,
    /// The command of both [default: each policy's own]
    #[arg(last = true, value_name = "CMD")]
    pub(super) command: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct Check {
    /// Policies by name, or policy files (with a slash) [default: all in /etc/spawnbox]
    #[arg(value_name = "POLICY")]
    pub(super) policies: Vec<String>,
    /// What ${service} stands for in policies that are named
    /// [default: each policy's own name, and what depends on it is no mistake]
    ///
    /// Example: spawnbox check --service filter ./draft.toml
    #[arg(long, help_heading = WHAT, value_name = "NAME")]
    pub(super) service: Option<String>,
    /// Check each entry of master.cf whose command is spawnbox; needs root, as master(8) does
    ///
    /// Example: spawnbox check --master-cf
    #[arg(long, help_heading = WHAT)]
    pub(super) master_cf: bool,
    /// Where main.cf and master.cf are [default: where postconf(1) finds them]
    ///
    /// Example: spawnbox check --master-cf -c /etc/postfix-out
    #[arg(short = 'c', long, help_heading = WHAT, value_name = "DIR", requires = "master_cf")]
    pub(super) config_directory: Option<PathBuf>,
    /// Take it for a mistake where a policy has fewer points of a hundred, see explain --score
    ///
    /// Example: spawnbox check --min-score 80 ./draft.toml
    #[arg(long, help_heading = WHAT, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=100))]
    pub(super) min_score: Option<u32>,
    /// Print mistakes only: nothing at all where everything is good
    ///
    /// Example: spawnbox check -q && systemctl reload postfix
    #[arg(short, long, help_heading = PRINTED, conflicts_with = "json")]
    pub(super) quiet: bool,
    /// Print what is good and every mistake, with its place, as one JSON object
    ///
    /// Example: spawnbox check --json ./draft.toml
    #[arg(long, help_heading = PRINTED)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// A policy by name, or a policy file (with a slash), which this host shall run [default: strict]
    #[arg(value_name = "POLICY")]
    pub(super) policy: Option<String>,
    /// Print everything that was found as one JSON object
    ///
    /// Example: spawnbox doctor --json
    #[arg(long, help_heading = PRINTED)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Import {
    /// The file, or - for standard input
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// What it is [default: what it looks like]
    ///
    /// Example: spawnbox import --from oci /etc/containers/seccomp.json
    #[arg(long, help_heading = WHAT, value_enum, value_name = "FORMAT")]
    pub(super) from: Option<From>,
}

/// What can be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum From {
    /// The seccomp profile of a container runtime (OCI, Docker, Podman)
    Oci,
    /// nsjail's configuration, as text
    Nsjail,
    /// A service of xinetd
    Xinetd,
    /// A unit of systemd
    Systemd,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("file").required(true).args(["out", "merge"]))]
pub(super) struct Learn {
    /// Listen here, as `listen` does, and run the command for each connection [default: standard input is its connection]
    #[arg(value_name = "ADDR")]
    pub(super) address: Option<Address>,
    /// Write a new policy, which must not be there yet
    ///
    /// Example: spawnbox learn --out ./hello.toml -- /usr/local/bin/hello
    #[arg(long, help_heading = WRITTEN, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
    /// Add what is missing to a policy that is there, and leave the rest as it is
    ///
    /// Example: spawnbox learn --merge ./hello.toml
    #[arg(long, help_heading = WRITTEN, value_name = "FILE")]
    pub(super) merge: Option<PathBuf>,
    /// As whom the command runs [default: the policy's user; of a new one, who calls, and nobody for root]
    ///
    /// Example: spawnbox learn --out ./hello.toml --user mail -- /usr/local/bin/hello
    #[arg(long, help_heading = WHAT, value_name = "NAME")]
    pub(super) user: Option<String>,
    /// How many connections are learnt from, one after the other
    ///
    /// Example: spawnbox learn --merge ./hello.toml --connections 3 127.0.0.1:7000
    #[arg(long, help_heading = WHAT, value_name = "N", default_value_t = 1, requires = "address",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(super) connections: u32,
    /// Do not run it again under the policy
    ///
    /// Example: spawnbox learn --merge ./hello.toml --no-verify
    #[arg(long, help_heading = WRITTEN)]
    pub(super) no_verify: bool,
    /// The command and its arguments [default: the policy's]
    #[arg(last = true, value_name = "CMD")]
    pub(super) command: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct Trace {
    /// Listen here, as `listen` does, and run the command for each connection [default: standard input is its connection]
    #[arg(value_name = "ADDR")]
    pub(super) address: Option<Address>,
    /// How many connections are traced [default: until Ctrl-C]
    ///
    /// Example: spawnbox trace --connections 1 --policy policyd-spf 127.0.0.1:7000
    #[arg(long, help_heading = LISTENING, value_name = "N", requires = "address", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(super) connections: Option<u32>,
    /// Print the port, or the socket's path, on a line of standard output
    ///
    /// Example: spawnbox trace --print-port 127.0.0.1:0 -- cat
    #[arg(long, help_heading = LISTENING, requires = "address")]
    pub(super) print_port: bool,
    /// Print each denial as a JSON object on a line of its own, and one of all at the end
    ///
    /// Example: spawnbox trace --json -- sh -c 'cat /etc/hostname'
    #[arg(long, help_heading = PRINTED)]
    pub(super) json: bool,
    /// Write what is denied to this file instead of standard error
    ///
    /// Example: spawnbox trace --out denied.txt -- sh -c 'cat /etc/hostname'
    #[arg(long, help_heading = PRINTED, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
    #[command(flatten)]
    pub(super) what: What,
}

#[derive(Debug, Args)]
pub(super) struct InstallPostfix {
    /// Print what would be done, and do nothing
    ///
    /// Example: spawnbox install-postfix --dry-run
    #[arg(long, help_heading = DONE)]
    pub(super) dry_run: bool,
    /// Remove what was installed; refused while an entry of master.cf still starts spawnbox
    ///
    /// Example: spawnbox install-postfix --remove
    #[arg(long, help_heading = DONE)]
    pub(super) remove: bool,
    /// Where main.cf and master.cf are [default: where postconf(1) finds them]
    ///
    /// Example: spawnbox install-postfix -c /etc/postfix-out
    #[arg(short = 'c', long, help_heading = WHERE, value_name = "DIR")]
    pub(super) config_directory: Option<PathBuf>,
    /// Where units are read and written, without telling systemd [default: /etc/systemd/system, if systemd runs]
    ///
    /// Example: spawnbox install-postfix --unit-directory ./root/etc/systemd/system
    #[arg(long, help_heading = WHERE, value_name = "DIR")]
    pub(super) unit_directory: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Completions {
    /// For which shell
    #[arg(value_enum, value_name = "SHELL")]
    pub(super) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(super) struct Man {
    /// Which page
    #[arg(value_enum, default_value_t = Page::Spawnbox)]
    pub(super) page: Page,
}

/// A manual page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Page {
    /// spawnbox(8): the program, and what differs from spawn(8)
    Spawnbox,
    /// spawnbox-policy(5): every key of a policy
    SpawnboxPolicy,
}

/// The kind of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Connection {
    /// A TCP connection of `listen`
    Tcp,
    /// A UNIX connection of `listen`
    Unix,
    /// Standard input of `run`
    Stdio,
}

/// What runs, and under what.
#[derive(Debug, Clone, Args)]
pub(super) struct What {
    /// A policy by name, or a policy file (with a slash)
    ///
    /// Example: spawnbox run --policy ./draft.toml
    #[arg(long, short, help_heading = WHAT, value_name = "P", default_value = "strict")]
    pub(super) policy: String,
    /// Set one key of the policy, e.g. -s limits.time=30s or -s 'files.read=["/etc/ssl"]'
    ///
    /// Example: spawnbox run -s limits.time=2s -s 'files.read=["/etc/ssl"]' -- sleep 10
    #[arg(short, help_heading = WHAT, long = "set", value_name = "KEY=VALUE")]
    pub(super) set: Vec<String>,
    /// Name of the service, for log lines and as ${service}
    /// [default: the policy's, or the program's where a command is given]
    ///
    /// Example: spawnbox listen --service filter 127.0.0.1:7000 --policy ./filter.toml
    #[arg(long, help_heading = WHAT, value_name = "NAME")]
    pub(super) service: Option<String>,
    /// The command and its arguments [default: the policy's]
    #[arg(last = true, value_name = "CMD")]
    pub(super) command: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_consistent_and_every_verb_has_an_example() {
        let mut command = Cli::command();
        command.clone().debug_assert();
        for verb in command.get_subcommands_mut() {
            let help = verb.render_help().to_string();
            assert!(help.contains(&format!("spawnbox {} ", verb.get_name())), "{help}");
        }
    }

    /// The words of an example, up to what a shell or a reader does with it.
    fn words(line: &str) -> Vec<String> {
        let end = [" | ", " >", " && ", "  "].iter().filter_map(|mark| line.find(mark)).min().unwrap_or(line.len());
        let parts = line[..end].split('\'').enumerate();
        let mut words = vec![String::new()];
        for (index, part) in parts {
            // Every other part stands in quotes.
            for (number, piece) in part.split(if index % 2 == 0 { ' ' } else { '\0' }).enumerate() {
                if number > 0 {
                    words.push(String::new());
                }
                words.last_mut().unwrap().push_str(piece);
            }
        }
        words.retain(|word| !word.is_empty());
        words
    }

    #[test]
    fn every_option_stands_under_a_heading_and_has_an_example_and_every_example_is_one() {
        let mut examples = Vec::new();
        let mut command = Cli::command();
        let top = command.render_long_help().to_string();
        for verb in command.get_subcommands_mut() {
            for option in verb.get_arguments().filter(|option| !option.is_positional()) {
                let help = option.get_long_help().map(ToString::to_string).unwrap_or_default();
                let example =
                    help.split("Example: ").nth(1).unwrap_or_else(|| panic!("{} has no example", option.get_id()));
                let long = format!("--{}", option.get_long().expect("each option has a long name"));
                let short = option.get_short().map(|short| format!("-{short}"));
                let words = words(example);
                assert!(
                    words.contains(&long) || short.is_some_and(|short| words.contains(&short)),
                    "{long}: {words:?}"
                );
                // What every word has stands beside --help.
                assert!(
                    option.is_global_set() || option.get_help_heading().is_some(),
                    "{} stands under no heading",
                    option.get_id()
                );
                examples.push(example.to_string());
            }
            let help = verb.render_long_help().to_string();
            examples.extend(help.lines().filter_map(|line| Some(line[line.find("spawnbox ")?..].to_string())));
        }
        examples.extend(top.lines().filter_map(|line| Some(line.strip_prefix("  spawnbox ")?.to_string())));
        examples.retain(|line| !line.contains('[') || line.contains("'["));
        assert!(examples.len() > 60, "{}", examples.len());
        for line in examples {
            let words = words(line.strip_prefix("spawnbox ").unwrap_or(&line));
            let parsed = Cli::try_parse_from([&["spawnbox".to_string()][..], &words].concat());
            assert!(parsed.is_ok(), "{line}: {words:?}: {}", parsed.unwrap_err());
        }
    }

    #[test]
    fn every_word_stands_in_one_group() {
        let mut command = Cli::command();
        command.build();
        let mut known: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
        let mut grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        known.sort_unstable();
        grouped.sort_unstable();
        assert_eq!(grouped, known);
        let help = grammar(80).render_help().to_string();
        let (words, _) = help.split_once("Options:").expect("options follow");
        assert!(words.lines().all(|line| line.chars().count() <= 80), "{words}");
        assert!(help.contains("Write policies:\n  explain          Print what"), "{help}");
    }

    #[test]
    fn everything_after_the_dashes_is_the_command() {
        let Verb::Run(run) = Cli::parse_from(["spawnbox", "run", "-slimits.time=2s", "--", "sh", "-c", "x"]).verb
        else {
            panic!("not run");
        };
        assert_eq!(
            (run.what.set, run.what.command),
            (vec!["limits.time=2s".into()], vec!["sh".into(), "-c".into(), "x".into()])
        );
    }
}
