// SPDX-License-Identifier: Apache-2.0
//! What was denied so far: each thing once, with how often; its line the first time, and at the end what a policy
//! lacks.

use super::denial::Denial;
use crate::front::arrange::Failure;
use crate::front::new_file::new_file;
use crate::host::HostError;
use crate::plan::calls::{Grant, Value};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

/// The most denials that are kept; the next ones are counted.
const MOST: usize = 10_000;

/// Keeps count.
pub(super) struct Tally {
    json: bool,
    out: Box<dyn Write>,
    /// Where lines stand beside a command's own.
    prefix: &'static str,
    heard: u64,
    order: Vec<Denial>,
    times: BTreeMap<Denial, u64>,
    left_out: u64,
    /// Why a line could not be written.
    lost: Option<HostError>,
}

impl Tally {
    pub(super) fn new(json: bool, out: Option<&Path>) -> Result<Tally, Failure> {
        let (out, prefix): (Box<dyn Write>, _) = match out {
            Some(path) => (Box::new(new_file(path, "name another one")?), ""),
            None => (Box::new(std::io::stderr()), if json { "" } else { "spawnbox: " }),
        };
        let (order, times) = (Vec::new(), BTreeMap::new());
        Ok(Tally { json, out, prefix, heard: 0, order, times, left_out: 0, lost: None })
    }

    /// A call was heard.
    pub(super) fn heard(&mut self) {
        self.heard += 1;
    }

    /// Something was denied.
    pub(super) fn denied(&mut self, denial: Denial, program: &str) {
        let key = denial.without_call();
        if let Some(times) = self.times.get_mut(&key) {
            *times += 1;
            return;
        }
        if self.order.len() == MOST {
            self.left_out += 1;
            return;
        }
        match self.json {
            true => self.line(&denial.json(program).to_string()),
            false => self.line(&format!("{}{}", self.prefix, denial.words(program))),
        }
        self.times.insert(key, 1);
        self.order.push(denial);
    }

    /// What all of it comes to.
    pub(super) fn end(mut self) -> Result<(), HostError> {
        let missing = fragment(&self.order);
        match self.json {
            true => {
                let times: Vec<u64> = self.order.iter().map(|denial| self.times[&denial.without_call()]).collect();
                let summary = serde_json::json!({
                    "calls": self.heard, "denials": self.order.len(), "times": times, "left_out": self.left_out,
                    "policy": missing,
                });
                self.line(&summary.to_string());
            }
            false => {
                let sum: u64 = self.times.values().sum::<u64>() + self.left_out;
                let again: Vec<String> = self
                    .order
                    .iter()
                    .map(|denial| (denial, self.times[&denial.without_call()]))
                    .filter(|(_, times)| *times > 1)
                    .map(|(denial, times)| format!("{times} times: {}", denial.what.words()))
                    .collect();
                again.iter().for_each(|line| self.line(&format!("{}{line}", self.prefix)));
                let what = match (self.order.len(), missing.is_empty()) {
                    (0, _) => format!("nothing was denied in {} calls that were looked at", self.heard),
                    (_, true) => format!("{} in {} calls; no policy allows them", denials(sum), self.heard),
                    (_, false) => {
                        format!("{} in {} calls; a policy that also says this allows them:", denials(sum), self.heard)
                    }
                };
                self.line(&format!("{}{what}", self.prefix));
                if !missing.is_empty() {
                    self.line(missing.trim_end());
                }
            }
        }
        self.lost.map_or(Ok(()), Err)
    }

    fn line(&mut self, line: &str) {
        // One write, so that lines of several processes do not mix.
        if let Err(error) = self.out.write_all(format!("{line}\n").as_bytes()) {
            self.lost.get_or_insert(HostError::of_library("write what is denied", &error));
        }
    }
}

