//! The pages about the fleet with fixed models: what they show is a promise, and what agents say is only ever text.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use maud::Markup;
use muster::admin_plane::Site;
use muster::admin_plane::assets;
use muster::admin_plane::pages::add_agents::{self, AddForm, JoiningView, Way};
use muster::admin_plane::pages::agent::acts::{self, Act, Asked};
use muster::admin_plane::pages::agent::configuration::Side;
use muster::admin_plane::pages::agent::edit::{self, AdoptForm, EditForm};
use muster::admin_plane::pages::agent::messages::{self, MessageForm};
use muster::admin_plane::pages::agent::{self, AgentTab};
use muster::admin_plane::pages::agents::bulk::{self, BulkAct, BulkView};
use muster::admin_plane::pages::agents::{self, AgentsView};
use muster::admin_plane::pages::layout::{Nav, Page, page};
use muster::admin_plane::pages::overview::overview;
use muster::admin_plane::pages::parts::DiffView;
use muster::admin_plane::pages::scene::{Errors, Scene};
use muster::admin_plane::pages::terms::TermsForm;
use muster::app::agents::{
    AgentConfiguration, AgentDetail, AgentIdentity, AgentPage, AgentSort, AgentSummary, BulkResult,
    ComponentsView, ConfigStanding, EffectiveView, Rotation, Said, Tally, TimelineView, Wanted,
};
use muster::app::claims::NamedAgent;
use muster::app::messages::{AgentMessages, Received, Waits};
use muster::app::overview::{Few, Overview, Recent, RecentKind, Trouble, TroubleKind};
use muster::app::records::TimelineEntry;
use muster::app::rollouts::PendingMoveView;
use muster::auth::permission::Role;
use muster::fleet::agent::health::{Condition, Status};
use muster::fleet::agent::presence::Presence;
use muster::fleet::agent::report::{Component, Health, RemoteConfigOutcome};
use muster::fleet::agent::{
    Completeness, Delivery, EffectiveRef, Happening, HoldReason, Origin, Registration, RestartOrder,
    Transport, Verdict,
};
use muster::fleet::attributes::{Attribute, Description, Value};
use muster::fleet::config::yaml::Limits;
use muster::fleet::config::{ConfigMap, Diff, drift};
use muster::fleet::custom::CustomMessage;
use muster::fleet::enrolment::{EnrolmentToken, Grants};
use muster::fleet::group::Because;
use muster::fleet::hash::Digest;
use muster::fleet::identity::{Credential, CredentialState, Purpose, Scope};
use muster::fleet::ids::{AgentId, CredentialId, EnrolmentTokenId, InstanceUid, RolloutId, TargetId};
use muster::fleet::name::Name;
use muster::fleet::suspension::Terms;
use muster::fleet::target::{self, Frozen, LayerRef, Rendering, Target};
use muster::fleet::time::Timestamp;
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_seconds(1_795_341_849);

fn before(seconds: u64) -> Timestamp {
    NOW.minus(Duration::from_secs(seconds))
}

fn scene(role: Role) -> Scene<'static> {
    Scene {
        now: NOW,
        form_token: "form-token",
        role,
    }
}

fn id(number: u8) -> AgentId {
    AgentId([number; 16])
}

/// The page as text: one element a line, asset names without their hashes.
fn in_frame(title: &str, active: Nav, body: Markup) -> String {
    let mut html = page(&Page {
        title,
        site: "muster.example.net",
        user: "mara",
        active: Some(active),
        crumbs: &[],
        topics: &["agents"],
        banner: None,
        editor: false,
        form_token: "form-token",
        now: NOW,
        body,
    })
    .into_string();
    for name in assets::names() {
        html = html.replace(&assets::url(name), &format!("{}{name}", assets::PREFIX));
    }
    html
}

/// The part of the page that is its own, one element a line.
fn own_part(html: &str) -> String {
    let main = html
        .split("<main")
        .nth(1)
        .unwrap()
        .split("</main>")
        .next()
        .unwrap();
    let mut text = format!("<main{main}");
    for tag in [
        "<tr", "<td", "<th", "<li", "<div", "<section", "<form", "<p", "<h1", "<h2", "<nav", "<details",
        "<label",
    ] {
        text = text.replace(tag, &format!("\n{tag}"));
    }
    text
}

/// What agents and people wrote, in the one place where a test can make all of it hostile.
struct Words<'a> {
    name: &'a str,
    reason: &'a str,
    label: (&'a str, &'a str),
    fact: (&'a str, &'a str),
    component: &'a str,
    document: &'a str,
}

