//! The pages of groups, configs and publishing with fixed data.

use std::time::Duration;

use maud::Markup;
use muster::admin_plane::pages::configs::{self, ConfigForm, Meanwhile};
use muster::admin_plane::pages::groups::{self, GroupForm};
use muster::admin_plane::pages::parts::DiffView;
use muster::admin_plane::pages::publish::{self, Chosen, LayerChoice, PublishForm, Standing};
use muster::admin_plane::pages::rollouts;
use muster::admin_plane::pages::scene::{Errors, Scene};
use muster::admin_plane::pages::secrets::{self, SecretForm};
use muster::admin_plane::pages::strategy::{StageRow, StrategyForm};
use muster::app::claims::NamedAgent;
use muster::app::claims::{GroupClaims, ProposedAgent};
use muster::app::error::{Error, FieldError};
use muster::app::intentions::{
    ConfigDetail, ConfigSummary, GroupDetail, GroupSummary, MemberCounts, Preview, RevisionContent,
};
use muster::app::rendered::{RenderedLine, RenderedView};
use muster::app::rollouts::{
    GroupMoves, LeftBehindView, MemberView, PendingMoveView, ProposalView, RolloutDetail, RolloutSummary,
    StageView, Verdict,
};
use muster::app::secrets::SecretView;
use muster::auth::permission::Role;
use muster::fleet::config::Variable;
use muster::fleet::config::merge::{Overlap, Said};
use muster::fleet::config::{
    Config, ConfigFile, ConfigMap, Content, Diff, Kind, Position, Problem, Revision, Starter,
};
use muster::fleet::group::Group;
use muster::fleet::hash::Digest;
use muster::fleet::ids::{AgentId, RolloutId, TargetId};
use muster::fleet::name::Name;
use muster::fleet::rollout::{
    Act, Approval, Check, Counts, Ended, Gate, GateSummary, Given, Outcome, Rollout, State, Strategy,
    Transition,
};
use muster::fleet::target::{
    AffectedAgent, Blocker, Confirmation, ConfirmationReason, Effect, Frozen, Impact, LayerRef, Rendering,
    Scope, Target,
};
use muster::fleet::time::Timestamp;

use crate::gallery::stable;

pub(super) const NOW: Timestamp = Timestamp::from_seconds(1_795_341_849);

pub(super) fn before(seconds: u64) -> Timestamp {
    NOW.minus(Duration::from_secs(seconds))
}

pub(super) fn scene(role: Role) -> Scene<'static> {
    Scene {
        now: NOW,
        form_token: "form-token",
        role,
    }
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// A form that a starter filled.
fn begun() -> ConfigForm {
    let starter = Starter::named("gateway").unwrap().summary();
    ConfigForm::begun_with(starter, &Content::Yaml("receivers:\n".to_owned()))
}

/// Texts that somebody chose: plain ones for snapshots, hostile ones for the property below.
#[derive(Clone, Debug)]
struct Texts {
    author: String,
    message: String,
    title: String,
    yaml: String,
}

impl Texts {
    fn plain() -> Self {
        Self {
            author: "mara".into(),
            message: "Send to the new gateway".into(),
            title: "edge-fra-2".into(),
            yaml: "receivers:\n  otlp:\nexporters:\n  otlphtp:\n".into(),
        }
    }

    fn all(text: &str) -> Self {
        let text = || text.to_owned();
        Self {
            author: text(),
            message: text(),
            title: text(),
            yaml: text(),
        }
    }
}

fn layer(config: &str, revision: u64) -> LayerRef {
    LayerRef {
        config: name(config),
        revision,
    }
}

fn target(texts: &Texts, id: u8, revision: Option<u64>, ago: u64) -> Target {
    Target {
        id: TargetId([id; 16]),
        scope: Scope::Group(name("edge")),
        content: revision.map(|revision| Frozen {
            layers: vec![layer("edge-base", revision)],
            document: Rendering::Common {
                digest: Digest([id; 32]),
                size_bytes: 4_312,
            },
        }),
        published_by: texts.author.clone(),
        published_at: before(ago),
        message: texts.message.clone(),
        supersedes: None,
    }
}

