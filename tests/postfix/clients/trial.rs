// SPDX-License-Identifier: Apache-2.0
//! A service of master.cf, its client in Postfix, and four crowds that send mail past it.

use super::super::furnish;
use super::crowd::{Crowd, Ledger};
use super::judge::judge;
use super::trouble::{self, Plan, Trouble};
use super::{NAMES, count};
use crate::postfix::instance::Postfix;
use crate::postfix::private::in_private;
use crate::postfix::resolver::Resolver;
use crate::scene::{a_second, patience, stage};
use std::cell::Cell;
use std::thread;
use std::time::Instant;

/// How long a command may take where some hang, in seconds of a real machine.
const LIMIT: u64 = 5;

/// One way to use a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) name: &'static str,
    /// How many commands one process has.
    pub(super) concurrency: u32,
    pub(super) hangs: bool,
    /// The last digit of its ports.
    pub(super) digit: u32,
}

pub(super) const WAYS: [Way; 4] = [
    Way { name: "calm-1", concurrency: 1, hangs: false, digit: 0 },
    Way { name: "calm-50", concurrency: 50, hangs: false, digit: 1 },
    Way { name: "hangs-1", concurrency: 1, hangs: true, digit: 2 },
    Way { name: "hangs-50", concurrency: 50, hangs: true, digit: 3 },
];

/// A service and its client.
pub(super) struct Trial {
    /// Name and transport of the service.
    pub(super) service: fn(Way) -> String,
    pub(super) attributes: fn(Way) -> String,
    /// Options of smtpd that make it, or what delivers for it, the client.
    pub(super) client: fn(Way) -> String,
    /// More entries of master.cf, and lines of main.cf.
    pub(super) entries: &'static str,
    pub(super) settings: &'static str,
    pub(super) accounts: &'static [&'static str],
    /// A directory of /var/lib that belongs to the first account.
    pub(super) state: Option<&'static str>,
    /// What is in /usr/local/lib/spawnbox.
    pub(super) programs: Vec<(String, String)>,
    /// The address that a message's client pretends to have.
    pub(super) pose: fn(u32) -> String,
    /// Whether this message has been through the service of this way.
    pub(super) marked: fn(Way, u32, &str) -> bool,
    /// How many clients send at once, at most.
    pub(super) most_clients: u32,
    /// What a message is told at first.
    pub(super) comes_again: Option<&'static str>,
    /// Whether the mail itself passes through the service, so that one that hangs after it has passed a message on
    /// gets it again: see RFC 5321 section 4.1.1.4.
    pub(super) passes_on: bool,
}

impl Default for Trial {
    fn default() -> Trial {
        Trial {
            service: |way| format!("{} unix", way.name),
            attributes: |_| String::new(),
            client: |way| restricted(&format!("check_policy_service unix:private/{}", way.name)),
            entries: "",
            settings: "",
            accounts: &[],
            state: None,
            programs: Vec::new(),
            pose: |_| "192.0.2.7".to_string(),
            marked: |_, _, _| true,
            most_clients: 50,
            comes_again: None,
            passes_on: false,
        }
    }
}

/// Options of an smtpd that has this restriction, and keeps what it takes.
pub(super) fn restricted(how: &str) -> String {
    format!(
        "-o {{ smtpd_recipient_restrictions = reject_unauth_destination, {how} }} \
         -o {{ smtpd_end_of_data_restrictions = check_client_access static:HOLD }}"
    )
}

/// A table with a row for every recipient.
pub(super) fn rows() -> String {
    let row = |way: Way| move |number: u32| format!("{number}.{0}@here.example {0}.{number}.\n", way.name);
    WAYS.iter().flat_map(|way| (0..messages()).map(row(*way))).collect()
}

/// How many messages each crowd has.
pub(super) fn messages() -> u32 {
    std::env::var("SPAWNBOX_MESSAGES").map_or(25, |text| text.parse().expect("SPAWNBOX_MESSAGES is a number"))
}

