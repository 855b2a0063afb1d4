// SPDX-License-Identifier: Apache-2.0
//! The text of `/metrics`, in version 0.0.4 of Prometheus' format. The only labels with values that are not ours are
//! names of services, of which there are as many as the operator wrote. Own lines, since the format's libraries write
//! another version, or count behind locks.

use super::super::counts::{Counts, Histogram};
use super::super::supervisor::Supervisor;
use super::names::{self, Metric};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::SystemTime;

/// What is told of a service: of all that have its name together.
#[derive(Debug, Default)]
struct Told {
    counts: Counts,
    ready: bool,
    sessions: usize,
    limit: usize,
    spares: usize,
}

/// The page as far as it is written. Writing to a string cannot fail.
#[derive(Debug, Default)]
struct Page(String);

impl Supervisor {
    /// All of it.
    pub(super) fn metrics_page(&self) -> String {
        let mut page = Page::default();
        let started = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let started = started.saturating_sub(self.began.elapsed()).as_secs_f64();
        page.single(names::BUILD, &[("version", env!("CARGO_PKG_VERSION"))], 1);
        page.single(names::STARTED, &[], format_args!("{started:.3}"));
        page.single(names::DRAINING, &[], u8::from(!self.phase.accepts()));
        page.single(names::LOG_LOST, &[], crate::log::lost());
        page.services(&self.told());
        page.0
    }

    fn told(&self) -> BTreeMap<&str, Told> {
        let mut all: BTreeMap<&str, Told> = BTreeMap::new();
        for service in self.services.iter() {
            let told = all.entry(&service.plan.service).or_insert_with(|| Told { ready: true, ..Told::default() });
            told.counts.add(&service.counts);
            told.sessions += service.admission.live();
            told.spares += service.spares.waiting();
            // One that is to take another's place, or has given it up, says nothing of what is served.
            if !service.admission.is_closed() && service.succeeds.is_none() {
                told.limit += service.admission.limit();
                told.ready &= matches!(self.standing(service).0, "ready" | "full" | "slowed");
            }
        }
        for name in self.refused.keys() {
            all.entry(name).or_default().ready = false;
        }
        all
    }
}

impl Page {
    fn services(&mut self, all: &BTreeMap<&str, Told>) {
        self.each(all, names::READY, |told| u64::from(told.ready));
        self.each(all, names::SESSIONS, |told| told.sessions as u64);
        self.each(all, names::LIMIT, |told| told.limit as u64);
        self.each(all, names::SPARES, |told| told.spares as u64);
        self.each(all, names::ACCEPTED, |told| told.counts.accepted);
        self.by_word(all, names::REFUSED, "reason", |told| told.counts.refused().collect());
        self.by_word(all, names::OUTCOMES, "outcome", |told| told.counts.outcomes().collect());
        self.each(all, names::ABNORMAL, |told| told.counts.abnormal);
        self.each(all, names::DENIED, |told| told.counts.denied);
        self.each(all, names::SPARES_USED, |told| told.counts.spares_used);
        self.each(all, names::SPARES_MISSED, |told| told.counts.spares_missed);
        self.histogram(all, names::SETUP, |told| &told.counts.setup);
        self.histogram(all, names::HANDOVER, |told| &told.counts.handover);
    }

    fn head(&mut self, Metric { name, kind, help }: Metric) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {}", kind.word());
    }

    fn single(&mut self, metric: Metric, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.head(metric);
        self.sample(metric.name, "", labels, value);
    }

    fn each(&mut self, all: &BTreeMap<&str, Told>, metric: Metric, value: impl Fn(&Told) -> u64) {
        self.head(metric);
        for (service, told) in all {
            self.sample(metric.name, "", &[("service", service)], value(told));
        }
    }

    fn by_word(
        &mut self,
        all: &BTreeMap<&str, Told>,
        metric: Metric,
        label: &str,
        values: impl Fn(&Told) -> Vec<(&'static str, u64)>,
    ) {
        self.head(metric);
        for (service, told) in all {
            for (word, value) in values(told) {
                self.sample(metric.name, "", &[("service", service), (label, word)], value);
            }
        }
    }

    fn histogram(&mut self, all: &BTreeMap<&str, Told>, metric: Metric, of: impl Fn(&Told) -> &Histogram) {
        self.head(metric);
        for (service, told) in all {
            let histogram = of(told);
            let mut below = 0;
            for (bound, count) in histogram.classes() {
                below += count;
                let bound = bound.map_or("+Inf".to_string(), |bound| bound.as_secs_f64().to_string());
                self.sample(metric.name, "_bucket", &[("service", service), ("le", &bound)], below);
            }
            let sum = histogram.sum().as_secs_f64();
            self.sample(metric.name, "_sum", &[("service", service)], format_args!("{sum:.6}"));
            self.sample(metric.name, "_count", &[("service", service)], below);
        }
    }

    fn sample(&mut self, name: &str, suffix: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.0.push_str(name);
        self.0.push_str(suffix);
        for (index, (label, value)) in labels.iter().enumerate() {
            let _ = write!(self.0, "{}{label}=\"", if index == 0 { '{' } else { ',' });
            value.chars().for_each(|c| match c {
                '\\' | '"' => self.0.extend(['\\', c]),
                '\n' => self.0.push_str("\\n"),
                c => self.0.push(c),
            });
            self.0.push('"');
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{close} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervise::outcome::Outcome;
    use std::time::Duration;

    #[test]
    fn a_page_is_in_the_format_and_a_name_cannot_leave_its_quotes() {
        let mut counts = Counts::default();
        counts.accepted += 3;
        counts.ended(Outcome::TimeLimit);
        counts.setup.observe(Duration::from_micros(700));
        counts.setup.observe(Duration::from_secs(60));
        let told = Told { counts, ready: true, sessions: 2, limit: 20, spares: 1 };
        let mut page = Page::default();
        page.services(&[("a\"b\\c\nd", told)].into());
        for line in [
            "# TYPE spawnbox_sessions gauge",
            "spawnbox_sessions{service=\"a\\\"b\\\\c\\nd\"} 2",
            "spawnbox_outcomes_total{service=\"a\\\"b\\\\c\\nd\",outcome=\"time-limit\"} 1",
            "spawnbox_setup_seconds_bucket{service=\"a\\\"b\\\\c\\nd\",le=\"0.0005\"} 0",
            "spawnbox_setup_seconds_bucket{service=\"a\\\"b\\\\c\\nd\",le=\"0.001\"} 1",
            "spawnbox_setup_seconds_bucket{service=\"a\\\"b\\\\c\\nd\",le=\"10\"} 1",
            "spawnbox_setup_seconds_bucket{service=\"a\\\"b\\\\c\\nd\",le=\"+Inf\"} 2",
            "spawnbox_setup_seconds_sum{service=\"a\\\"b\\\\c\\nd\"} 60.000700",
            "spawnbox_setup_seconds_count{service=\"a\\\"b\\\\c\\nd\"} 2",
        ] {
            assert!(page.0.lines().any(|found| found == line), "{line}\n{}", page.0);
        }
    }
}
