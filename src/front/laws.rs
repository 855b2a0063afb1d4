// SPDX-License-Identifier: Apache-2.0
//! What must hold of every address, every file to import and every policy to add to, that an operator has. For tests
//! and fuzzers only.

use super::learn::merged;
use crate::fuzz::assert_one_line;
use crate::plan::calls;
use crate::policy::address::{Address, UnixAddress};
use crate::policy::import::{Calls, Format, import as imported};

/// What is read is read again from its plain spelling.
pub(crate) fn address(text: &str) {
    match text.parse::<Address>() {
        Ok(address) => {
            assert_eq!(address.to_string().parse().as_ref(), Ok(&address));
            assert_eq!(spelled(&address).parse(), Ok(address));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn spelled(address: &Address) -> String {
    match address {
        Address::Tcp(address) => address.to_string(),
        Address::Abstract(name) => format!("unix:@{name}"),
        Address::Unix(UnixAddress { path, mode, user, group }) => {
            assert!(*mode <= 0o777);
            let part = |key, value: &Option<String>| value.as_ref().map_or(String::new(), |v| format!(",{key}={v}"));
            let path = path.to_str().expect("it was read from text");
            format!("unix:{path},mode={mode:o}{}{}", part("user", user), part("group", group))
        }
    }
}

/// Whatever it is: no more than a line about it, or a policy that can be read, whose every missing part is named.
pub(crate) fn import(text: &str) {
    let words = Calls { allow: &calls::refused, deny: &calls::undeniable, shared: &calls::shared };
    for format in [Format::Oci, Format::Nsjail, Format::Xinetd, Format::Systemd] {
        match imported(format, text, words) {
            Ok(found) => {
                let policy = crate::policy::laws::policy(&found.policy);
                assert!(policy.is_ok(), "{}\n{policy:?}", found.policy);
                for lost in &found.lost {
                    assert_one_line(lost);
                    assert!(found.policy.contains(&format!("#  {lost}\n")), "{}", found.policy);
                }
            }
            Err(why) => assert_one_line(&why),
        }
    }
}

/// What is added to a policy is in it, with all that was there.
pub(crate) fn merge(text: &str) {
    let Ok(before) = crate::policy::laws::policy(text) else { return };
    match merged(text) {
        Ok(added) => {
            let after = crate::policy::laws::policy(&added);
            let after = after.unwrap_or_else(|error| panic!("{error}\n{added}"));
            let paths = after.paths();
            assert!(before.paths().iter().chain([&"/srv/learnt".into()]).all(|path| paths.contains(path)), "{added}");
            let comments = |text: &str| text.lines().filter(|line| line.trim_start().starts_with('#')).count();
            assert!(comments(&added) > comments(text), "{added}");
        }
        Err(why) => assert_one_line(why.lines().next().unwrap_or_default()),
    }
}
