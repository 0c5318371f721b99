use super::super::delivery::{Acknowledgement, Failure, Offered};
use super::super::reported::EffectiveRef;
use super::super::{Origin, Registration};
use super::*;
use crate::fleet::ids::{AgentId, CredentialId};

use Verdict::{
    Applying, Drifted, Failed, Held, InSync, NotCapable, ObserveOnly, Pending, SelfReverted, Unknown,
    Unverified,
};

const RUNS: [Runs; 5] = [
    Runs::NotReported,
    Runs::Unclear,
    Runs::Outdated,
    Runs::Differs,
    Runs::Same,
];

/// For each answer about a wanted content the word for each of [`RUNS`].
const TABLE: [(Answer, [Verdict; 5]); 9] = [
    (Answer::NeverHeard, [Unknown; 5]),
    (Answer::NotCapable, [NotCapable; 5]),
    (Answer::NotOffered, [Pending; 5]),
    (Answer::Offered, [Applying; 5]),
    (
        Answer::OfferedMute,
        [Unverified, Unverified, Unverified, Drifted, InSync],
    ),
    (Answer::Applying, [Applying; 5]),
    (
        Answer::Applied,
        [Unverified, Unverified, Unverified, Drifted, InSync],
    ),
    (Answer::Failed, [Failed; 5]),
    (Answer::Reverted, [SelfReverted; 5]),
];

#[test]
fn every_case_of_the_table_has_its_word() {
    for (answer, words) in TABLE {
        for (runs, word) in RUNS.into_iter().zip(words) {
            assert_eq!(
                verdict(Decided::Content, answer, runs),
                word,
                "{answer:?} {runs:?}"
            );
            assert_eq!(verdict(Decided::Held, answer, runs), Held);
            assert_eq!(verdict(Decided::Nothing, answer, runs), ObserveOnly);
        }
    }
}

#[test]
fn every_word_is_its_own() {
    let mut words: Vec<_> = Verdict::ALL.iter().map(|verdict| verdict.words()).collect();
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), Verdict::ALL.len());
    assert!(Verdict::ALL.is_sorted(), "worst first");
}

const NEW: Digest = Digest([1; 32]);
const OLD: Digest = Digest([2; 32]);
const ABLE: Capabilities = Capabilities::ACCEPTS_REMOTE_CONFIG.with(Capabilities::REPORTS_REMOTE_CONFIG);

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_seconds(1_000 + seconds)
}

fn agent() -> Agent {
    let mut agent = Agent::new(Registration::new(
        AgentId([1; 16]),
        CredentialId([1; 16]),
        Origin::default(),
    ));
    agent.reported.capabilities = ABLE;
    agent
}

fn said(digest: Digest, outcome: RemoteConfigOutcome, seconds: u64) -> Acknowledgement {
    Acknowledgement {
        digest: Some(digest),
        outcome,
        error: String::new(),
        at: at(seconds),
    }
}

fn word(agent: &Agent, comparison: Option<Comparison>, seconds: u64) -> Verdict {
    agent.judge_content(NEW, comparison, at(seconds)).verdict
}

#[test]
fn a_supervisor_that_fails_and_goes_back_is_self_reverted() {
    let mut agent = agent();
    agent.delivery.remember_failure(Failure {
        digest: NEW,
        error: "unknown exporter".into(),
        at: at(5),
    });
    agent.delivery.acknowledged = Some(said(NEW, RemoteConfigOutcome::Failed, 5));
    assert_eq!(word(&agent, Some(Comparison::Same), 6), Failed);
    agent.delivery.acknowledged = Some(said(OLD, RemoteConfigOutcome::Applying, 6));
    assert_eq!(word(&agent, None, 6), Failed, "it is on its way back");
    agent.delivery.acknowledged = Some(said(OLD, RemoteConfigOutcome::Applied, 7));
    let judged = agent.judge_content(NEW, Some(Comparison::Differs), at(8));
    assert_eq!(
        (judged.verdict, judged.error, judged.since),
        (SelfReverted, "unknown exporter", at(7))
    );
    agent.delivery.acknowledged = Some(said(OLD, RemoteConfigOutcome::Applied, 4));
    assert_eq!(word(&agent, None, 8), Failed, "that was before");
}

#[test]
fn what_it_runs_may_lag_behind_what_it_took() {
    let mut agent = agent();
    let effective = |seconds| {
        Some(EffectiveRef {
            digest: OLD,
            at: at(seconds),
            size: 1,
        })
    };
    agent.delivery.acknowledged = Some(said(NEW, RemoteConfigOutcome::Applied, 10));
    assert_eq!(
        word(&agent, Some(Comparison::Same), 10),
        Unverified,
        "nothing is reported"
    );
    agent.reported.effective_config = effective(1);
    assert_eq!(word(&agent, Some(Comparison::Differs), 11), Unverified);
    assert_eq!(word(&agent, Some(Comparison::Differs), 131), Drifted);
    assert_eq!(word(&agent, Some(Comparison::Same), 11), InSync);
    assert_eq!(word(&agent, Some(Comparison::Unclear), 131), Unverified);
    assert_eq!(word(&agent, None, 131), Unverified);
    agent.reported.effective_config = effective(12);
    let judged = agent.judge_content(NEW, Some(Comparison::Differs), at(13));
    assert_eq!((judged.verdict, judged.since), (Drifted, at(12)));
}

#[test]
fn what_was_offered_once_more_is_being_applied_for_a_while() {
    let mut agent = agent();
    agent.delivery.acknowledged = Some(said(NEW, RemoteConfigOutcome::Applied, 10));
    agent.delivery.offered = Some(Offered {
        digest: NEW,
        at: at(500),
    });
    agent.reported.effective_config = Some(EffectiveRef {
        digest: OLD,
        at: at(300),
        size: 1,
    });
    assert_eq!(word(&agent, Some(Comparison::Differs), 510), Applying);
    assert_eq!(word(&agent, Some(Comparison::Differs), 700), Drifted);
}

#[test]
fn an_agent_that_never_said_what_it_can_do_is_unknown() {
    let mut agent = agent();
    assert_eq!(word(&agent, None, 0), Pending);
    agent.reported.capabilities = Capabilities(0);
    assert_eq!(word(&agent, None, 0), Unknown);
    agent.reported.capabilities = Capabilities::REPORTS_HEALTH;
    assert_eq!(word(&agent, None, 0), NotCapable);
}