fn group(texts: &Texts) -> GroupSummary {
    GroupSummary {
        group: Group {
            name: name("edge"),
            description: texts.message.clone(),
            selectors: vec![
                "label.tier = edge".parse().unwrap(),
                "fact.host.name =~ edge-.*".parse().unwrap(),
            ],
            priority: 10,
            joins_by_facts: false,
            layers: vec![name("edge-base")],
            target: Some(TargetId([3; 16])),
            strategy: None,
            rollout: None,
            approvals: 0,
            hold: None,
            created_at: before(900_000),
            updated_at: before(720),
        },
        revision: 7,
        published: Some(target(texts, 3, Some(14), 720)),
        newer: vec![layer("edge-base", 15)],
        changed_inputs: 2,
        sends_secrets: false,
        members: MemberCounts {
            all: 48,
            current: 35,
            failed: 2,
            drifted: 3,
            held: 0,
            own_target: 1,
            elsewhere: 0,
            waiting: 7,
        },
        moving: 0,
        left_behind: 0,
    }
}

fn detail(texts: &Texts) -> GroupDetail {
    GroupDetail {
        summary: group(texts),
        history: vec![
            target(texts, 3, Some(14), 720),
            target(texts, 2, None, 90_000),
            target(texts, 1, Some(13), 700_000),
        ],
    }
}

fn claims(texts: &Texts) -> GroupClaims {
    GroupClaims {
        proposed: vec![ProposedAgent {
            agent: AgentId([9; 16]),
            title: texts.title.clone(),
            present: name("unassigned"),
        }],
        ties: [(name("web"), 3)].into(),
    }
}

/// A group into which agents came.
fn moving(texts: &Texts) -> GroupDetail {
    let mut detail = detail(texts);
    detail.summary.members.failed = 0;
    detail.summary.members.drifted = 0;
    (detail.summary.moving, detail.summary.left_behind) = (2, 1);
    detail.summary.members.elsewhere = 3;
    detail.summary.members.current -= 3;
    detail
}

fn moves(texts: &Texts) -> GroupMoves {
    let named = |number, title: &str| NamedAgent {
        title: title.into(),
        id: AgentId([number; 16]),
    };
    let waits = |number, title: &str, waits: &str| PendingMoveView {
        agent: named(number, title),
        from: name("web"),
        since: before(40),
        waits: waits.into(),
    };
    GroupMoves {
        plan: "1 for 3m; 10% for 1m; 50% for 1m; all for 1m".into(),
        pending: vec![
            waits(5, &texts.title, "rollout 7 of its group is not over"),
            waits(6, "web-6", "it has a configuration of its own"),
        ],
        left_behind: vec![LeftBehindView {
            agent: named(8, &texts.title),
            rollout: RolloutId(6),
            why: format!("it failed: Refused it: {}", texts.message),
        }],
    }
}

fn unpublished() -> GroupDetail {
    let mut detail = detail(&Texts::plain());
    detail.summary.group.name = name("lab");
    detail.history.clear();
    detail.summary.published = None;
    detail.summary.newer = Vec::new();
    detail.summary.changed_inputs = 0;
    detail.summary.group.target = None;
    detail.summary.members = MemberCounts::default();
    detail
}

fn revision(texts: &Texts, number: u64) -> Revision {
    Revision {
        config: name("edge-base"),
        number,
        digest: Digest([u8::try_from(number).unwrap(); 32]),
        size_bytes: 4_312 + number,
        author: texts.author.clone(),
        at: before(100_000 / number),
        message: texts.message.clone(),
    }
}

fn config_summary(texts: &Texts) -> ConfigSummary {
    ConfigSummary {
        config: Config {
            name: name("edge-base"),
            kind: Kind::Collector,
            description: texts.message.clone(),
            latest: 3,
            created_at: before(900_000),
            updated_at: before(33_333),
        },
        newest: Some(revision(texts, 3)),
        groups: vec![name("edge"), name("web")],
    }
}

fn problems(texts: &Texts) -> Vec<Problem> {
    vec![
        Problem::error(
            Position { line: 4, column: 3 },
            format!("unknown exporter {}", texts.title),
        ),
        Problem::warning(
            Position { line: 2, column: 3 },
            "no pipeline uses the receiver otlp",
        ),
    ]
}

