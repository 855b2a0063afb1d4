// SPDX-License-Identifier: Apache-2.0
//! Attributes and parameters that are refused, in spawn's own words.

use super::row::{Row, row};

pub(super) fn rows() -> Vec<Row> {
    let refuse = |name: &str, proves, attributes: &str, words: &str| row(name, proves).runs(attributes).refused(words);
    vec![
        refuse("refuse_unknown_user", "unknown user name: X", "user=ghost argv=/bin/cat", "unknown user name: ghost"),
        refuse(
            "refuse_numeric_user",
            "unknown user name: X (also numeric)",
            "user=65534 argv=/bin/cat",
            "unknown user name: 65534",
        ),
        refuse("refuse_empty_user", "unknown user name: X (also empty)", "user= argv=/bin/cat", "unknown user name: "),
        refuse(
            "refuse_user_by_case",
            "Names of accounts are not recognised in any case.",
            "user=Nobody argv=/bin/cat",
            "unknown user name: Nobody",
        ),
        refuse(
            "refuse_unknown_group",
            "unknown group name: X",
            "user=nobody:ghosts argv=/bin/cat",
            "unknown group name: ghosts",
        ),
        refuse(
            "refuse_numeric_group",
            "unknown group name: X (also numeric)",
            "user=nobody:65534 argv=/bin/cat",
            "unknown group name: 65534",
        ),
        refuse(
            "refuse_two_colons",
            "What follows the first colon is the group's name.",
            "user=nobody:daemon:x argv=/bin/cat",
            "unknown group name: daemon:x",
        ),
        refuse(
            "refuse_unknown_attribute",
            "unknown attribute name: X",
            "user=nobody colour=red argv=/bin/cat",
            "unknown attribute name: colour=red",
        ),
        refuse(
            "refuse_attribute_without_equals",
            "unknown attribute name: X",
            "user=nobody argv /bin/cat",
            "unknown attribute name: argv",
        ),
        refuse("refuse_missing_user", "missing user= attribute", "argv=/bin/cat", "missing user= attribute"),
        refuse("refuse_missing_argv", "missing argv= attribute", "user=nobody", "missing argv= attribute"),
        refuse("refuse_missing_both", "missing user= attribute, first", "", "missing user= attribute"),
        refuse("refuse_root", "request to deliver as root", "user=root argv=/bin/cat", "request to deliver as root"),
        refuse(
            "refuse_mail_owner",
            "request to deliver as mail system owner",
            "user=postfix argv=/bin/cat",
            "request to deliver as mail system owner",
        ),
        refuse(
            "refuse_root_group",
            "request to use privileged group id 0",
            "user=nobody:root argv=/bin/cat",
            "request to use privileged group id 0",
        ),
        refuse(
            "refuse_mail_owner_group",
            "request to use mail system owner group id N",
            "user=nobody:postfix argv=/bin/cat",
            "request to use mail system owner group id *",
        ),
        refuse(
            "refuse_order_lookup_first",
            "Lookups happen while parsing, sanity checks after.",
            "user=root user=ghost argv=/bin/cat",
            "unknown user name: ghost",
        ),
        refuse(
            "refuse_order_attribute_first",
            "Mistakes are told from left to right.",
            "colour=red user=ghost argv=/bin/cat",
            "unknown attribute name: colour=red",
        ),
        refuse(
            "refuse_order_missing_argv_before_root",
            "Sanity checks: user missing, argv missing, then who it is.",
            "user=root",
            "missing argv= attribute",
        ),
        row("attribute_names_ignore_case", "Names of attributes are recognised in any case.")
            .runs("USER=nobody ArgV=/bin/echo x")
            .prints("x\n"),
        row("attribute_last_user_wins", "Of two user= the last wins.")
            .runs("user=root user=nobody argv=/usr/bin/id -u")
            .prints("65534\n"),
    ]
}
