// SPDX-License-Identifier: Apache-2.0
//! How serde reads the values of a policy file that can be written in more than one way.
//! Sorts of values only: what one means is `read`'s.

use super::{
    Amount, ClientEnvironment, Entry, EntryTable, PortList, Ports, ProxyProtocol, RangeTable, Scratch, Size, Table,
    Time, User,
};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// What an operator should have written where this is read.
pub(super) trait Expected {
    const TEXT: &'static str;
}

impl Expected for Scratch {
    const TEXT: &'static str = "a table with `path`, `size` and `inodes`";
}

impl Expected for Ports {
    const TEXT: &'static str = "a table such as `{ ports = [25] }`";
}

impl Expected for ProxyProtocol {
    const TEXT: &'static str = "a table such as `{ from = [\"10.0.0.1\"] }`";
}

impl<'de, T: Deserialize<'de> + Expected> Deserialize<'de> for Table<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TableVisitor(PhantomData)).map(Table)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AmountVisitor("a time such as \"5m\"")).map(Time)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AmountVisitor("a size such as \"64M\"")).map(Size)
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EntryVisitor)
    }
}

impl<'de> Deserialize<'de> for User {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UserVisitor)
    }
}

impl<'de> Deserialize<'de> for ClientEnvironment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ClientEnvironmentVisitor)
    }
}

impl<'de> Deserialize<'de> for PortList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PortsVisitor)
    }
}

struct TableVisitor<T>(PhantomData<T>);
struct AmountVisitor(&'static str);
struct EntryVisitor;
struct PortsVisitor;
struct UserVisitor;
struct ClientEnvironmentVisitor;

impl<'de, T: Deserialize<'de> + Expected> Visitor<'de> for TableVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::TEXT)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

impl Visitor<'_> for AmountVisitor {
    type Value = Amount;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Amount, E> {
        Ok(Amount::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Amount, E> {
        Ok(Amount::Text(text.to_owned()))
    }
}

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a path, or a table with `path`")
    }

    fn visit_str<E>(self, path: &str) -> Result<Entry, E> {
        Ok(Entry::Path(path.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Entry, A::Error> {
        EntryTable::deserialize(MapAccessDeserializer::new(map)).map(|table| Entry::Table(Box::new(table)))
    }
}

impl<'de> Visitor<'de> for UserVisitor {
    type Value = User;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an account, or a table such as `{ range = \"61184-65519\" }`")
    }

    fn visit_str<E>(self, name: &str) -> Result<User, E> {
        Ok(User::Account(name.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<User, A::Error> {
        RangeTable::deserialize(MapAccessDeserializer::new(map)).map(User::Range)
    }
}

impl Visitor<'_> for ClientEnvironmentVisitor {
    type Value = ClientEnvironment;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`true` or `false`, or whose names, such as \"systemd\"")
    }

    fn visit_bool<E>(self, told: bool) -> Result<ClientEnvironment, E> {
        Ok(ClientEnvironment::Told(told))
    }

    fn visit_str<E>(self, names: &str) -> Result<ClientEnvironment, E> {
        Ok(ClientEnvironment::Names(names.to_owned()))
    }
}

impl<'de> Visitor<'de> for PortsVisitor {
    type Value = PortList;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of ports, or \"any\"")
    }

    fn visit_str<E>(self, word: &str) -> Result<PortList, E> {
        Ok(PortList::Word(word.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<PortList, A::Error> {
        let mut ports = Vec::new();
        while let Some(port) = seq.next_element()? {
            ports.push(port);
        }
        Ok(PortList::List(ports))
    }
}