fn config_detail(texts: &Texts) -> ConfigDetail {
    ConfigDetail {
        summary: config_summary(texts),
        revisions: vec![revision(texts, 3), revision(texts, 2), revision(texts, 1)],
        content: Content::Yaml(texts.yaml.clone()),
        problems: problems(texts),
    }
}

fn files(texts: &Texts) -> Content {
    let file = |body: &[u8]| ConfigFile {
        body: body.to_vec(),
        content_type: texts.title.clone(),
        ..ConfigFile::default()
    };
    Content::Files(
        [
            (texts.title.clone(), file(texts.yaml.as_bytes())),
            ("image".into(), file(&[0xff, 0])),
        ]
        .into(),
    )
}

fn diff(texts: &Texts) -> Diff {
    let after = texts.yaml.replace("otlphtp", "otlphttp") + "# more\n";
    Diff::between(&ConfigMap::document(&texts.yaml), &ConfigMap::document(&after))
}

fn preview(texts: &Texts) -> Preview {
    let agent = |id: u8, effect| AffectedAgent {
        id: AgentId([id; 16]),
        title: texts.title.clone(),
        effect,
    };
    let blocked = |because| Effect::Blocked { because };
    Preview {
        group: name("edge"),
        group_revision: 7,
        layers: vec![layer("edge-base", 15)],
        digest: Some(Digest([15; 32])),
        contents: 1,
        variables: Vec::new(),
        overlaps: vec![Overlap {
            path: "exporters.otlp.endpoint".into(),
            kept: Said {
                layer: 0,
                at: Position { line: 4, column: 15 },
                value: texts.yaml.clone(),
            },
            lost: vec![Said {
                layer: 1,
                at: Position { line: 9, column: 15 },
                value: texts.title.clone(),
            }],
        }],
        published: Some(target(texts, 3, Some(14), 720)),
        already_published: false,
        diff: diff(texts),
        approvals: 0,
        warnings: problems(texts).split_off(1),
        impact: Impact {
            members: 5,
            will_change: 1,
            runs_it: 1,
            own_target: 1,
            blocked: 3,
            fleet: 9,
            confirmation: Some(Confirmation {
                count: 3,
                because: ConfirmationReason::LacksComponents,
            }),
            agents: vec![
                agent(
                    1,
                    blocked(Blocker::FailedBefore {
                        error: texts.message.clone(),
                        at: before(60),
                    }),
                ),
                agent(
                    2,
                    blocked(Blocker::MissingComponents {
                        components: vec![texts.message.clone()],
                    }),
                ),
                agent(3, blocked(Blocker::Offline)),
                agent(4, Effect::Changes),
                agent(5, Effect::OwnTarget),
                agent(6, Effect::RunsIt),
            ],
        },
        strategy: Strategy::default_for(5),
        under_way: Some(RolloutId(16)),
    }
}

