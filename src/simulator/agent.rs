//! One simulated agent, without I/O: what happens to it goes in, what it does comes out.

mod offers;
mod telling;

pub(super) use telling::full_size;

use std::sync::Arc;
use std::time::Duration;

use super::behaviour::Behaviour;
use super::memory::KeptAgent;
use super::profile::{Profile, Running};
use crate::fleet::agent::RefusalKind;
use crate::fleet::agent::report::RemoteConfigOutcome;
use crate::fleet::ids::InstanceUid;
use crate::fleet::time::Timestamp;
use crate::opamp::client::Incoming;
use offers::{Plan, Verdict};
use telling::Tell;

#[cfg(test)]
mod tests;

/// How long an agent that fell back waits before it says that it runs the old configuration again.
const FALL_BACK: Duration = Duration::from_secs(1);
/// How long a restart takes that the server asked for.
const RESTARTING: Duration = Duration::from_secs(1);
/// The shortest wait that an agent takes from a server that has no time.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);

/// Something that happens to an agent.
#[derive(Clone, Copy, Debug)]
pub enum Happening<'a> {
    /// A connection is open, or over HTTP polling begins.
    Connected,
    /// The server said this.
    Heard(&'a Incoming),
    /// Time passed: what is due is done.
    Time,
    /// Its process was killed and started again.
    Reborn,
    /// It stops in good order.
    Leaving,
}

/// Something that an agent does.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// Sends these Protobuf bytes.
    Send {
        /// The message.
        message: Vec<u8>,
        /// What is in it.
        kind: Kind,
    },
    /// Breaks the connection without a word, and comes back after a while.
    Vanish(Duration),
    /// Leaves the connection open and does nothing more.
    FallSilent,
    /// Nothing that the server sees: something worth counting.
    Note(Event),
}

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing new: a heartbeat, or a poll.
    Heartbeat,
    /// Something.
    Part,
    /// Everything.
    Full,
}

/// Something worth counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The server asked for everything.
    FullStateAsked,
    /// The server asked for the components.
    ComponentsAsked,
    /// A configuration was offered; `again` when this agent had failed with it, or runs it.
    Offered {
        /// Whether it was known.
        again: bool,
    },
    /// It was applied.
    Applied,
    /// It was not.
    Failed,
    /// The server asked for a restart.
    RestartAsked,
    /// The server gave the agent another uid.
    Renamed,
    /// The server could not process a message.
    Refused(RefusalKind),
    /// The server sent something for another agent.
    Misdirected,
}

/// How often an agent says that it lives; `None` for never.
pub type Heartbeats = Option<Duration>;

/// A simulated agent.
#[derive(Debug)]
pub struct Agent {
    number: u32,
    uid: InstanceUid,
    behaviour: Behaviour,
    profile: Arc<Profile>,
    heartbeats: Heartbeats,
    apply_delay: Duration,
    /// The number of the next message.
    sequence: u64,
    started_at: Timestamp,
    /// Whether this process has told everything once.
    introduced: bool,
    /// What it runs; `None` while that is its own.
    running: Option<Arc<Running>>,
    verdict: Option<Verdict>,
    /// The hash of the offer that it failed with last.
    failed: Option<Arc<Running>>,
    plan: Option<(Timestamp, Plan)>,
    next_heartbeat: Timestamp,
    /// What the last message told, to be told again if it was refused for lack of time.
    last: Tell,
    /// What couldn't be told yet.
    untold: Tell,
    /// The server asked to be left alone until then.
    quiet_until: Option<Timestamp>,
    silent: bool,
    /// It failed with an offer by crashing, and hasn't told yet.
    owes_failure: bool,
    /// It is unhealthy with what it runs.
    ill: bool,
    /// It is about to ask for another uid.
    wants_uid: bool,
    /// It was away once.
    was_away: bool,
}

impl Agent {
    /// An agent that starts at `now`. It takes `apply_delay` to apply a configuration, unless it is slow.
    #[must_use]
    pub fn new(
        number: u32,
        uid: InstanceUid,
        behaviour: Behaviour,
        profile: &Arc<Profile>,
        heartbeats: Heartbeats,
        apply_delay: Duration,
        now: Timestamp,
    ) -> Self {
        Self {
            number,
            uid,
            behaviour,
            profile: Arc::clone(profile),
            heartbeats,
            apply_delay,
            sequence: 0,
            started_at: now,
            introduced: false,
            running: None,
            verdict: None,
            failed: None,
            plan: None,
            next_heartbeat: now,
            last: Tell::default(),
            untold: Tell::default(),
            quiet_until: None,
            silent: false,
            owes_failure: false,
            ill: false,
            wants_uid: false,
            was_away: false,
        }
    }

    /// The agent as a former simulation left it: still running, so that it only says what changed.
    #[must_use]
    pub fn resumed(mut self, kept: &KeptAgent, running: Option<Arc<Running>>) -> Self {
        self.uid = kept.uid;
        self.sequence = kept.sequence;
        self.started_at = kept.started_at;
        self.introduced = kept.introduced;
        self.verdict = running.as_ref().map(|offer| Verdict {
            offer: Arc::clone(offer),
            outcome: RemoteConfigOutcome::Applied,
            error: "",
        });
        self.running = running;
        self
    }

    /// What a later simulation needs to go on as this agent.
    #[must_use]
    pub fn keep(&self) -> KeptAgent {
        KeptAgent {
            uid: self.uid,
            sequence: self.sequence,
            started_at: self.started_at,
            // What was decided about an offer is only remembered where it was applied: the rest is told anew.
            introduced: self.introduced && self.is_settled(),
            credential: None,
            running: None,
        }
    }

