//! What a simulated agent does with a configuration that it is offered.

use std::sync::Arc;
use std::time::Duration;

use super::telling::Tell;
use super::{Act, Agent, Event};
use crate::fleet::agent::report::RemoteConfigOutcome;
use crate::fleet::time::Timestamp;
use crate::simulator::behaviour::Behaviour;
use crate::simulator::profile::Running;

/// How often the health of an agent that flaps turns.
const TURNING: Duration = Duration::from_secs(1);
/// How long a crashed agent is away.
pub(super) const AWAY: Duration = Duration::from_secs(2);
/// A configuration with these letters is one that agents fail to apply.
const POISON: &[u8] = b"FAIL";

/// The outcome of the last offer.
#[derive(Clone, Debug)]
pub(super) struct Verdict {
    pub(super) offer: Arc<Running>,
    pub(super) outcome: RemoteConfigOutcome,
    pub(super) error: &'static str,
}

/// Something that an agent will do at its time.
#[derive(Clone, Debug)]
pub(super) enum Plan {
    /// Finish with the configuration that it is applying.
    Finish(Arc<Running>),
    /// Say that it runs the old configuration again.
    SayFellBack,
    /// Come up again after a restart.
    ComeUp,
    /// Become unhealthy.
    Sicken,
    /// Turn its health over.
    Turn,
}

impl Agent {
    pub(super) fn take_offer(&mut self, offer: Arc<Running>, now: Timestamp, acts: &mut Vec<Act>) -> Tell {
        let status = Tell {
            status: true,
            ..Tell::default()
        };
        let is = |known: Option<&Arc<Running>>| known.is_some_and(|known| known.hash == offer.hash);
        let runs = is(self.running.as_ref());
        acts.push(Act::Note(Event::Offered {
            again: runs || is(self.failed.as_ref()),
        }));
        let judged = self
            .verdict
            .as_ref()
            .filter(|verdict| verdict.offer.hash == offer.hash);
        match judged.map(|verdict| verdict.outcome) {
            // Once is enough.
            Some(RemoteConfigOutcome::Applying) => return Tell::default(),
            Some(RemoteConfigOutcome::Applied) if runs => return status,
            Some(_) | None => {}
        }
        self.verdict = Some(Verdict {
            offer: Arc::clone(&offer),
            outcome: RemoteConfigOutcome::Applying,
            error: "",
        });
        let takes = if self.behaves(&offer) == Behaviour::Slow {
            self.profile.temper.slow_by
        } else {
            self.apply_delay
        };
        self.plan = Some((now.plus(takes), Plan::Finish(offer)));
        status
    }

    pub(super) fn carry_out(&mut self, plan: Plan, now: Timestamp, acts: &mut Vec<Act>) {
        match plan {
            Plan::Finish(offer) => self.finish(offer, now, acts),
            Plan::SayFellBack => {
                self.verdict = self.running.clone().map(|offer| Verdict {
                    offer,
                    outcome: RemoteConfigOutcome::Applied,
                    error: "",
                });
                self.say(
                    Tell {
                        status: true,
                        effective: true,
                        health: true,
                        ..Tell::default()
                    },
                    now,
                    acts,
                );
            }
            Plan::Sicken | Plan::Turn => {
                self.ill = !self.ill;
                if self.behaviour == Behaviour::Flaps {
                    self.plan = Some((now.plus(TURNING), Plan::Turn));
                }
                let health = Tell {
                    health: true,
                    ..Tell::default()
                };
                self.say(health, now, acts);
            }
            Plan::ComeUp => {
                self.started_at = now;
                self.say(
                    Tell {
                        health: true,
                        ..Tell::default()
                    },
                    now,
                    acts,
                );
            }
        }
    }

    /// What it does with this offer.
    fn behaves(&self, offer: &Running) -> Behaviour {
        let shows = |letters: &String| contains(offer, letters.as_bytes());
        let shows = self.profile.temper.only_with.as_ref().is_none_or(shows);
        if shows || self.behaviour == Behaviour::Offline {
            self.behaviour
        } else {
            Behaviour::Healthy
        }
    }

    fn finish(&mut self, offer: Arc<Running>, now: Timestamp, acts: &mut Vec<Act>) {
        let behaviour = self.behaves(&offer);
        if behaviour == Behaviour::Crashes {
            acts.push(Act::Vanish(AWAY));
            self.be_reborn(now);
            return;
        }
        if behaviour == Behaviour::Vanishes {
            acts.push(Act::Vanish(self.profile.temper.away));
            self.verdict = None;
            self.be_reborn(now);
            return;
        }
        let failed = contains(&offer, POISON) || behaviour == Behaviour::Fails;
        self.ill = behaviour == Behaviour::Lies;
        self.wants_uid = behaviour == Behaviour::Rekeys;
        let (outcome, error, event) = if failed {
            let error = "the collector refused this configuration: unknown exporter \"nowhere\"";
            self.failed = Some(Arc::clone(&offer));
            (RemoteConfigOutcome::Failed, error, Event::Failed)
        } else {
            self.running = Some(Arc::clone(&offer));
            (RemoteConfigOutcome::Applied, "", Event::Applied)
        };
        self.verdict = Some(Verdict {
            offer,
            outcome,
            error,
        });
        let tell = Tell {
            status: true,
            effective: !failed,
            health: true,
            ..Tell::default()
        };
        self.say(tell, now, acts);
        acts.push(Act::Note(event));
        self.follow_up(behaviour, now, acts);
    }

    /// What becomes of it once it has applied an offer.
    fn follow_up(&mut self, behaviour: Behaviour, now: Timestamp, acts: &mut Vec<Act>) {
        let temper = &self.profile.temper;
        match behaviour {
            Behaviour::Dark => {
                acts.push(Act::FallSilent);
                self.silent = true;
            }
            Behaviour::Dies => self.plan = Some((now.plus(temper.dies_after), Plan::Sicken)),
            Behaviour::Flaps => self.plan = Some((now.plus(TURNING), Plan::Turn)),
            Behaviour::Offline if !self.was_away => {
                self.was_away = true;
                acts.push(Act::Vanish(temper.away));
            }
            Behaviour::Healthy
            | Behaviour::Fails
            | Behaviour::Slow
            | Behaviour::Crashes
            | Behaviour::Lies
            | Behaviour::Vanishes
            | Behaviour::Rekeys
            | Behaviour::Offline => {}
        }
    }
}

/// Whether an entry of the offer has these letters.
fn contains(offer: &Running, letters: &[u8]) -> bool {
    offer.content.files.values().any(|file| {
        let mut windows = file.body.windows(letters.len().max(1));
        windows.any(|window| window == letters)
    })
}