const PLAIN: Words<'static> = Words {
    name: "edge-fra-2",
    reason: "cannot start pipelines: unknown exporter \"otlphtp\" (line 5)",
    label: ("region", "eu"),
    fact: ("os.description", "Debian GNU/Linux 13"),
    component: "otlp/backend",
    document: "receivers:\n  otlp: {}\nexporters:\n  otlp/backend: {}\n  otlphtp: {}\n",
};

fn summary(number: u8, words: &Words<'_>, condition: Condition, state: Verdict) -> AgentSummary {
    let reason = match condition {
        Condition::Healthy => "Reports healthy".to_owned(),
        Condition::Down => "Not connected".to_owned(),
        Condition::InProgress => "Applying the configuration".to_owned(),
        Condition::Unknown => "Enrolled, not heard of yet".to_owned(),
        Condition::Degraded => format!("Refused the configuration: {}", words.reason),
    };
    let age = 120 * u64::from(number);
    AgentSummary {
        id: id(number),
        name: if number == 2 {
            words.name.to_owned()
        } else {
            format!("web-{number:02}")
        },
        status: Status {
            condition,
            reason,
            since: before(age),
        },
        presence: match condition {
            Condition::Down => Presence::Offline { since: before(age) },
            Condition::Unknown => Presence::NeverSeen,
            Condition::Degraded | Condition::InProgress | Condition::Healthy => Presence::Online {
                transport: Transport::WebSocket,
                since: before(90_000),
            },
        },
        last_seen: (condition != Condition::Unknown).then(|| before(age / 4)),
        group: if number == 5 {
            Name::unassigned()
        } else {
            Name::slug("edge")
        },
        proposed_group: (number == 5).then(|| Name::slug("core")),
        instance_uid: Some(InstanceUid([number; 16])),
        labels: [(words.label.0.to_owned(), words.label.1.to_owned())].into(),
        host_name: words.name.to_owned(),
        service_name: "otelcol-contrib".to_owned(),
        service_version: if condition == Condition::Unknown {
            String::new()
        } else {
            "0.139.0".to_owned()
        },
        os_type: "linux".to_owned(),
        config: ConfigStanding {
            state,
            wanted: Some(Digest([1; 32])),
            since: before(age),
            error: if state == Verdict::Failed {
                words.reason.to_owned()
            } else {
                String::new()
            },
            hold: None,
        },
    }
}

fn listed(words: &Words<'_>) -> AgentPage {
    let agents = [
        (1, Condition::Down, Verdict::InSync),
        (2, Condition::Degraded, Verdict::Failed),
        (3, Condition::Unknown, Verdict::Pending),
        (4, Condition::InProgress, Verdict::Applying),
        (5, Condition::Healthy, Verdict::ObserveOnly),
        (6, Condition::Healthy, Verdict::InSync),
    ];
    AgentPage {
        agents: agents
            .map(|(number, condition, state)| summary(number, words, condition, state))
            .into(),
        matching: 412,
        tally: fleet(),
        verdicts: verdicts(),
        next: Some("cursor".to_owned()),
    }
}

fn fleet() -> Tally {
    Tally {
        down: 3,
        degraded: 2,
        unknown: 1,
        in_progress: 4,
        healthy: 402,
    }
}

fn verdicts() -> BTreeMap<Verdict, usize> {
    [
        (Verdict::Failed, 2),
        (Verdict::Drifted, 3),
        (Verdict::Held, 1),
        (Verdict::InSync, 406),
    ]
    .into()
}

fn groups() -> [(Name, u64); 2] {
    [(Name::slug("edge"), 300), (Name::slug("unassigned"), 112)]
}

fn agents_page(words: &Words<'_>, page: Result<&AgentPage, &str>, filter: &str) -> String {
    let groups = groups();
    let _ = words;
    let verdicts = verdicts();
    let view = AgentsView {
        filter,
        sort: AgentSort::Status,
        after: None,
        archived: 2,
        page,
        fleet: fleet(),
        verdicts: &verdicts,
        groups: &groups,
    };
    in_frame("Agents", Nav::Agents, agents::agents(&view, &scene(Role::Admin)))
}

