// SPDX-License-Identifier: Apache-2.0
//! `[listen]`: where a service listens itself, in the words of `spawnbox listen`, and how.
//! Names may stand for those of the service in a path and in its owner; what they become is checked again.

use super::address::{Address, BadAddress, UnixAddress};
use super::check::{Check, RootPath, path};
use super::diagnose::Mistake;
use super::file;
use super::model::Listen;
use super::origin::Sourced;
use super::{read as accounts, variables};
use toml::Spanned;

/// The kernel cuts what is more to net.core.somaxconn, and takes the number for one of 32 bits.
const BACKLOG: std::ops::RangeInclusive<i64> = 1..=65_535;

/// Reads the table.
pub(super) fn listen(check: &mut Check<'_>, written: file::Listen) -> Listen {
    Listen {
        addresses: addresses(check, written.addresses),
        backlog: check.count("backlog", written.backlog, BACKLOG),
        reuse_port: check.plain(written.reuse_port),
    }
}

fn addresses(check: &mut Check<'_>, written: Option<Spanned<file::List<String>>>) -> Vec<Sourced<Address>> {
    let Some(written) = written else { return Vec::new() };
    if written.get_ref().is_empty() {
        check.impossible("addresses", written.span(), "leave the key out where the service listens nowhere");
    }
    let mut all: Vec<Sourced<Address>> = Vec::new();
    for text in written.into_inner() {
        let span = text.span();
        let Some(address) = check.value("addresses", Some(text), read) else { continue };
        if all.iter().any(|other| other.value.is_same_place(&address.value)) {
            check.mistake(Mistake::new("address is written twice in `addresses`").label("for the second time"), span);
        } else {
            all.push(address);
        }
    }
    all
}

/// An address whose parts may still name the service.
fn read(text: String) -> Result<Address, String> {
    variables::check(&text)?;
    let address: Address = text.parse().map_err(|error: BadAddress| error.to_string())?;
    if let Address::Unix(UnixAddress { path: written, user, group, .. }) = &address {
        // Relative to nothing that an operator knows: a server's working directory is nobody's business.
        if let Err(mistake) = path(&written.to_string_lossy(), RootPath::Refused) {
            return Err(why(&mistake("addresses")));
        }
        for account in [user, group].into_iter().flatten() {
            accounts::account(account.clone())?;
        }
    }
    Ok(address)
}

/// What a path of a socket became.
pub(super) fn became(text: &str) -> Result<(), String> {
    match path(text, RootPath::Refused) {
        Err(mistake) => Err(why(&mistake("addresses"))),
        Ok(_) => Ok(()),
    }
}

/// The reason alone: the key is named around it.
fn why(mistake: &Mistake) -> String {
    mistake.told().label.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::address::Address;
    use super::super::load::from_text;
    use super::super::set::layer;

    #[test]
    fn what_is_no_place_to_listen_is_refused() {
        for (value, why) in [
            ("[\"7000\"]", "not an address with a port; write 127.0.0.1:7000, [::1]:7000 or unix:/run/x.sock"),
            ("[\"localhost:7000\"]", "names are not looked up"),
            ("[\"unix:\"]", "no path"),
            ("[\"unix:run/x.sock\"]", "a path starts with `/`"),
            ("[\"unix:/run/../x.sock\"]", "write it without `.` and `..`"),
            ("[\"unix:/run/x.sock,mode=rw\"]", "`rw` is not a mode; write mode=0660"),
            ("[\"unix:/run/x.sock,mod=0660\"]", "`mod=0660` is not an option of a UNIX address"),
            ("[\"unix:/run/x.sock,group=a b\"]", "no account has this name"),
            ("[\"unix:@x,group=mail\"]", "an abstract name has no mode and no owner"),
            ("[\"unix:/run/${name}.sock\"]", "`${name}` is not known"),
            ("[\"127.0.0.1:1\", \"127.0.0.1:1\"]", "address is written twice in `addresses`"),
            ("[\"unix:/x\", \"unix:/x,mode=0666\"]", "address is written twice in `addresses`"),
            ("[]", "leave the key out where the service listens nowhere"),
        ] {
            let error = layer(&format!("listen.addresses={value}")).unwrap_err().to_string();
            assert!(error.contains(why), "{value}: {error}");
        }
        for (text, why) in [
            ("listen.backlog=0", "must be from 1 to 65535"),
            ("listen.reuse-port=\"yes\"", "expected `true` or `false`"),
            ("listen.address=\"127.0.0.1:1\"", "did you mean `addresses`?"),
        ] {
            let error = layer(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn an_address_may_be_the_only_one() {
        let policy = layer("listen.addresses=127.0.0.1:25").unwrap().policy;
        assert_eq!(policy.listen.addresses[0].value, Address::Tcp("127.0.0.1:25".parse().unwrap()));
    }

    #[test]
    fn the_name_of_the_service_is_filled_in() {
        let text = "version = 1\nlisten.addresses = [\"unix:/run/${service}/s,user=${service},group=${user}\", \"unix:@${service}\"]\n";
        let policy = from_text(text, &[]).unwrap();
        let all: Vec<String> = policy.listen.addresses.iter().map(|address| address.value.to_string()).collect();
        assert_eq!(all, ["unix:/run/text/s,user=text,group=nobody", "unix:@text"]);
    }

    #[test]
    fn a_path_that_becomes_too_long_is_told_with_its_line() {
        let long = "x".repeat(100);
        let text = format!("version = 1\nlisten.addresses = [\"unix:/{long}/${{service}}\"]\n");
        let lines: Vec<String> = from_text(&text, &[]).unwrap_err().lines().collect();
        assert!(lines[0].starts_with("/etc/spawnbox/text.toml:2:"), "{lines:?}");
        assert!(lines[0].contains("at most 107 bytes"), "{lines:?}");
    }

    #[test]
    fn later_addresses_take_the_place_of_earlier_ones() {
        use super::super::extend::extend;
        let (below, above) =
            (layer("listen.addresses=127.0.0.1:1").unwrap(), layer("listen.addresses=127.0.0.1:2").unwrap());
        let more = layer("listen.backlog=7").unwrap();
        let policy = extend(extend(below.clone(), above), more.clone()).policy;
        let all: Vec<String> = policy.listen.addresses.iter().map(|address| address.value.to_string()).collect();
        assert_eq!(all, ["127.0.0.1:2"]);
        assert_eq!(extend(below.clone(), more).policy.listen.addresses, below.policy.listen.addresses);
    }
}
