//! Counts refusals, so that whoever is refused a thousand times a second fills no log: the first is told at once, then
//! one report a minute with the count. Pure: the time is an argument.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::fleet::time::Timestamp;

/// What was refused to whom, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refusal {
    /// Who; must be one of a bounded set, so never a name that a stranger made up.
    pub actor: String,
    /// What they tried, as in `session.login`.
    pub act: &'static str,
    /// Why it was refused.
    pub reason: Cow<'static, str>,
}

/// Refusals that are to be told now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What was refused.
    pub refusal: Refusal,
    /// How often since the last report; at least 1.
    pub count: u64,
    /// Where the latest attempt came from, if that is known.
    pub address: Option<IpAddr>,
}

/// The counters.
#[derive(Clone, Debug, Default)]
pub struct Refusals(BTreeMap<Refusal, Counter>);

#[derive(Clone, Debug)]
struct Counter {
    told_at: Timestamp,
    untold: u64,
    address: Option<IpAddr>,
}

impl Refusals {
    /// The time between two reports of the same refusal.
    pub const INTERVAL: Duration = Duration::from_mins(1);
    /// The most refusals that are counted apart; what is beyond counts as one actor, `others`.
    pub const DISTINCT: usize = 1000;

    /// Counts a refusal. Returns what is to be told at once, if anything is.
    pub fn count(&mut self, refusal: Refusal, address: Option<IpAddr>, now: Timestamp) -> Option<Report> {
        let refusal = if self.0.len() >= Self::DISTINCT && !self.0.contains_key(&refusal) {
            Refusal {
                actor: "others".to_owned(),
                ..refusal
            }
        } else {
            refusal
        };
        let Some(counter) = self.0.get_mut(&refusal) else {
            self.0.insert(
                refusal.clone(),
                Counter {
                    told_at: now,
                    untold: 0,
                    address,
                },
            );
            return Some(Report {
                refusal,
                count: 1,
                address,
            });
        };
        counter.untold = counter.untold.saturating_add(1);
        counter.address = address;
        counter.tell(&refusal, now)
    }

    /// What was counted and not told for a minute; to be asked now and then. Forgets who stopped trying.
    pub fn due(&mut self, now: Timestamp) -> Vec<Report> {
        let mut reports = Vec::new();
        self.0.retain(|refusal, counter| {
            let keep = counter.untold > 0 || !counter.is_due(now);
            reports.extend(counter.tell(refusal, now));
            keep
        });
        reports
    }

    /// All that was not told, at once: before the end.
    pub fn drain(&mut self) -> Vec<Report> {
        let all = std::mem::take(&mut self.0).into_iter();
        let untold = all.filter(|(_, counter)| counter.untold > 0);
        untold
            .map(|(refusal, Counter { untold, address, .. })| Report {
                refusal,
                count: untold,
                address,
            })
            .collect()
    }
}

impl Counter {
    /// A clock that was set back doesn't silence anything.
    fn is_due(&self, now: Timestamp) -> bool {
        now < self.told_at || now.since(self.told_at) >= Refusals::INTERVAL
    }

    fn tell(&mut self, refusal: &Refusal, now: Timestamp) -> Option<Report> {
        if self.untold == 0 || !self.is_due(now) {
            return None;
        }
        self.told_at = now;
        let count = std::mem::take(&mut self.untold);
        Some(Report {
            refusal: refusal.clone(),
            count,
            address: self.address,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_seconds(1_000_000);

    fn refusal(actor: &str) -> Refusal {
        Refusal {
            actor: actor.to_owned(),
            act: "session.login",
            reason: "wrong password".into(),
        }
    }

    #[test]
    fn the_first_refusal_is_told_at_once_and_the_rest_once_a_minute_with_the_count() {
        let mut refusals = Refusals::default();
        let mut told = Vec::new();
        for second in 0..180 {
            let now = START.plus(Duration::from_secs(second));
            for _ in 0..10 {
                told.extend(
                    refusals
                        .count(refusal("anna"), None, now)
                        .map(|report| (second, report.count)),
                );
            }
            told.extend(refusals.due(now).into_iter().map(|report| (second, report.count)));
        }
        assert_eq!(told, [(0, 1), (60, 600), (120, 600)]);
        let rest: u64 = refusals.drain().iter().map(|report| report.count).sum();
        assert_eq!(rest, 1800 - 1 - 1200, "none is lost");
    }

    #[test]
    fn what_stops_is_told_within_a_minute_and_then_forgotten() {
        let mut refusals = Refusals::default();
        refusals.count(refusal("anna"), None, START);
        refusals.count(refusal("anna"), "10.0.0.1".parse().ok(), START);
        assert_eq!(refusals.due(START), []);
        let later = START.plus(Refusals::INTERVAL);
        let report = Report {
            refusal: refusal("anna"),
            count: 1,
            address: "10.0.0.1".parse().ok(),
        };
        assert_eq!(refusals.due(later), [report]);
        assert_eq!(refusals.due(later.plus(Refusals::INTERVAL)), []);
        assert!(refusals.0.is_empty());
    }

    #[test]
    fn others_are_counted_apart_until_there_are_too_many() {
        let mut refusals = Refusals::default();
        for actor in 0..5000 {
            refusals.count(refusal(&actor.to_string()), None, START);
        }
        assert_eq!(refusals.0.len(), Refusals::DISTINCT + 1);
        assert_eq!(
            refusals.drain(),
            [Report {
                refusal: refusal("others"),
                count: 3999,
                address: None
            }]
        );
    }

    #[test]
    fn a_clock_set_back_silences_nothing() {
        let mut refusals = Refusals::default();
        refusals.count(refusal("anna"), None, START);
        let back = START.minus(Duration::from_hours(24));
        assert!(refusals.count(refusal("anna"), None, back).is_some());
    }
}
