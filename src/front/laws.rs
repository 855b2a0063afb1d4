// SPDX-License-Identifier: Apache-2.0
//! What must hold of every address that an operator writes. For tests and fuzzers only.

use super::address::{Address, UnixAddress};

/// What is read is read again from its plain spelling.
pub(crate) fn address(text: &str) {
    match text.parse::<Address>() {
        Ok(address) => assert_eq!(spelled(&address).parse(), Ok(address)),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn spelled(address: &Address) -> String {
    match address {
        Address::Tcp(address) => address.to_string(),
        Address::Unix(UnixAddress { path, mode, user, group }) => {
            assert!(*mode <= 0o777);
            let part = |key, value: &Option<String>| value.as_ref().map_or(String::new(), |v| format!(",{key}={v}"));
            let path = path.to_str().expect("it was read from text");
            format!("unix:{path},mode={mode:o}{}{}", part("user", user), part("group", group))
        }
    }
}