/// A rollout in its second stage, with one agent of each verdict.
fn rollout_detail(texts: &Texts) -> RolloutDetail {
    let counts = |members, proven, unproven, waiting, blocked| Counts {
        members,
        proven,
        unproven,
        waiting,
        blocked,
        ..Counts::default()
    };
    let stage = |size: &str, counts| StageView {
        size: size.into(),
        soak_seconds: 60,
        counts,
    };
    let agent = |id: u8, verdict, reason: &str| MemberView {
        id: AgentId([id; 16]),
        title: texts.title.clone(),
        stage: 1,
        verdict,
        reason: reason.into(),
        since: before(90),
        gates: vec![Check {
            gate: Gate::Soak,
            outcome: Outcome::Waiting,
            value: "well for 20 s".into(),
            threshold: "at least 60 s".into(),
        }],
    };
    let step = |seconds, state, note: &str| Transition {
        at: before(seconds),
        by: texts.author.clone(),
        state,
        note: note.into(),
    };
    let rollout = Rollout {
        id: RolloutId(17),
        group: name("edge"),
        kind: muster::fleet::rollout::Kind::Publish,
        target: TargetId([3; 16]),
        from: None,
        strategy: Strategy::default_for(40),
        state: State::Running { stage: 1 },
        members: 40,
        started_by: texts.author.clone(),
        created_at: before(600),
        stage_since: before(240),
        promoted: 0,
        accepted_failures: 0,
        approval: None,
        governs: true,
        history: vec![
            step(600, State::Running { stage: 0 }, ""),
            step(240, State::Running { stage: 1 }, &texts.message),
        ],
    };
    let stages = [
        counts(1, 1, 0, 0, 0),
        counts(3, 1, 1, 1, 0),
        counts(16, 0, 0, 14, 2),
        counts(20, 0, 0, 20, 0),
    ];
    RolloutDetail {
        summary: RolloutSummary {
            brings: "edge-base@15".into(),
            instead_of: "edge-base@14".into(),
            plan: rollout.strategy.to_string(),
            stages: ["1", "10%", "50%", "all"].into_iter().zip(stages).map(|(size, counts)| stage(size, counts)).collect(),
            total: Counts::sum(&stages),
            waits: "Stage 2 of 4: 1 agent proves the new content; 1 agent wait, since at most 1 may be at risk at once.".into(),
            acts: ["pause", "promote", "roll_back", "abort"].map(str::to_owned).into(),
            left_behind: 0,
            rollout,
        },
        proposal: None,
        gates: vec![GateSummary {
            gate: Gate::Soak,
            passed: 2,
            waiting: 1,
            failed: 0,
            skipped: false,
            worst: "well for 20 s".into(),
            threshold: "at least 60 s".into(),
        }],
        agents: vec![
            agent(1, Verdict::Failed, &texts.message),
            agent(2, Verdict::Proving, ""),
            agent(3, Verdict::Blocked, "not connected"),
            agent(4, Verdict::Ok, ""),
        ],
    }
}

/// The same while it waits for approval, as somebody sees it who may approve.
fn proposal(texts: &Texts) -> RolloutDetail {
    let mut detail = rollout_detail(texts);
    let rollout = &mut detail.summary.rollout;
    let given = Given {
        by: texts.author.clone(),
        account: None,
        at: before(60),
    };
    rollout.state = State::AwaitingApproval;
    rollout.approval = Some(Approval {
        needed: 2,
        author: None,
        binds: Digest([9; 32]),
        given: vec![given.clone()],
        expires_at: NOW.plus(Duration::from_hours(100)),
        replaces: false,
    });
    detail.summary.acts.clear();
    detail.summary.waits = "It begins when somebody other than its author approves it.".into();
    detail.agents.clear();
    detail.gates.clear();
    detail.proposal = Some(ProposalView {
        binds: Digest([9; 32]),
        given: vec![given],
        missing: 1,
        expires_at: NOW.plus(Duration::from_hours(100)),
        message: texts.message.clone(),
        agents: vec![NamedAgent {
            title: texts.title.clone(),
            id: AgentId([1; 16]),
        }],
        contents: 2,
        diff: diff(texts),
        decisions: ["approve", "reject", "withdraw"].map(str::to_owned).into(),
        not_you: String::new(),
    });
    detail
}

/// A rollout of the same that is over.
fn ended(texts: &Texts, id: u64, how: Ended) -> RolloutSummary {
    let mut summary = rollout_detail(texts).summary;
    summary.rollout.id = RolloutId(id);
    summary.rollout.target = TargetId([u8::try_from(id).unwrap(); 16]);
    summary.rollout.created_at = before(1_000 - id);
    summary.rollout.state = State::Ended { how };
    summary.waits = String::new();
    summary.acts.clear();
    summary
}

/// The pages of rollouts.
fn rollout_pages(texts: &Texts) -> Vec<(&'static str, Markup)> {
    let admin = scene(Role::Admin);
    let detail = rollout_detail(texts);
    let proposed = proposal(texts);
    let decide = |decision: &str| {
        let view = proposed.proposal.as_ref().unwrap();
        let wrong = Errors::at("reason", &texts.title);
        rollouts::decide(&proposed, view, decision, &texts.message, &wrong, &admin)
    };
    let back = rollouts::act(
        &detail.summary,
        &Act::RollBack,
        &texts.message,
        &Errors::at("reason", &texts.message),
        &admin,
    );
    vec![
        (
            "rollouts",
            rollouts::rollouts(std::slice::from_ref(&detail.summary), None, &admin),
        ),
        (
            "rollouts_none",
            rollouts::rollouts(&[], None, &scene(Role::Viewer)),
        ),
        ("rollout", rollouts::rollout(&detail, &admin)),
        (
            "rollout_for_a_viewer",
            rollouts::rollout(&detail, &scene(Role::Viewer)),
        ),
        ("rollout_act", back),
        (
            "rollout_proposal_diff",
            rollouts::rollout(&proposal(texts), &admin),
        ),
        ("rollout_approve_diff", decide("approve")),
        ("rollout_reject", decide("reject")),
        ("rollout_withdraw", decide("withdraw")),
    ]
}