fn detail(words: &Words<'_>) -> AgentDetail {
    let mut registration = Registration::new(
        id(2),
        CredentialId([9; 16]),
        Origin {
            at: before(2_600_000),
            host: words.name.to_owned(),
            address: "10.4.1.12".to_owned(),
            token: Some(EnrolmentTokenId([8; 16])),
            ..Origin::default()
        },
    );
    registration.uid = Some(InstanceUid([2; 16]));
    registration.replaced_uids = vec![InstanceUid([3; 16])];
    registration.labels = [(words.label.0.to_owned(), words.label.1.to_owned())].into();
    registration.group = Name::slug("edge");
    registration.because = Because::Fact(format!("fact.{} = x", words.fact.0));
    registration.proposed_group = Some(Name::slug("core"));
    let attribute = |key: &str, value: &str| Attribute {
        key: key.to_owned(),
        value: Value::String(value.to_owned()),
    };
    AgentDetail {
        summary: summary(2, words, Condition::Degraded, Verdict::Failed),
        registration,
        pending_move: Some(PendingMoveView {
            agent: NamedAgent {
                title: words.name.into(),
                id: id(2),
            },
            from: Name::slug("lab"),
            since: before(90),
            waits: "rollout 7 of its group is not over".into(),
        }),
        left_behind: None,
        capabilities: vec!["reports status", "accepts remote configuration"],
        accepts_restart: true,
        description: Some(Description {
            identifying: vec![
                attribute("service.name", words.name),
                attribute(words.fact.0, words.fact.1),
            ],
            non_identifying: vec![
                Attribute {
                    key: "host.ip".to_owned(),
                    value: Value::Array(vec![Value::String(words.fact.1.to_owned())]),
                },
                attribute("host.arch", "amd64"),
            ],
        }),
        health: Some(Health {
            healthy: false,
            last_error: words.reason.to_owned(),
            status: words.component.to_owned(),
            status_at: Some(before(3_800)),
            components: [(
                words.component.to_owned(),
                Health {
                    healthy: false,
                    status: "StatusRecoverableError".to_owned(),
                    last_error: words.reason.to_owned(),
                    ..Health::default()
                },
            )]
            .into(),
            ..Health::default()
        }),
        delivery: Delivery {
            restart: Some(RestartOrder {
                at: before(30),
                by: words.name.to_owned(),
            }),
            ..Delivery::default()
        },
        completeness: Completeness::Incomplete,
        asking: false,
        sequence: Some(1_042),
        started_at: Some(before(90_000)),
        effective_config: Some(EffectiveRef {
            digest: Digest([2; 32]),
            at: before(700),
            size: 1_834,
        }),
        custom_capabilities: vec![words.component.to_owned()],
    }
}

fn configuration(words: &Words<'_>) -> AgentConfiguration {
    let wanted = ConfigMap::document(words.document);
    let runs = ConfigMap::document(&words.document.replace("otlphtp", "otlphttp"));
    let name = LayerRef {
        config: Name::slug("edge"),
        revision: 14,
    };
    AgentConfiguration {
        wanted: Some(Wanted {
            target: Some(Target {
                id: TargetId([4; 16]),
                scope: target::Scope::Group(Name::slug("edge")),
                content: Some(Frozen {
                    layers: vec![name.clone()],
                    document: Rendering::Common {
                        digest: wanted.digest(),
                        size_bytes: 90,
                    },
                }),
                published_by: words.name.to_owned(),
                published_at: before(800),
                message: words.reason.to_owned(),
                supersedes: None,
            }),
            own: false,
            digest: wanted.digest(),
            content: wanted.clone(),
        }),
        hold: None,
        said: Some(Said {
            layers: vec![name],
            outcome: RemoteConfigOutcome::Failed,
            error: words.reason.to_owned(),
            at: before(720),
        }),
        drift: Some(drift(&wanted, &runs, &Limits::default())),
        diff: Some(Diff::between(&wanted, &runs)),
        effective: Some(EffectiveView {
            digest: runs.digest(),
            at: before(700),
            content: runs,
        }),
        effective_hidden: false,
    }
}

fn tab_page(words: &Words<'_>, tab: AgentTab, inner: &Markup) -> String {
    let detail = detail(words);
    let url = format!("{}{}", agent::path(&detail), tab.segment());
    let body = agent::frame(&detail, tab, &url, inner, &scene(Role::Admin));
    in_frame(&detail.summary.name, Nav::Agents, body)
}