/// The part of a policy that all of these lack.
fn fragment(denials: &[Denial]) -> String {
    let mut tables: BTreeMap<&str, BTreeMap<&str, Vec<&Grant>>> = BTreeMap::new();
    let grants: Vec<&Grant> = denials.iter().filter_map(|denial| denial.remedy.as_ref().ok()).flatten().collect();
    let host = grants.iter().any(|grant| grant.key == "network.mode");
    let together: Vec<Grant> =
        grants.into_iter().map(|grant| if host { beside_host(grant) } else { grant.clone() }).collect();
    for grant in &together {
        let Some((table, key)) = grant.key.split_once('.') else { continue };
        let list = tables.entry(table).or_default().entry(key).or_default();
        if !list.contains(&grant) {
            list.push(grant);
        }
    }
    let mut text = String::new();
    for (table, keys) in tables {
        text.push_str(&format!("{}[{table}]\n", if text.is_empty() { "" } else { "\n" }));
        for (key, grants) in keys {
            let values: Vec<String> = grants.iter().map(|grant| grant.value.toml()).collect();
            match (grants.iter().all(|grant| grant.value.is_listed()), &values[..]) {
                // A word stands for more than a list, and "full" for more than "subset".
                (false, _) => {
                    let words = grants.iter().filter(|grant| !grant.value.is_listed()).map(|grant| grant.value.toml());
                    text.push_str(&format!("{key} = {}\n", words.min().unwrap_or_default()));
                }
                (true, values) if values.iter().map(String::len).sum::<usize>() < 80 => {
                    text.push_str(&format!("{key} = [{}]\n", values.join(", ")));
                }
                (true, values) => text.push_str(&format!("{key} = [\n    {},\n]\n", values.join(",\n    "))),
            }
        }
    }
    text
}

fn denials(number: u64) -> String {
    format!("{number} denial{}", if number == 1 { "" } else { "s" })
}

/// In the host's network nothing is forwarded: there a peer is reached by its port.
fn beside_host(grant: &Grant) -> Grant {
    let port = |peer: &str| peer.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    match &grant.value {
        Value::Text(peer) if grant.key == "network.forward" => {
            let key = if peer.starts_with("udp:") { "network.udp.ports" } else { "network.connect.ports" };
            port(peer).map_or_else(|| grant.clone(), |port| Grant::port(key, port))
        }
        Value::Only(_) | Value::Text(_) | Value::Port(_) | Value::Scratch { .. } => grant.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::denial::What;
    use super::*;
    use crate::plan::sought::End;

    fn denial(name: &str, grants: &[Grant]) -> Denial {
        let what = What::Call { name: name.into(), about: None };
        Denial { what, end: End::Killed, remedy: Ok(grants.to_vec()), made: false }
    }

    #[test]
    fn what_a_policy_lacks_is_one_table_for_each_and_can_be_read() {
        let denials = [
            denial("a", &[Grant::text("files.read", "/etc/hosts"), Grant::only("files.proc", "subset")]),
            denial("b", &[Grant::text("syscalls.allow", "network-client"), Grant::port("network.connect.ports", 25)]),
            denial("c", &[Grant::text("files.read", "/x\"y"), Grant::text("files.read", "/etc/hosts")]),
            denial("c", &[Grant::text("files.read", "/srv/${x}")]),
            denial("d", &[Grant::only("files.proc", "full"), Grant::only("network.mode", "host")]),
        ];
        let expected = "[files]\nproc = \"full\"\nread = [\"/etc/hosts\", \"/x\\\"y\", \"/srv/$${x}\"]\n\n\
                        [network]\nconnect.ports = [25]\nmode = \"host\"\n\n[syscalls]\nallow = [\"network-client\"]\n";
        assert_eq!(fragment(&denials), expected);
        toml::from_str::<toml::Table>(expected).expect("it is TOML");
    }

    #[test]
    fn what_is_asked_of_one_key_more_than_once_is_what_grants_most_of_it() {
        let denials = [
            denial("a", &[Grant::only("files.proc", "full"), Grant::port("network.bind.ports", 25)]),
            denial("b", &[Grant::only("files.proc", "subset"), Grant::only("network.bind.ports", "any")]),
            denial(
                "c",
                &[Grant::text("network.forward", "udp:[::1]:53"), Grant::text("network.forward", "1.2.3.4:25")],
            ),
        ];
        let own = "[files]\nproc = \"full\"\n\n[network]\nbind.ports = \"any\"\nforward = [\"udp:[::1]:53\", \"1.2.3.4:25\"]\n";
        assert_eq!(fragment(&denials), own);
        // What excludes forwarded peers takes their place.
        let host = denial("d", &[Grant::only("network.mode", "host")]);
        let expected = "[files]\nproc = \"full\"\n\n[network]\nbind.ports = \"any\"\nconnect.ports = [25]\nmode = \"host\"\nudp.ports = [53]\n";
        assert_eq!(fragment(&[&denials[..], &[host]].concat()), expected);
    }
}