fn chosen() -> Chosen {
    Chosen {
        group: "edge".into(),
        config: "edge-base".into(),
        revision: "15".into(),
        groups: vec![name("edge"), name("web")],
        configs: vec![name("edge-base")],
        errors: Errors::default(),
    }
}

/// How the group stands: held, with one layer that is in force and one that never was.
fn standing(texts: &Texts) -> Standing {
    let choice = |config: &str, chosen, in_force| LayerChoice {
        config: name(config),
        chosen,
        in_force,
        revisions: (1..=chosen + 1)
            .rev()
            .map(|number| revision(texts, number))
            .collect(),
    };
    Standing {
        layers: vec![choice("edge-base", 15, Some(14)), choice("edge-fra", 2, None)],
        has_strategy: true,
        hold: Some(muster::fleet::suspension::Terms {
            reason: texts.message.clone(),
            by: texts.author.clone(),
            since: before(440),
            until: None,
        }),
    }
}

/// Stages with everything in them that somebody can type.
fn strategy_form(texts: &Texts) -> StrategyForm {
    StrategyForm {
        how: "stages".into(),
        rows: vec![StageRow {
            size: texts.title.clone(),
            soak: texts.message.clone(),
            deadline: texts.author.clone(),
        }],
        at_risk: texts.title.clone(),
        tolerate: texts.message.clone(),
        on_failure: texts.author.clone(),
        silence: texts.title.clone(),
        grace: texts.message.clone(),
    }
}

fn group_form(texts: &Texts) -> GroupForm {
    GroupForm {
        name: "edge".into(),
        description: texts.message.clone(),
        selectors: texts.yaml.clone(),
        priority: texts.title.clone(),
        joins_by_facts: true,
        approvals: texts.title.clone(),
        layers: "edge-base".into(),
        strategy: strategy_form(texts),
        revision: 7,
    }
}

fn wrong(texts: &Texts) -> Errors {
    let errors = [("selectors", texts.message.as_str()), ("", texts.title.as_str())];
    let field = |(field, why): (&str, &str)| FieldError {
        field: field.to_owned(),
        why: why.to_owned(),
    };
    Errors::of(Error::Invalid(errors.map(field).into())).unwrap()
}

/// The pages of a group that no publication has reached all of.
fn early_group_pages(texts: &Texts) -> Vec<(&'static str, Markup)> {
    let page = |rollouts: &[RolloutSummary]| {
        let (claims, moves) = (GroupClaims::default(), GroupMoves::default());
        groups::group(&unpublished(), &claims, &moves, rollouts, &scene(Role::Admin))
    };
    let over = [
        ended(texts, 18, Ended::RolledBack),
        ended(texts, 17, Ended::Superseded),
    ];
    vec![
        ("group_first_rollout", page(&[rollout_detail(texts).summary])),
        ("group_nothing_reached_everybody", page(&over)),
    ]
}

