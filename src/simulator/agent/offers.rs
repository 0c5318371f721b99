//! What a simulated agent does with a configuration that it is offered.

use std::sync::Arc;
use std::time::Duration;

use super::telling::Tell;
use super::{Act, Agent, Event};
use crate::fleet::agent::report::RemoteConfigOutcome;
use crate::fleet::time::Timestamp;
use crate::simulator::behaviour::Behaviour;
use crate::simulator::profile::Running;

/// How long a slow agent takes.
const SLOW: Duration = Duration::from_secs(20);
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
        let takes = if self.behaviour == Behaviour::Slow {
            SLOW
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
                        ..Tell::default()
                    },
                    now,
                    acts,
                );
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

    fn finish(&mut self, offer: Arc<Running>, now: Timestamp, acts: &mut Vec<Act>) {
        let poisoned = offer.content.files.values().any(|file| {
            let mut windows = file.body.windows(POISON.len());
            windows.any(|window| window == POISON)
        });
        if self.behaviour == Behaviour::Crashes {
            acts.push(Act::Vanish(AWAY));
            self.be_reborn(now);
            return;
        }
        let failed = poisoned || self.behaviour == Behaviour::Fails;
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
        if self.behaviour == Behaviour::Dark {
            acts.push(Act::FallSilent);
            self.silent = true;
        }
    }
}