impl Trial {
    /// Sends everything, and judges what came of it.
    pub(super) fn play(&self) {
        let room = stage::room();
        in_private(&room.path(""), |log| {
            furnish::accounts(&room, self.accounts);
            furnish::programs(&room, &self.programs);
            if let Some(name) = self.state {
                furnish::state(&room, name);
            }
            let _names = Resolver::start(NAMES);
            // A client that is asked to come again has made an error, for which smtpd(8) would let it wait.
            let main_cf = format!("smtpd_soft_error_limit = 1000\nsmtpd_hard_error_limit = 1000\n{}", self.settings);
            let postfix = Postfix::start(&room, &main_cf, &self.master_cf());
            let (ledgers, trouble) = self.crowds(&postfix);
            judge(self, &postfix, log, &ledgers, &trouble);
            postfix.stop();
        });
    }

    /// The service's name, as master.cf has it.
    pub(super) fn name(&self, way: Way) -> String {
        let service = (self.service)(way);
        service.split_once(' ').expect("a name and a transport").0.to_string()
    }

    fn master_cf(&self) -> String {
        let entry = |way: Way| {
            let (service, name, client) = ((self.service)(way), self.name(way), (self.client)(way));
            let private = if service.ends_with(" unix") { "-" } else { "n" };
            // One process is enough where it has fifty commands.
            let processes = if way.concurrency == 1 { 0 } else { 1 };
            let limit = format!("-o {name}_time_limit={}", LIMIT * a_second().as_secs());
            let limit = if way.hangs { limit } else { String::new() };
            format!(
                "{service} {private} n n - {processes} spawnbox -o {name}_concurrency={} {limit} {}\n\
                 127.0.0.1:253{} inet n - n - - smtpd {client}\n",
                way.concurrency,
                (self.attributes)(way),
                way.digit
            )
        };
        WAYS.map(entry).concat() + self.entries
    }

    /// Every crowd sends, with trouble around it for as long as that takes and a while longer.
    fn crowds(&self, postfix: &Postfix) -> (Vec<(Way, Ledger)>, Trouble) {
        let names = |so: fn(&&Way) -> bool| WAYS.iter().filter(so).map(|way| self.name(*way)).collect();
        let (services, hanging) = (names(|_| true), names(|way| way.hangs));
        let plan = Plan { services, hanging, hangs: messages().div_ceil(50) as usize };
        // qmgr(8) looks a minute later again at what was being delivered when it was reloaded.
        let flush = || {
            if self.passes_on {
                postfix.flush()
            }
        };
        let arrived = || has_all(postfix);
        thread::scope(|scope| {
            let crowds = WAYS.map(|way| scope.spawn(move || (way, self.crowd(way))));
            let sent = Cell::new(None);
            let trouble = trouble::make(postfix, &plan, flush, || {
                if sent.get().is_none() && crowds.iter().all(|crowd| crowd.is_finished()) {
                    sent.set(Some(Instant::now()));
                }
                sent.get().is_some_and(|sent| arrived() || sent.elapsed() > patience())
            });
            let ledgers = crowds.map(|crowd| crowd.join().expect("a crowd that cannot send says why"));
            // What is still on its way then is not lost, as long as something arrives.
            let (mut held, mut moved) = (0, Instant::now());
            while !arrived() && moved.elapsed() < 3 * patience() {
                flush();
                thread::park_timeout(a_second());
                let now = postfix.count_held();
                if now > held {
                    (held, moved) = (now, Instant::now());
                }
            }
            (ledgers.to_vec(), trouble)
        })
    }

    fn crowd(&self, way: Way) -> Ledger {
        let address = format!("127.0.0.1:253{}", way.digit);
        let (messages, clients) = (messages(), self.clients());
        Crowd { name: way.name, address: &address, messages, clients, pose: self.pose }.send()
    }

    /// How many clients send at once.
    pub(super) fn clients(&self) -> u32 {
        messages().min(self.most_clients)
    }
}

/// Whether every message is there: some may be there twice.
fn has_all(postfix: &Postfix) -> bool {
    let all = messages() as usize * WAYS.len();
    let each = |held: &[String]| WAYS.iter().map(|way| count::of_crowd(held, way.name).len()).sum::<usize>();
    postfix.count_held() >= all && each(&postfix.held()) >= all
}
