// SPDX-License-Identifier: Apache-2.0
//! Two instances of Postfix side by side, as postmulti(1) makes them: each daemon is its own instance's.

use super::row::{Row, row};
use crate::postfix::instance::Postfix;
use crate::scene::Client;
use crate::scene::stage::room;

pub(super) fn rows() -> Vec<Row> {
    let entry = "@name unix - n n - 1 @spawn user=nobody argv=/bin/sh -c { echo $MAIL_CONFIG; pwd; exec sleep 4711 }\n";
    vec![
        row(
            "two_instances",
            "MAIL_CONFIG: the directory with the configuration files, its instance's; syslog_name: the multi_instance_name.",
        )
        .alone()
        .settings("@name_time_limit = 1h")
        .entries(entry)
        .sees(move |at| {
            let other = room();
            let (settings, entry) = (at.fill("@name_time_limit = 1"), at.fill(entry));
            let second =
                Postfix::start_beside(&other, &format!("multi_instance_name = postfix-two\n{settings}"), &entry);
            let places = [at.path("postfix"), other.path("postfix")];
            let mut clients = [at.postfix, &second].map(|postfix| Client::connect(&postfix.socket(at.name)));
            for (client, place) in clients.iter_mut().zip(&places) {
                let place = place.display();
                assert_eq!((client.line(), client.line()), (format!("{place}/config"), format!("{place}/queue")));
            }
            let tag = |instance: &str| format!(" {instance}/{}[", at.spawner.name());
            let exceeded = |line: &str| line.contains("command time limit exceeded");
            let told = at.line(exceeded).unwrap_or_else(|| panic!("the limit did not strike:\n{}", at.log.text()));
            assert!(told.contains(&tag("postfix-two")), "{told}");
            assert!(at.stays(&clients[0]), "the limit of the other instance has struck");
            assert!(!at.log.text().lines().any(|line| exceeded(line) && line.contains(&tag("postfix"))));
            second.stop();
        }),
    ]
}