fn agent_pages(words: &Words<'_>) -> Vec<(&'static str, String)> {
    let (detail, configuration, scene) = (detail(words), configuration(words), scene(Role::Admin));
    let mut pages = vec![(
        "agent",
        tab_page(
            words,
            AgentTab::Overview,
            &agent::overview::overview(&detail, &scene),
        ),
    )];
    for (name, side, diff) in [
        ("agent_difference", Side::Difference, DiffView::Unified),
        ("agent_split", Side::Difference, DiffView::Split),
        ("agent_wanted", Side::Wanted, DiffView::Unified),
        ("agent_runs", Side::Runs, DiffView::Unified),
    ] {
        let inner = agent::configuration::configuration(&detail, &configuration, side, diff, &scene);
        pages.push((name, tab_page(words, AgentTab::Configuration, &inner)));
    }
    let inner = agent::health::health(&detail, &scene);
    pages.push(("agent_health", tab_page(words, AgentTab::Health, &inner)));
    pages.extend(past_pages(words));
    pages.extend(form_pages(words));
    pages
}

/// What it is built from, what happened, and how it got in.
fn past_pages(words: &Words<'_>) -> Vec<(&'static str, String)> {
    let (detail, scene) = (detail(words), scene(Role::Admin));
    let mut pages = Vec::new();
    let otlp = Component {
        metadata: vec![Attribute {
            key: "code.namespace".to_owned(),
            value: Value::String(format!("module {}", words.fact.1)),
        }],
        components: BTreeMap::new(),
    };
    let built = ComponentsView {
        hash: words.component.to_owned(),
        components: Some(
            [(
                "exporters".to_owned(),
                Component {
                    metadata: vec![],
                    components: [(words.component.to_owned(), otlp)].into(),
                },
            )]
            .into(),
        ),
    };
    let inner = agent::components::components(Some(&built));
    pages.push(("agent_components", tab_page(words, AgentTab::Components, &inner)));
    let happened = [
        Happening::ConfigFailed {
            digest: Digest([1; 32]),
            error: words.reason.to_owned(),
        },
        Happening::ConfigOffered {
            digest: Digest([1; 32]),
        },
        Happening::Disconnected {
            reason: words.reason.to_owned(),
        },
        Happening::Unhealthy {
            error: words.reason.to_owned(),
        },
        Happening::Connected {
            transport: Transport::WebSocket,
        },
        Happening::Enrolled,
    ];
    let entries = happened.into_iter().enumerate();
    let view = TimelineView {
        entries: entries
            .map(|(at, happening)| TimelineEntry {
                at: before(720 * (at as u64 + 1)),
                happening,
            })
            .collect(),
    };
    let layers = |digest| {
        let edge = LayerRef {
            config: Name::slug("edge"),
            revision: 14,
        };
        (digest == Digest([1; 32])).then_some(edge).into_iter().collect()
    };
    let inner = agent::timeline::timeline(&view, layers, &scene);
    pages.push(("agent_timeline", tab_page(words, AgentTab::Timeline, &inner)));
    let inner = agent::identity::identity(&detail, &identity(words), &scene);
    pages.push(("agent_identity", tab_page(words, AgentTab::Identity, &inner)));
    let form = MessageForm {
        capability: words.component.to_owned(),
        kind: words.name.to_owned(),
        text: "{}".to_owned(),
    };
    let errors = Errors::at("type", "write the type of the message");
    let inner = messages::messages(&detail, &talk(words), &form, &errors, &scene);
    pages.push(("agent_messages", tab_page(words, AgentTab::Messages, &inner)));
    let none = AgentMessages::default();
    let inner = messages::messages(
        &detail,
        &none,
        &MessageForm::default(),
        &Errors::default(),
        &scene,
    );
    pages.push(("agent_messages_none", tab_page(words, AgentTab::Messages, &inner)));
    pages
}

fn talk(words: &Words<'_>) -> AgentMessages {
    let message = |data: &[u8]| CustomMessage {
        capability: words.component.to_owned(),
        kind: words.name.to_owned(),
        data: data.to_vec(),
    };
    let received = |number, data: &[u8]| Received {
        number,
        at: before(number * 60),
        message: message(data),
    };
    let ours = vec![words.component.to_owned()];
    AgentMessages {
        theirs: ours.clone(),
        shared: ours.clone(),
        ours,
        queued: vec![Waits {
            capability: words.component.to_owned(),
            kind: words.name.to_owned(),
            size_bytes: 12,
            at: before(20),
            by: words.name.to_owned(),
        }],
        received: vec![
            received(3, words.reason.as_bytes()),
            received(2, &[0xff, 0xfe]),
            received(1, b""),
        ],
    }
}