/// The pages of groups, with these texts wherever somebody chooses one.
fn group_pages(texts: &Texts) -> Vec<(&'static str, Markup)> {
    let admin = scene(Role::Admin);
    let configs_names = [name("edge-base")];
    vec![
        (
            "groups",
            groups::groups(&[group(texts), unpublished().summary], &admin),
        ),
        ("groups_none", groups::groups(&[], &admin)),
        (
            "group",
            groups::group(
                &detail(texts),
                &claims(texts),
                &GroupMoves::default(),
                &[rollout_detail(texts).summary],
                &admin,
            ),
        ),
        (
            "group_moving",
            groups::group(
                &moving(texts),
                &GroupClaims::default(),
                &moves(texts),
                &[],
                &admin,
            ),
        ),
        (
            "group_unpublished",
            groups::group(
                &unpublished(),
                &GroupClaims::default(),
                &GroupMoves::default(),
                &[],
                &admin,
            ),
        ),
        (
            "group_for_a_viewer",
            groups::group(
                &detail(texts),
                &claims(texts),
                &GroupMoves::default(),
                &[],
                &scene(Role::Viewer),
            ),
        ),
        (
            "group_new",
            groups::new(&GroupForm::default(), &configs_names, &Errors::default(), &admin),
        ),
        (
            "group_edit_wrong",
            groups::edit(&group_form(texts), None, &configs_names, &wrong(texts), &admin),
        ),
        (
            "group_edit_conflict",
            groups::edit(
                &group_form(texts),
                Some(&group(texts)),
                &configs_names,
                &wrong(texts),
                &admin,
            ),
        ),
        (
            "group_delete",
            groups::delete(
                &group(texts),
                Some("Type edge to delete the group with its agents"),
                &admin,
            ),
        ),
        (
            "group_withdraw",
            groups::withdraw(&group(texts), &Errors::default(), &admin),
        ),
    ]
}

/// The pages of configs.
fn config_pages(texts: &Texts) -> Vec<(&'static str, Markup)> {
    let admin = scene(Role::Admin);
    let collector = ConfigForm {
        message: texts.message.clone(),
        description: texts.title.clone(),
        ..ConfigForm::of("edge-base", &Content::Yaml(texts.yaml.clone()), 2)
    };
    let files_form = ConfigForm::of("unit-files", &files(texts), 1);
    let now = Meanwhile {
        latest: 3,
        author: texts.author.clone(),
        diff: diff(texts),
    };
    vec![
        ("configs", configs::configs(&[config_summary(texts)], &admin)),
        ("configs_none", configs::configs(&[], &scene(Role::Viewer))),
        ("config", configs::config(&config_detail(texts), &admin)),
        (
            "config_files",
            configs::revision(
                &RevisionContent {
                    revision: revision(texts, 1),
                    content: files(texts),
                },
                3,
                &admin,
            ),
        ),
        (
            "config_diff",
            configs::difference("edge-base", 2, 3, &diff(texts), DiffView::Split, &admin),
        ),
        (
            "config_new",
            configs::new(
                &ConfigForm::empty(Kind::Collector),
                &[],
                &Errors::default(),
                &admin,
            ),
        ),
        (
            "config_new_begun",
            configs::new(&begun(), &[], &Errors::default(), &admin),
        ),
        (
            "config_new_wrong",
            configs::new(&collector, &problems(texts), &wrong(texts), &admin),
        ),
        (
            "config_edit_conflict",
            configs::edit(&collector, &[], Some(&now), &wrong(texts), &admin),
        ),
        (
            "config_edit_files",
            configs::edit(
                &files_form,
                &[],
                None,
                &Errors::at("content", &texts.message),
                &admin,
            ),
        ),
        (
            "config_delete",
            configs::delete(&config_summary(texts), &wrong(texts), &admin),
        ),
    ]
}

/// The pages of publishing.
fn publish_pages(texts: &Texts) -> Vec<(&'static str, Markup)> {
    let admin = scene(Role::Admin);
    let blank = PublishForm {
        other: texts.yaml.clone(),
        message: texts.message.clone(),
        confirm: texts.title.clone(),
        strategy: strategy_form(texts),
        if_running: String::new(),
        allow_blank: false,
        errors: Errors::at("allow_blank", &texts.message),
    };
    let mut wrong_everywhere = blank.clone();
    for field in [
        "layers",
        "other",
        "how",
        "size-0",
        "soak-0",
        "deadline-0",
        "at_risk",
        "tolerate",
        "on_failure",
        "silence",
        "grace",
        "if_running",
        "confirm",
        "message",
    ] {
        wrong_everywhere.errors.add(field, &texts.message);
    }
    let stopped = Preview {
        warnings: problems(texts)
            .into_iter()
            .map(|problem| Problem {
                file: Some("edge-base@15".to_owned()),
                ..problem
            })
            .collect(),
        ..preview(texts)
    };
    vec![
        (
            "publish_choice",
            publish::publish(&chosen(), None, DiffView::Unified, &admin),
        ),
        (
            "publish",
            publish::publish(
                &chosen(),
                Some((&preview(texts), &Standing::default(), &PublishForm::default())),
                DiffView::Unified,
                &admin,
            ),
        ),
        (
            "publish_stopped",
            publish::publish(
                &chosen(),
                Some((&stopped, &Standing::default(), &PublishForm::default())),
                DiffView::Unified,
                &admin,
            ),
        ),
        (
            "publish_blank",
            publish::publish(
                &chosen(),
                Some((&preview(texts), &standing(texts), &blank)),
                DiffView::Split,
                &admin,
            ),
        ),
        (
            "publish_wrong",
            publish::publish(
                &chosen(),
                Some((&preview(texts), &standing(texts), &wrong_everywhere)),
                DiffView::Unified,
                &admin,
            ),
        ),
    ]
}

