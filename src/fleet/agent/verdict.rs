//! Where an agent's configuration stands, in one word: what is wanted of it, what it said about that, and what it runs.
//!
//! There is one such word. Lists, pages, API, command line, filters and counts all take it from here.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::report::RemoteConfigOutcome;
use super::{Agent, HoldReason, Intent, Offer};
use crate::fleet::capabilities::Capabilities;
use crate::fleet::config::Comparison;
use crate::fleet::hash::Digest;
use crate::fleet::time::Timestamp;

/// How long after an agent took a configuration its report of what it runs may still be the one from before.
pub const SETTLING: Duration = Duration::from_mins(2);

/// Where an agent's configuration stands, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It refused what is wanted.
    Failed,
    /// It refused what is wanted and went back to something else by itself.
    SelfReverted,
    /// It took what is wanted, and runs something else.
    Drifted,
    /// Something is decided and must not be sent.
    Held,
    /// It takes no configurations.
    NotCapable,
    /// Nothing is known of it that would tell.
    Unknown,
    /// It was not offered what is wanted yet.
    Pending,
    /// It is taking what is wanted.
    Applying,
    /// It took what is wanted, as far as it says; what it runs can't be compared.
    Unverified,
    /// It took what is wanted, and runs it.
    InSync,
    /// Nothing is wanted: it is observed.
    ObserveOnly,
}

/// What was decided about an agent's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decided {
    /// Nothing: observe only.
    Nothing,
    /// Something, and it must not be sent.
    Held,
    /// A content.
    Content,
}

/// What an agent said about the wanted content, or how far that got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing, and it never said what it can do.
    NeverHeard,
    /// It takes no configurations, and says so.
    NotCapable,
    /// It was not offered yet.
    NotOffered,
    /// It was offered, and has yet to answer.
    Offered,
    /// It was offered, and says nothing about configurations.
    OfferedMute,
    /// It is applying it.
    Applying,
    /// It applied it.
    Applied,
    /// It refused it.
    Failed,
    /// It refused it, and applied something else after.
    Reverted,
}

/// What an agent runs, compared with the wanted content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runs {
    /// It doesn't report what it runs.
    NotReported,
    /// It can't be compared, or was not yet.
    Unclear,
    /// Something else, by a report from before it took the wanted content.
    Outdated,
    /// Something else.
    Differs,
    /// The same, but for what supervisors add.
    Same,
}

/// The word for every case: the decision table.
#[must_use]
pub const fn verdict(decided: Decided, answer: Answer, runs: Runs) -> Verdict {
    match (decided, answer) {
        (Decided::Nothing, _) => Verdict::ObserveOnly,
        (Decided::Held, _) => Verdict::Held,
        (Decided::Content, Answer::Failed) => Verdict::Failed,
        (Decided::Content, Answer::Reverted) => Verdict::SelfReverted,
        (Decided::Content, Answer::NeverHeard) => Verdict::Unknown,
        (Decided::Content, Answer::NotCapable) => Verdict::NotCapable,
        (Decided::Content, Answer::NotOffered) => Verdict::Pending,
        (Decided::Content, Answer::Offered | Answer::Applying) => Verdict::Applying,
        (Decided::Content, Answer::OfferedMute | Answer::Applied) => match runs {
            Runs::NotReported | Runs::Unclear | Runs::Outdated => Verdict::Unverified,
            Runs::Differs => Verdict::Drifted,
            Runs::Same => Verdict::InSync,
        },
    }
}

impl Verdict {
    /// All of them, worst first.
    pub const ALL: [Self; 11] = [
        Self::Failed,
        Self::SelfReverted,
        Self::Drifted,
        Self::Held,
        Self::NotCapable,
        Self::Unknown,
        Self::Pending,
        Self::Applying,
        Self::Unverified,
        Self::InSync,
        Self::ObserveOnly,
    ];

    /// The words for it, as pages and filters use them.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::SelfReverted => "self-reverted",
            Self::Drifted => "drifted",
            Self::Held => "held",
            Self::NotCapable => "takes no configuration",
            Self::Unknown => "unknown",
            Self::Pending => "pending",
            Self::Applying => "applying",
            Self::Unverified => "unverified",
            Self::InSync => "in sync",
            Self::ObserveOnly => "observe only",
        }
    }

    /// Whether the agent refused what is wanted.
    #[must_use]
    pub const fn is_refusal(self) -> bool {
        matches!(self, Self::Failed | Self::SelfReverted)
    }

    /// Whether it took what is wanted and nothing speaks against it.
    #[must_use]
    pub const fn is_current(self) -> bool {
        matches!(self, Self::InSync | Self::Unverified)
    }
}