fn identity(words: &Words<'_>) -> AgentIdentity {
    let credential = |id, purpose, first_used_at| Credential {
        id: CredentialId([id; 16]),
        secret_digest: None,
        scope: Scope::Many {
            maximum: 50,
            labels: BTreeMap::new(),
            group: None,
            name: words.name.to_owned(),
            networks: Vec::new(),
            by_hand: false,
        },
        state: CredentialState::Active,
        purpose,
        line: (id > 1).then_some(CredentialId([1; 16])),
        salt: None,
        created_at: before(2_600_000 - u64::from(id) * 1_000),
        first_used_at,
        token: None,
    };
    let used = Some(before(2_000_000));
    let (since, until) = (before(2_000_000), Some(before(0).plus(Duration::from_hours(500))));
    AgentIdentity {
        credentials: vec![
            credential(3, Purpose::Main, used),
            credential(
                4,
                Purpose::Candidate {
                    until: before(0).plus(Duration::from_hours(700)),
                },
                None,
            ),
            credential(2, Purpose::Recovery { since, until }, used),
            credential(1, Purpose::Recovery { since, until: None }, used),
        ],
        in_use: Some(CredentialId([3; 16])),
        rotation: Rotation::Refused {
            error: words.reason.to_owned(),
            at: before(3_000),
        },
        cannot_rotate: None,
        shared_by: 3,
        token: Some(token(words)),
    }
}

fn form_pages(words: &Words<'_>) -> Vec<(&'static str, String)> {
    let (detail, scene) = (detail(words), scene(Role::Admin));
    let mut pages = Vec::new();
    let errors = Errors::at("labels", words.reason);
    let labels = format!("{} = {}", words.label.0, words.label.1);
    let form = EditForm {
        name: words.name,
        labels: &labels,
        opened: (words.name, &labels),
        errors: &errors,
    };
    pages.push((
        "agent_edit",
        in_frame("Edit", Nav::Agents, edit::edit(&detail, &form, &scene)),
    ));
    let asked = Asked {
        act: Act::Revoke,
        besides: 2,
        terms: &terms(words),
        errors: &Errors::at("", words.reason),
    };
    let ask = acts::ask(&detail, &asked, &scene);
    pages.push(("agent_revoke", in_frame("Revoke", Nav::Agents, ask)));
    let asked = Asked {
        act: Act::Hold,
        besides: 0,
        terms: &terms(words),
        errors: &Errors::at("until", words.reason),
    };
    let ask = acts::ask(&detail, &asked, &scene);
    pages.push(("agent_hold", in_frame("Hold", Nav::Agents, ask)));
    let form = AdoptForm {
        name: words.name,
        config: "edge-base",
        errors: &Errors::at("name", words.reason),
    };
    let ask = edit::adopt(&detail, &[Name::slug("edge-base")], &form, &scene);
    pages.push(("agent_adopt", in_frame("Keep", Nav::Agents, ask)));
    pages
}

fn terms(words: &Words<'_>) -> TermsForm {
    TermsForm {
        reason: words.reason.to_owned(),
        ends: "4h".to_owned(),
    }
}

fn token(words: &Words<'_>) -> EnrolmentToken {
    EnrolmentToken {
        id: EnrolmentTokenId([8; 16]),
        secret_digest: Digest([0; 32]),
        note: words.name.to_owned(),
        grants: Grants::One,
        uses_allowed: 5,
        uses: 2,
        expires_at: NOW.plus(Duration::from_mins(40)),
        labels: [(words.label.0.to_owned(), words.label.1.to_owned())].into(),
        group: Some(Name::slug("edge")),
        networks: vec![],
        by_hand: false,
        created_by: words.name.to_owned(),
        created_at: before(1_200),
        withdrawn_at: None,
    }
}

fn site() -> Site {
    Site {
        name: "muster.example.net".to_owned(),
        ca_pem: format!(
            "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
            "MIIB".repeat(120)
        ),
        ca_fingerprint: Digest([7; 32]),
        ca_expires: NOW,
        certificate_ends: Arc::default(),
        names: vec!["muster.example.net".to_owned()],
        wildcards: Vec::new(),
        agent_port: 4320,
        admin_port: 4321,
        message_limit_bytes: 1 << 20,
        data_folder: "/var/lib/muster".into(),
        manual: Arc::default(),
    }
}