fn rendered(texts: &Texts) -> RenderedView {
    let line = |text: &str, layer, line| RenderedLine {
        text: text.to_owned(),
        layer,
        line,
    };
    let agent = |id| NamedAgent {
        title: texts.title.clone(),
        id: AgentId([id; 16]),
    };
    RenderedView {
        group: name("edge"),
        layers: vec![layer("edge-base", 15), layer("edge-fra", 2)],
        agent: Some(agent(1)),
        lines: vec![
            line("exporters:", 0, 4),
            line("  otlp:", 0, 5),
            line(&texts.yaml, 1, 3),
        ],
        files: Vec::new(),
        overlaps: preview(texts).overlaps,
        problems: problems(texts),
        variables: vec![Variable::Label(texts.title.clone())],
        missing: vec![Variable::Label(texts.title.clone())],
        diff: diff(texts),
        choices: vec![agent(1), agent(2)],
    }
}

fn secret(texts: &Texts, groups: Vec<Name>, unreadable: bool) -> SecretView {
    SecretView {
        name: name(if unreadable { "tls-key" } else { "vendor-token" }),
        description: texts.message.clone(),
        version: 3,
        updated_at: before(700),
        updated_by: texts.author.clone(),
        unreadable,
        groups,
    }
}

/// The pages of what layers come to, and of secrets.
fn layer_pages(texts: &Texts) -> Vec<(&'static str, Markup)> {
    let admin = scene(Role::Admin);
    let (used, free) = (
        secret(texts, vec![name("edge")], false),
        secret(texts, Vec::new(), true),
    );
    let form = SecretForm {
        name: texts.title.clone(),
        description: texts.message.clone(),
        known: false,
    };
    let known = SecretForm {
        known: true,
        ..form.clone()
    };
    vec![
        ("group_rendered", groups::rendered(&rendered(texts), &admin)),
        ("secrets", secrets::secrets(&[used.clone(), free.clone()], &admin)),
        ("secrets_none", secrets::secrets(&[], &admin)),
        (
            "secrets_viewer",
            secrets::secrets(std::slice::from_ref(&used), &scene(Role::Viewer)),
        ),
        (
            "secret_new",
            secrets::set(&form, &Errors::at("value", &texts.message), &admin),
        ),
        ("secret_set", secrets::set(&known, &Errors::default(), &admin)),
        ("secret_delete", secrets::delete(&free, None, &admin)),
        (
            "secret_delete_used",
            secrets::delete(&used, Some(&texts.message), &admin),
        ),
    ]
}

/// Every page.
fn pages(texts: &Texts) -> Vec<(&'static str, Markup)> {
    let mut pages = group_pages(texts);
    pages.extend(early_group_pages(texts));
    pages.extend(config_pages(texts));
    pages.extend(publish_pages(texts));
    pages.extend(rollout_pages(texts));
    pages.extend(layer_pages(texts));
    pages
}

#[test]
fn every_page_renders_as_agreed() {
    for (page, html) in pages(&Texts::plain()) {
        insta::assert_snapshot!(format!("page_{page}"), stable(html));
    }
}

#[test]
fn ids_are_unique_and_every_label_has_its_field() {
    for (page, html) in pages(&Texts::plain()) {
        check_ids(page, &html.into_string());
    }
}

