// SPDX-License-Identifier: Apache-2.0
//! What an operator orders: each is one line of the log that says who did.

use super::super::admit::Admission;
use super::super::supervisor::Supervisor;
use super::super::turn::Event;
use super::peer::Visitor;
use super::request::Order;

impl Supervisor {
    /// Does it, and says what was done; or why it cannot be.
    pub(super) fn obey(&mut self, order: &Order, Visitor { uid, pid, .. }: Visitor) -> Result<String, String> {
        let done = match order {
            Order::Kill(id) => self.kill_session(*id),
            Order::Pause(name) => {
                self.each_named(name, Admission::halt).map(|()| format!("{name}: paused; clients wait"))
            }
            Order::Resume(name) => self.each_named(name, Admission::go_on).map(|()| format!("{name}: resumed")),
        }?;
        tracing::info!("{done}: by uid={uid} pid={pid} over the control socket");
        Ok(done)
    }

    fn kill_session(&mut self, id: u64) -> Result<String, String> {
        let session = self.sessions.get(&id).filter(|session| session.client.is_some());
        let session = session.ok_or_else(|| format!("there is no session {id}: `spawnbox status --all` lists them"))?;
        let service = self.services.get(session.service).map_or("", |service| &service.plan.service);
        let done = format!("{service}: session={id} is ended");
        self.events.push_back((id, Event::Stop));
        Ok(done)
    }

    /// A service of two kinds of sockets has one name.
    fn each_named(&mut self, name: &str, act: impl Fn(&mut Admission)) -> Result<(), String> {
        let named = self.services.iter().filter(|it| it.plan.service == name && !it.admission.is_closed());
        let numbers: Vec<usize> = named.map(|service| service.number).collect();
        if numbers.is_empty() {
            // What was asked for is not repeated: it is nobody's name.
            return Err("no service of that name listens: `spawnbox status` lists them".to_string());
        }
        for number in numbers {
            if let Some(service) = self.services.get_mut(number) {
                act(&mut service.admission);
            }
            self.set_listening(number);
        }
        Ok(())
    }
}