fn joining_page(words: &Words<'_>, way: Way, secret: Option<&str>) -> String {
    let (site, token) = (site(), token(words));
    let agents = AgentPage {
        agents: vec![summary(2, words, Condition::Healthy, Verdict::InSync)],
        matching: 1,
        tally: Tally::default(),
        verdicts: verdicts(),
        next: None,
    };
    let view = JoiningView {
        site: &site,
        called: "muster.example.net:4321",
        way,
        token: &token,
        secret,
        agents: &agents,
    };
    in_frame(
        "Add agents",
        Nav::Agents,
        add_agents::joining(&view, &scene(Role::Admin)),
    )
}

fn choose_page(words: &Words<'_>) -> String {
    let errors = Errors::at("uses", "write a whole number, such as 1");
    let form = AddForm {
        way: Way::Linux,
        group: "edge",
        labels: words.label.1,
        uses: words.name,
        valid_seconds: "3600",
        many: "",
        networks: "",
        note: words.name,
        by_hand: true,
        errors: &errors,
    };
    in_frame(
        "Add agents",
        Nav::Agents,
        add_agents::choose(&form, &[Name::slug("edge")], &scene(Role::Admin)),
    )
}

#[expect(clippy::too_many_lines, reason = "every kind of trouble once")]
fn overview_page(words: &Words<'_>, quiet: bool) -> String {
    let layers = vec![LayerRef {
        config: Name::slug("edge"),
        revision: 14,
    }];
    let edge = Name::slug("edge");
    let few = |count: usize| Few {
        count,
        first: Some((id(2), words.name.to_owned())),
    };
    let trouble = |kind, count, since: u64| Trouble {
        kind,
        agents: few(count),
        since: Some(before(since)),
    };
    let happened = |kind, count, at: u64| Recent {
        at: before(at),
        kind,
        agents: few(count),
    };
    let view = if quiet {
        Overview::default()
    } else {
        Overview {
            agents: fleet(),
            verdicts: verdicts(),
            groups: 3,
            configs: 2,
            troubles: vec![
                trouble(TroubleKind::Drifted { group: edge.clone() }, 3, 640),
                trouble(TroubleKind::Detached, 2, 540),
                trouble(
                    TroubleKind::GroupHeld {
                        group: edge.clone(),
                        terms: Terms {
                            reason: words.reason.to_owned(),
                            by: words.name.to_owned(),
                            since: before(440),
                            until: Some(NOW.plus(Duration::from_hours(2))),
                        },
                    },
                    0,
                    440,
                ),
                Trouble {
                    kind: TroubleKind::FleetHeld {
                        reason: HoldReason::StoreWentBack,
                    },
                    agents: Few::default(),
                    since: None,
                },
                trouble(TroubleKind::Offline { group: edge.clone() }, 3, 740),
                trouble(
                    TroubleKind::Refused {
                        group: edge.clone(),
                        layers: layers.clone(),
                        error: words.reason.to_owned(),
                    },
                    2,
                    720,
                ),
                trouble(
                    TroubleKind::Unhealthy {
                        group: edge.clone(),
                        reason: words.reason.to_owned(),
                    },
                    1,
                    5_400,
                ),
                trouble(TroubleKind::Conflict, 1, 600),
                trouble(
                    TroubleKind::Proposed {
                        group: Name::slug("core"),
                    },
                    4,
                    900,
                ),
                trouble(TroubleKind::TokensExpiring { tokens: 2 }, 0, 0),
                trouble(
                    TroubleKind::Unpublished {
                        group: edge.clone(),
                        published: layers[0].clone(),
                        newest: 15,
                    },
                    0,
                    3_000,
                ),
                trouble(TroubleKind::Unassigned, 112, 86_400),
                trouble(
                    TroubleKind::InputsChanged {
                        group: edge.clone(),
                        layers: layers.clone(),
                    },
                    7,
                    0,
                ),
                trouble(
                    TroubleKind::RolloutPaused {
                        rollout: RolloutId(17),
                        group: edge.clone(),
                        reason: words.reason.to_owned(),
                    },
                    0,
                    300,
                ),
                trouble(
                    TroubleKind::RolledBack {
                        rollout: RolloutId(16),
                        group: Name::slug("core"),
                        reason: words.reason.to_owned(),
                    },
                    0,
                    9_000,
                ),
            ],
            recent: vec![
                happened(
                    RecentKind::Refused {
                        layers: layers.clone(),
                    },
                    2,
                    720,
                ),
                happened(
                    RecentKind::Published {
                        by: words.name.to_owned(),
                        group: edge,
                        layers,
                    },
                    0,
                    760,
                ),
                happened(RecentKind::Connected, 1, 4_000),
                happened(RecentKind::Enrolled, 12, 90_000),
            ],
        }
    };
    in_frame("Overview", Nav::Overview, overview(&view, &scene(Role::Admin)))
}