#[test]
fn every_error_of_a_summary_leads_to_its_field() {
    for (page, html) in pages(&Texts::plain()) {
        if !page.starts_with("publish") && !page.starts_with("group") {
            continue;
        }
        let html = html.into_string();
        let Some((_, summary)) = html.split_once("class=\"error-summary\"") else {
            continue;
        };
        let summary = summary.split("</ul>").next().unwrap();
        for link in summary.split("href=\"#").skip(1) {
            let id = link.split('"').next().unwrap();
            assert!(html.contains(&format!(" id=\"{id}\"")), "{page}: {id}");
        }
    }
}

#[test]
fn a_viewer_is_offered_nothing_to_change() {
    for (page, html) in pages(&Texts::plain()) {
        if page == "group_for_a_viewer" || page == "configs_none" {
            let html = html.into_string();
            assert!(
                !html.contains("<form method=\"post\"")
                    && !html.contains("/edit\"")
                    && !html.contains("/publish?"),
                "{html}"
            );
        }
    }
}

pub(super) fn check_ids(page: &str, html: &str) {
    let values = |attribute: &str| -> Vec<String> {
        let pattern = format!(" {attribute}=\"");
        html.split(pattern.as_str())
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap().to_owned())
            .collect()
    };
    let mut ids = values("id");
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count, "{page}: {ids:?}");
    for target in values("for").iter().chain(
        &values("aria-describedby")
            .join(" ")
            .split(' ')
            .map(str::to_owned)
            .collect::<Vec<_>>(),
    ) {
        assert!(target.is_empty() || ids.contains(target), "{page}: {target}");
    }
}

/// Tags and the text between them say the same whatever is put into the fields: nothing that is chosen becomes markup.
pub(super) fn check_inert(page: &str, html: &str) {
    for tag in html.split('<').skip(1) {
        let tag = tag.split('>').next().unwrap();
        let lower = tag.to_lowercase().replace("noscript", "");
        for forbidden in [
            "script",
            "img",
            "onerror=",
            "onload=",
            "javascript:",
            "iframe",
            " style=",
        ] {
            // Quotes inside a value are escaped, so that what looks like an attribute stands within one.
            let outside: String = lower.split('"').step_by(2).collect();
            assert!(!outside.contains(forbidden), "{page}: {tag}");
        }
        for url in ["href=\"", "src=\"", "action=\"", "hx-get=\""] {
            for value in tag.split(url).skip(1) {
                assert!(
                    value.starts_with(['/', '#', '?']) && !value.starts_with("//"),
                    "{page}: {tag}"
                );
            }
        }
    }
    // What is typed into a field is kept as it is; everywhere else what hides itself is shown by name.
    let shown = html
        .split("<textarea")
        .map(|part| part.split_once("</textarea>").map_or(part, |(_, after)| after));
    for part in shown.flat_map(|part| part.split(" value=\"").enumerate()) {
        let text = if part.0 == 0 {
            part.1
        } else {
            part.1.split_once('"').unwrap().1
        };
        assert!(!text.contains(['\u{202e}', '\u{2066}', '\0']), "{page}: {text}");
    }
}

pub(super) const HOSTILE: [&str; 8] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onload='alert(1)",
    "</textarea><script>alert(1)</script>",
    "javascript:alert(1)",
    "</title></style><iframe src=//evil.example>",
    "\u{202e}gnp.exe\u{2066}",
    "&lt;b&gt;&#x3c;script&#x3e;",
];

#[test]
fn nothing_that_somebody_chose_becomes_markup() {
    for text in HOSTILE {
        for (page, html) in pages(&Texts::all(text)) {
            check_inert(page, &html.into_string());
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]
    #[test]
    fn no_text_changes_the_tags_of_a_page(text in "[<>\"'&/= a-z:\\n]{1,40}") {
        // The same text once harmless: as many tags stand on the page.
        let harmless: String = text.chars().map(|c| if c.is_ascii_lowercase() || c == '\n' { c } else { 'x' }).collect();
        let count = |texts: &Texts| -> Vec<usize> {
            // Without differences, where the words that are marked depend on the text.
            let pages = pages(texts).into_iter();
            let alike = pages.filter(|(page, _)| !page.contains("publish") && !page.contains("rendered") && !page.contains("diff") && !page.contains("conflict"));
            alike.map(|(_, html)| html.into_string().matches('<').count()).collect()
        };
        proptest::prop_assert_eq!(count(&Texts::all(&text)), count(&Texts::all(&harmless)));
    }
}