    fn is_settled(&self) -> bool {
        self.plan.is_none()
            && self
                .verdict
                .as_ref()
                .is_none_or(|verdict| verdict.outcome == RemoteConfigOutcome::Applied)
    }

    /// The uid that it uses now.
    #[must_use]
    pub fn uid(&self) -> InstanceUid {
        self.uid
    }

    /// The name of its host.
    #[must_use]
    pub fn host(&self) -> String {
        self.profile.host(self.number)
    }

    /// The configuration that it runs; `None` while that is its own.
    #[must_use]
    pub fn running(&self) -> Option<&Arc<Running>> {
        self.running.as_ref()
    }

    /// When [`Happening::Time`] is to be told next; `None` for an agent that has nothing planned.
    #[must_use]
    pub fn due(&self) -> Option<Timestamp> {
        if self.silent {
            return None;
        }
        let plan = self.plan.as_ref().map(|(at, _)| *at);
        let heartbeat = self.heartbeats.map(|_| self.next_heartbeat);
        let speech = match self.quiet_until {
            None => heartbeat,
            Some(until) => Some(until),
        };
        [plan, speech].into_iter().flatten().min()
    }

    /// What the agent does about `happening`.
    #[must_use]
    pub fn handle(&mut self, happening: Happening<'_>, now: Timestamp) -> Vec<Act> {
        let mut acts = Vec::new();
        if self.silent && !matches!(happening, Happening::Reborn) {
            return acts;
        }
        match happening {
            Happening::Connected => self.greet(now, &mut acts),
            Happening::Heard(message) => self.hear(message, now, &mut acts),
            Happening::Time => self.time_passed(now, &mut acts),
            Happening::Reborn => self.be_reborn(now),
            Happening::Leaving => acts.push(self.message(Tell::default(), true, now)),
        }
        acts
    }

    /// Everything at first contact; afterwards only that it is there.
    fn greet(&mut self, now: Timestamp, acts: &mut Vec<Act>) {
        self.quiet_until = None;
        let tell = if self.introduced {
            std::mem::take(&mut self.untold)
        } else {
            Tell::ALL
        };
        self.say(tell, now, acts);
        if std::mem::take(&mut self.owes_failure) {
            acts.push(Act::Note(Event::Failed));
        }
    }

    fn be_reborn(&mut self, now: Timestamp) {
        self.silent = false;
        self.introduced = false;
        self.sequence = 0;
        self.started_at = now;
        self.untold = Tell::default();
        self.quiet_until = None;
        self.plan = None;
        self.ill = false;
        // Whatever was being applied when the process died has failed.
        if let Some(verdict) = &mut self.verdict
            && verdict.outcome == RemoteConfigOutcome::Applying
        {
            verdict.outcome = RemoteConfigOutcome::Failed;
            verdict.error = "the collector crashed with this configuration; it runs the former one again";
            self.failed = Some(Arc::clone(&verdict.offer));
            self.owes_failure = true;
            if self.running.is_some() {
                self.plan = Some((now.plus(FALL_BACK), Plan::SayFellBack));
            }
        }
    }

    fn hear(&mut self, message: &Incoming, now: Timestamp, acts: &mut Vec<Act>) {
        if message.uid != self.uid.0 {
            acts.push(Act::Note(Event::Misdirected));
            return;
        }
        if let Some(refused) = &message.error {
            acts.push(Act::Note(Event::Refused(refused.kind)));
            if refused.kind == RefusalKind::Unavailable {
                let wait = refused.retry_after.unwrap_or_default().max(SHORTEST_WAIT);
                self.quiet_until = Some(now.plus(wait));
                self.untold = self.untold.and(self.last);
            }
            return;
        }
        if let Some(uid) = message.new_uid.as_deref().and_then(InstanceUid::from_wire) {
            self.uid = uid;
            acts.push(Act::Note(Event::Renamed));
        }
        if message.restart {
            acts.push(Act::Note(Event::RestartAsked));
            self.plan = Some((now.plus(RESTARTING), Plan::ComeUp));
            return;
        }
        let mut tell = Tell::default();
        if message.full_state {
            acts.push(Act::Note(Event::FullStateAsked));
            tell = Tell::ALL;
        }
        if message.available_components {
            acts.push(Act::Note(Event::ComponentsAsked));
            tell = tell.and(Tell {
                components: true,
                component_list: true,
                ..Tell::default()
            });
        }
        if let Some((content, hash)) = &message.remote_config {
            let offer = self.profile.share(content, hash);
            tell = tell.and(self.take_offer(offer, now, acts));
        }
        if tell != Tell::default() {
            self.say(tell, now, acts);
        }
    }

    fn time_passed(&mut self, now: Timestamp, acts: &mut Vec<Act>) {
        if let Some((at, plan)) = self.plan.take() {
            if at <= now {
                self.carry_out(plan, now, acts);
            } else {
                self.plan = Some((at, plan));
            }
        }
        if self.silent || self.quiet_until.is_some_and(|until| now < until) {
            return;
        }
        if self.quiet_until.take().is_some() {
            let untold = std::mem::take(&mut self.untold);
            self.say(untold, now, acts);
        } else if self.heartbeats.is_some() && self.next_heartbeat <= now {
            self.say(Tell::default(), now, acts);
        }
    }
}