fn bulk_pages(words: &Words<'_>) -> Vec<(&'static str, String)> {
    let errors = Errors::at("set", words.reason);
    let typed = terms(words);
    let names = [words.name.to_owned(), "web-01".to_owned()];
    let view = |act| BulkView {
        act,
        names: &names,
        picks: &[],
        count: 12,
        expected: "12ab",
        besides: if act == BulkAct::Revoke { 3 } else { 0 },
        filter: words.name,
        matching: true,
        groups: &[],
        set: words.label.1,
        remove: words.label.0,
        group: "",
        terms: &typed,
        errors: &errors,
    };
    let ask = |act| in_frame("Agents", Nav::Agents, bulk::ask(&view(act), &scene(Role::Admin)));
    let result = BulkResult {
        done: vec![id(1)],
        refused: [(id(2), words.reason.to_owned())].into(),
        besides: Vec::new(),
    };
    let names = [(id(2), words.name.to_owned())].into();
    let outcome = bulk::outcome(BulkAct::Restart, &result, &names, "/agents");
    vec![
        ("bulk_label", ask(BulkAct::Label)),
        ("bulk_revoke", ask(BulkAct::Revoke)),
        ("bulk_hold", ask(BulkAct::Hold)),
        ("bulk_outcome", in_frame("Agents", Nav::Agents, outcome)),
    ]
}

fn all_pages(words: &Words<'_>) -> Vec<(&'static str, String)> {
    let list = listed(words);
    let mut pages = vec![
        ("overview", overview_page(words, false)),
        ("overview_empty", overview_page(words, true)),
        ("agents", agents_page(words, Ok(&list), "")),
        (
            "agents_wrong_filter",
            agents_page(words, Err(words.reason), words.name),
        ),
        ("add_agents", choose_page(words)),
        ("add_agents_waiting", joining_page(words, Way::Linux, None)),
    ];
    let ways = [
        "add_agents_linux",
        "add_agents_macos",
        "add_agents_windows",
        "add_agents_supervisor",
        "add_agents_container",
        "add_agents_kubernetes",
        "add_agents_bridge",
        "add_agents_client",
    ];
    for (name, way) in ways.into_iter().zip(Way::ALL) {
        pages.push((name, joining_page(words, way, Some("mst_e_0123456789"))));
    }
    pages.extend(agent_pages(words));
    pages.extend(bulk_pages(words));
    pages
}

/// Writes the pages to the folder in `MUSTER_PAGES`, to be looked at in a browser.
fn keep(pages: &[(&str, String)]) {
    let Some(folder) = option_env!("MUSTER_PAGES") else {
        return;
    };
    for (name, html) in pages {
        let mut html = html.clone();
        for asset in assets::names() {
            html = html.replace(
                &format!("{}{asset}\"", assets::PREFIX),
                &format!("{}\"", assets::url(asset)),
            );
        }
        std::fs::write(format!("{folder}/{name}.html"), html).unwrap();
    }
}

#[test]
fn every_page_of_the_fleet_renders_as_agreed() {
    let pages = all_pages(&PLAIN);
    keep(&pages);
    for (name, html) in pages {
        insta::assert_snapshot!(format!("fleet_{name}"), own_part(&html));
    }
}

#[test]
fn ids_are_unique_and_every_label_has_its_field() {
    for (name, html) in all_pages(&PLAIN) {
        let values = |attribute: &str| -> Vec<String> {
            let pattern = format!(" {attribute}=\"");
            let found = html.split(&pattern).skip(1);
            found
                .map(|rest| rest.split('"').next().unwrap().to_owned())
                .collect()
        };
        let mut ids = values("id");
        let count = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), count, "{name}: {ids:?}");
        for target in values("for") {
            assert!(ids.contains(&target), "{name}: label for {target}");
        }
    }
}