/// The word for one agent, with what there is to say about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement<'a> {
    /// The word.
    pub verdict: Verdict,
    /// The wanted content; `None` when none is, or none may be sent.
    pub wanted: Option<Digest>,
    /// Since when; the epoch when that isn't known.
    pub since: Timestamp,
    /// Why it is held, if it is for a reason of ours.
    pub hold: Option<HoldReason>,
    /// The agent's reason, for refusals; empty otherwise.
    pub error: &'a str,
    /// Whether it was heard to be applying, for [`Verdict::Applying`].
    pub heard: bool,
}

impl Agent {
    /// Where its configuration stands. `comparison` tells how what it runs compares with what is wanted, where both are
    /// known and were compared.
    #[must_use]
    pub fn judge(
        &self,
        desired: &Intent<Offer>,
        comparison: Option<Comparison>,
        now: Timestamp,
    ) -> Judgement<'_> {
        let suspended = self.registration.suspension.as_ref();
        let since = suspended.map_or(Timestamp::EPOCH, |suspension| suspension.terms.since);
        let of = |decided, wanted, hold| Judgement {
            verdict: verdict(decided, Answer::NotOffered, Runs::NotReported),
            wanted,
            since,
            hold,
            error: "",
            heard: false,
        };
        match desired {
            Intent::Unmanaged => of(Decided::Nothing, None, None),
            Intent::Hold(reason) => of(Decided::Held, None, self.delivery.hold.or(Some(*reason))),
            Intent::Want(offer) => {
                let wanted = offer.stamp.digest;
                if self.delivery.hold.is_some() || !self.registration.is_served() {
                    return of(Decided::Held, Some(wanted), self.delivery.hold);
                }
                self.judge_content(wanted, comparison, now)
            }
        }
    }

    fn judge_content(&self, wanted: Digest, comparison: Option<Comparison>, now: Timestamp) -> Judgement<'_> {
        let (answer, mut since, error) = self.answer(wanted, now);
        let runs = self.runs(since, comparison, now);
        let verdict = verdict(Decided::Content, answer, runs);
        if verdict == Verdict::Drifted
            && let Some(effective) = &self.reported.effective_config
        {
            since = since.max(effective.at);
        }
        Judgement {
            verdict,
            wanted: Some(wanted),
            since,
            hold: None,
            error,
            heard: answer == Answer::Applying,
        }
    }

    /// What it said about `wanted`, since when, and why it refused.
    fn answer(&self, wanted: Digest, now: Timestamp) -> (Answer, Timestamp, &str) {
        let delivery = &self.delivery;
        let said = delivery.acknowledged.as_ref();
        let about = said.filter(|said| said.digest == Some(wanted));
        if let Some(failure) = delivery.failure_of(wanted) {
            let other = said.filter(|said| {
                said.outcome == RemoteConfigOutcome::Applied
                    && said.digest != Some(wanted)
                    && said.at >= failure.at
            });
            let (answer, at) =
                other.map_or((Answer::Failed, failure.at), |other| (Answer::Reverted, other.at));
            return (answer, at, &failure.error);
        }
        let offered = delivery.offered.filter(|offered| offered.digest == wanted);
        if let Some(said) = about {
            let answer = match said.outcome {
                RemoteConfigOutcome::Applied => Answer::Applied,
                RemoteConfigOutcome::Applying | RemoteConfigOutcome::Unset => Answer::Applying,
                RemoteConfigOutcome::Failed => return (Answer::Failed, said.at, &said.error),
            };
            // It was offered once more: whoever applied it before need not say so again.
            return match offered.filter(|offered| offered.at > said.at) {
                Some(again) if now.since(again.at) <= SETTLING => (Answer::Applying, again.at, ""),
                Some(again) => (answer, again.at, ""),
                None => (answer, said.at, ""),
            };
        }
        let capabilities = self.reported.capabilities;
        if capabilities.0 != 0 && !capabilities.has(Capabilities::ACCEPTS_REMOTE_CONFIG) {
            return (Answer::NotCapable, Timestamp::EPOCH, "");
        }
        match offered {
            Some(offered) if capabilities.has(Capabilities::REPORTS_REMOTE_CONFIG) => {
                (Answer::Offered, offered.at, "")
            }
            Some(offered) => (Answer::OfferedMute, offered.at, ""),
            None if capabilities.0 == 0 => (Answer::NeverHeard, Timestamp::EPOCH, ""),
            None => (Answer::NotOffered, Timestamp::EPOCH, ""),
        }
    }

    /// What it runs, compared with what it took at `taken`.
    fn runs(&self, taken: Timestamp, comparison: Option<Comparison>, now: Timestamp) -> Runs {
        let Some(effective) = &self.reported.effective_config else {
            return Runs::NotReported;
        };
        match comparison {
            None | Some(Comparison::Unclear) => Runs::Unclear,
            Some(Comparison::Same) => Runs::Same,
            Some(Comparison::Differs) if effective.at < taken && now.since(taken) <= SETTLING => {
                Runs::Outdated
            }
            Some(Comparison::Differs) => Runs::Differs,
        }
    }
}

#[cfg(test)]
mod tests;
