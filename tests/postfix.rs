// SPDX-License-Identifier: Apache-2.0
//! Under Debian's own Postfix: the word `spawn` in master.cf becomes `spawnbox`, and mail is answered as before.
//! What both can do is played with both, so that what they have in common is shown, not claimed.

mod choice;
mod chroot;
mod clients;
mod concurrency;
pub(crate) mod furnish;
pub(crate) mod instance;
mod identity;
mod keys;
mod life;
mod many;
pub(crate) mod pass;
mod postconf;
pub(crate) mod private;
pub(crate) mod reloaded;
pub(crate) mod resolver;
mod smtp;
mod told;

use crate::scene::Client;
use crate::scene::stage::room;
use instance::{Postfix, Spawner};
use private::in_private;
use resolver::{Entry, Resolver};
use smtp::Smtp;

/// Mail from `strict.example` may come from nowhere, mail from `open.example` from 192.0.2.7.
const NAMES: &[Entry] = &[
    Entry::Txt("strict.example", "v=spf1 -all"),
    Entry::Txt("open.example", "v=spf1 ip4:192.0.2.7 -all"),
    Entry::A("client.example", [192, 0, 2, 7]),
];

#[test]
fn smtpd_gets_the_verdict_of_policyd_spf_from_a_sandbox() {
    smtpd_gets_the_verdict_of_policyd_spf(Spawner::Ours, "policy=policyd-spf");
}

#[test]
fn smtpd_gets_the_same_verdict_through_postfix_own_spawn() {
    smtpd_gets_the_verdict_of_policyd_spf(Spawner::Theirs, "");
}

fn smtpd_gets_the_verdict_of_policyd_spf(spawner: Spawner, attribute: &str) {
    needs!(root);
    needs!(program "postfix");
    needs!(program "policyd-spf");
    let room = room();
    in_private(&room.path(""), |log| {
        let names = Resolver::start(NAMES);
        let postfix = Postfix::start(
            &room,
            "smtpd_recipient_restrictions = reject_unauth_destination,\n    \
                check_policy_service unix:private/policyd-spf\n\
             smtpd_end_of_data_restrictions = check_client_access static:HOLD\n\
             policyd-spf_time_limit = 3600\n",
            &format!(
                "policyd-spf unix - n n - 0 {}\n  user=policyd-spf {attribute} argv=/usr/bin/policyd-spf\n",
                spawner.name()
            ),
        );

        let forged = Smtp::connect("127.0.0.1:2525")
            .pose_as("192.0.2.66")
            .say("EHLO client.example", "250")
            .say("MAIL FROM:<ceo@strict.example>", "250")
            .say(
                "RCPT TO:<someone@here.example>",
                "550 5.7.23 <someone@here.example>: Recipient address rejected: Message rejected due to: SPF fail",
            );
        assert!(names.was_asked_for("strict.example"));
        assert_eq!(private::is_confined("policyd-spf"), spawner == Spawner::Ours);
        forged.say("QUIT", "221");

        let mut honest = Smtp::connect("127.0.0.1:2525")
            .pose_as("192.0.2.7")
            .say("EHLO client.example", "250")
            .say("MAIL FROM:<someone@open.example>", "250")
            .say("RCPT TO:<someone@here.example>", "250")
            .say("DATA", "354");
        let reply = honest.command("Subject: hello\r\n\r\nhello\r\n.");
        let id = reply.strip_prefix("250 2.0.0 Ok: queued as ").expect("the message is taken");
        let message = postfix.held_message(id);
        assert!(message.contains("Received-SPF: Pass"), "{message}");

        // What policyd-spf itself says reaches the log through the sandbox.
        log.says("prepend Received-SPF: Pass");
        honest.say("QUIT", "221");
        if spawner == Spawner::Ours {
            // By the same process or another: that depends on whether the first session was over in time.
            log.says_all(&["policyd-spf: session=", " policy=policyd-spf@", " outcome=exited status=0"]);
        }
        postfix.stop();
    });
}

/// What a command can find out about how it was started, of which nothing must have changed.
const REPORT: &str = "\
env | sort
echo umask $(umask), directory $(pwd), $(id)
read -r pid name state parent group session rest < /proc/$$/stat
[ $pid = $$ ] && [ $group = $$ ] && [ $session = $$ ] && echo leads its session and its process group
while read -r name value rest; do
    case $name in
    SigBlk:) echo blocked $value ;;
    # The upper half is the C library's own, and differs with who started master.
    SigIgn:) echo ignored $(printf %x $((0x$value & 0x7fffffff))) ;;
    esac
done < /proc/self/status
echo descriptors
ls /proc/self/fd
ulimit -a
exit 3
";

#[test]
fn a_command_without_a_policy_finds_what_it_found_under_spawn() {
    needs!(root);
    needs!(program "postfix");
    let room = room();
    let script = room.file("report.sh", REPORT);
    in_private(&room.path(""), |log| {
        let entry = |spawner: Spawner| {
            let (name, script) = (spawner.name(), script.display());
            format!("report-{name} unix - n n - 0 {name} user=nobody argv=/bin/sh {script}\n")
        };
        let postfix = Postfix::start(&room, "", &[Spawner::Ours, Spawner::Theirs].map(entry).concat());
        let report = |spawner: Spawner| Client::connect(&postfix.socket(&format!("report-{}", spawner.name()))).rest();
        let (ours, theirs) = (report(Spawner::Ours), report(Spawner::Theirs));
        assert!(ours.contains("leads its session"), "{ours}");
        assert_eq!(ours, theirs);
        for spawner in [Spawner::Ours, Spawner::Theirs] {
            log.says_all(&[&format!("postfix/{}[", spawner.name()), "]: warning: command /bin/sh exit status 3"]);
        }
        log.says("report-spawnbox: no policy is named, so the command runs under \"compatible\"");
        postfix.stop();
    });
}