#[test]
fn whoever_only_looks_is_offered_no_act() {
    let viewer = scene(Role::Viewer);
    let (list, detail) = (listed(&PLAIN), detail(&PLAIN));
    let (groups, verdicts) = (groups(), verdicts());
    let view = AgentsView {
        filter: "",
        sort: AgentSort::Status,
        after: None,
        archived: 0,
        page: Ok(&list),
        fleet: fleet(),
        verdicts: &verdicts,
        groups: &groups,
    };
    let inner = agent::overview::overview(&detail, &viewer);
    let pages = [
        agents::agents(&view, &viewer),
        agent::frame(&detail, AgentTab::Overview, "/agents/x", &inner, &viewer),
        agent::configuration::configuration(
            &detail,
            &configuration(&PLAIN),
            Side::Runs,
            DiffView::Unified,
            &viewer,
        ),
    ];
    for page in pages {
        let html = page.into_string();
        assert!(
            !html.contains("/act/") && !html.contains("formaction") && !html.contains("/agents/add"),
            "{html}"
        );
    }
}

#[test]
fn a_secret_is_shown_in_the_one_answer_that_has_it() {
    for way in Way::ALL {
        assert!(joining_page(&PLAIN, way, Some("mst_e_0123456789")).contains("mst_e_0123456789"));
        assert!(!joining_page(&PLAIN, way, None).contains("mst_e_"));
    }
}

#[test]
fn nothing_is_ever_said_to_have_happened_in_1970() {
    let mut never = summary(3, &PLAIN, Condition::Unknown, Verdict::ObserveOnly);
    never.status.since = Timestamp::EPOCH;
    never.config.since = Timestamp::EPOCH;
    let page = AgentPage {
        agents: vec![never],
        matching: 1,
        tally: fleet(),
        verdicts: verdicts(),
        next: None,
    };
    let html = agents_page(&PLAIN, Ok(&page), "");
    assert!(!html.contains("1970") && html.contains("never"), "{html}");
}

/// Text that breaks out of wherever it is put, around a mark to find it by.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("<script>x</script>".to_owned()),
        Just("\"><img src=x onerror=alert(1)>".to_owned()),
        Just("' onmouseover='x".to_owned()),
        Just("javascript:alert(1)".to_owned()),
        Just("</textarea></title></pre>".to_owned()),
        Just("<!--".to_owned()),
        Just("]]>".to_owned()),
        Just("&lt;b&gt;".to_owned()),
        Just("\u{202e}\u{0}\u{1b}[31m\u{2028}".to_owned()),
        Just("${muster:secret.x}".to_owned()),
        "\\PC{0,12}",
    ];
    proptest::collection::vec(piece, 1..4).prop_map(|pieces| pieces.concat())
}

/// Every tag of a page, without what stands between them.
fn tags(html: &str) -> Vec<String> {
    let mut names = Vec::new();
    for piece in html.split('<').skip(1) {
        let name: String = piece
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '/' || *c == '!')
            .collect();
        names.push(name.to_ascii_lowercase());
    }
    names
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn what_agents_and_people_wrote_is_only_ever_text(
        name in hostile(), reason in hostile(), key in hostile(), value in hostile(), component in hostile(),
        document in hostile(),
    ) {
        let words = Words {
            name: &name,
            reason: &reason,
            label: (&key, &value),
            fact: (&component, &value),
            component: &component,
            document: &document,
        };
        for (page, html) in all_pages(&words) {
            for tag in tags(&html) {
                prop_assert!(!matches!(tag.as_str(), "img" | "!"), "{page}: {tag}");
            }
            // Every script is one of ours, with a source and nothing inside.
            for script in html.split("<script").skip(1) {
                prop_assert!(script.starts_with(" src=\"/assets/") && script.contains("\"></script>"), "{page}");
            }
            for attribute in html.split("href=\"").skip(1).chain(html.split("action=\"").skip(1)) {
                prop_assert!(attribute.starts_with(['/', '#', '?', '"']), "{page}: {}", attribute.chars().take(60).collect::<String>());
            }
            // What stands in a tag outside of quotes is ours.
            for tag in html.split('<').skip(1).filter_map(|piece| piece.split('>').next()) {
                let bare: String = tag.split('"').step_by(2).collect();
                prop_assert!(!bare.contains(" on") && !bare.contains("style="), "{page}: {tag}");
            }
            // Between tags, what turns or hides text is shown by its name.
            let main = html.split("<main").nth(1).unwrap_or_default();
            for text in main.split('>').map(|piece| piece.split('<').next().unwrap_or_default()) {
                prop_assert!(!text.contains(['\u{202e}', '\u{0}', '\u{1b}', '\u{2028}']) || page.contains("edit") || page.contains("bulk") || page == "add_agents", "{page}: {text:?}");
            }
        }
    }
}
