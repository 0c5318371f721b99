//! The building blocks of pages with fixed data, as whole pages: what they look like is a promise too.

use std::fmt::Write as _;
use std::time::Duration;

use maud::{Markup, html};
use muster::admin_plane::assets;
use muster::admin_plane::pages::layout::{Nav, Page, bare_page, page, page_head, section};
use muster::admin_plane::pages::parts::*;
use muster::fleet::time::Timestamp;

const NOW: Timestamp = Timestamp::from_seconds(1_795_341_849);

fn before(seconds: u64) -> Timestamp {
    NOW.minus(Duration::from_secs(seconds))
}

/// The page as text: one element a line, asset names without their hashes.
pub(super) fn stable(markup: Markup) -> String {
    let mut html = markup.into_string();
    for name in assets::names() {
        html = html.replace(&assets::url(name), &format!("{}{name}", assets::PREFIX));
    }
    // Only where white space means nothing.
    for tag in [
        "<tr", "<td", "<th", "<li", "<div", "<section", "<script", "<link", "<meta", "<header", "<main",
        "<form",
    ] {
        html = html.replace(tag, &format!("\n{tag}"));
    }
    html
}

fn in_frame(
    title: &str,
    active: Nav,
    crumbs: &[(&str, &str)],
    banner: Option<&Banner<'_>>,
    body: Markup,
) -> String {
    stable(page(&Page {
        title,
        site: "muster.example.net",
        user: "mara",
        active: Some(active),
        crumbs,
        topics: &["agents", "groups"],
        banner,
        editor: title == "edge",
        form_token: "form-token",
        now: NOW,
        body,
    }))
}

/// Name, zone, status, word, reason, group, version and seconds since it was heard.
const AGENTS: &str = "\
web-07|eu-central-1a|down|Offline|Connection lost; last heartbeat overdue|web|0.139.0|740
edge-fra-2|fra|down|Refused|Refused revision 14: unknown exporter otlphtp (line 14)|edge|0.139.0|720
db-primary-3|eu-central-1b|degraded|Degraded|exporter otlp/backend: queue is 92 % full|db|0.138.0|5400
build-\u{202e}gnp.11|ci|degraded|Restarting|Restarted 6 times in 10 min|ci|0.139.0|180
edge-ams-1|ams|progress|Applying|Revision 14 offered, not yet reported|edge|0.139.0|12
lab-printer|office|unknown|Unassigned|No group claims it; nothing is sent|unassigned|0.121.0|86400
web-01|eu-central-1a|healthy|Healthy||web|0.139.0|2
web-02|eu-central-1a|healthy|Healthy||web|0.139.0|9
web-03|eu-central-1b|healthy|Healthy||web|0.139.0|14
web-04|eu-central-1b|healthy|Healthy||web|0.139.0|21
web-05|eu-central-1c|healthy|Healthy||web|0.139.0|27
db-replica-1|eu-central-1b|healthy|Healthy||db|0.138.0|4";

fn agent_rows() -> Vec<Row> {
    let row = |line: &str| {
        let [name, zone, status, word, reason, group, version, seen] =
            line.split('|').collect::<Vec<_>>().try_into().unwrap();
        let status = match status {
            "down" => Status::Down,
            "degraded" => Status::Degraded,
            "progress" => Status::InProgress,
            "unknown" => Status::Unknown,
            _ => Status::Healthy,
        };
        Row {
            key: name.chars().filter(char::is_ascii_alphanumeric).collect(),
            name: visible_text(name),
            cells: vec![
                badge(status, Some(word)),
                Row::name_cell(
                    &visible(name),
                    &format!("/agents/{}", name.len()),
                    (!reason.is_empty())
                        .then(|| html! { span.narrow { (reason) } })
                        .as_ref(),
                ),
                html! { span.reason { (reason) } },
                html! { a href={ "/groups/" (group) } { (group) } },
                labels([("zone", zone)]),
                html! { (version) },
                ago(before(seen.parse().unwrap()), NOW),
            ],
        }
    };
    AGENTS.lines().map(row).collect()
}

fn agent_columns() -> [Column<'static>; 7] {
    let column = |words, sort_href| Column {
        words,
        sort_href,
        ..Column::default()
    };
    [
        Column {
            sorted: Some(Sort::Down),
            ..column("Status", Some("/agents?sort=-status"))
        },
        column("Agent", Some("/agents?sort=name")),
        Column {
            wide_only: true,
            ..column("Why", None)
        },
        Column {
            wide_only: true,
            ..column("Group", Some("/agents?sort=group"))
        },
        Column {
            wide_only: true,
            ..column("Labels", None)
        },
        Column {
            number: true,
            wide_only: true,
            ..column("Version", None)
        },
        Column {
            number: true,
            ..column("Heard", Some("/agents?sort=heard"))
        },
    ]
}

fn agents_page() -> String {
    let (rows, columns) = (agent_rows(), agent_columns());
    let list = table(&Table {
        id: "agents",
        caption: "Agents, worst first",
        columns: &columns,
        rows: &rows,
        picks: true,
        noun: ("agent", "agents"),
        pager: Some(Pager {
            next: Some("/agents?after=db-replica-1"),
            first: None,
            total: Some(412),
        }),
    });
    let bar = BulkBar {
        actions: &[
            BulkAction {
                verb: "Label",
                action: "/agents/label",
            },
            BulkAction {
                verb: "Restart",
                action: "/agents/restart",
            },
            BulkAction {
                verb: "Revoke",
                action: "/agents/revoke",
            },
        ],
        noun: ("agent", "agents"),
        matching: Some(412),
        query: "",
        form_token: "form-token",
    };
    let chip = |words, count, href, current| Chip {
        words,
        count: Some(count),
        href,
        current,
    };
    let chips = [
        chip("All", 412, "/agents", true),
        chip("Down", 3, "/agents?q=status+%3D+down", false),
        chip("Degraded", 9, "/agents?q=status+%3D+degraded", false),
        chip("Unassigned", 1, "/agents?q=group+%3D+unassigned", false),
    ];
    in_frame(
        "Agents",
        Nav::Agents,
        &[],
        None,
        html! {
            (page_head(
                &html! { "Agents" },
                Some(&html! { "412, 3 down" }),
                Some(&button_link("Add agents", "/agents/add", true)),
            ))
            (filter_bar(&FilterBar {
                action: "/agents",
                query: "",
                example: "label.region = eu, fact.os.type = linux",
                error: None,
                chips: &chips,
                live: Some((&["agents"], "/agents")),
                keep: &[("sort", "-status")],
            }))
            (bulk_form(&bar, &live("list", &["agents"], "/agents", &list)))
        },
    )
}

fn node(name: &str, status: Status, message: Option<&str>, children: Vec<HealthNode>) -> HealthNode {
    HealthNode {
        name: name.to_owned(),
        status,
        word: None,
        message: message.map(str::to_owned),
        at: Some(before(3_800)),
        children,
    }
}

fn health() -> Vec<HealthNode> {
    use Status::{Degraded, Down, Healthy};
    vec![node(
        "collector",
        Degraded,
        Some("1 of 3 pipelines is not healthy"),
        vec![
            node(
                "pipeline:traces",
                Down,
                None,
                vec![
                    node("receiver:otlp", Healthy, None, vec![]),
                    node("processor:batch", Healthy, None, vec![]),
                    node(
                        "exporter:otlp/backend",
                        Down,
                        Some("rpc error: connection refused (10.4.0.9:4317)"),
                        vec![],
                    ),
                ],
            ),
            node(
                "pipeline:metrics",
                Healthy,
                None,
                vec![
                    node("receiver:hostmetrics", Healthy, None, vec![]),
                    node("exporter:otlp/backend", Healthy, None, vec![]),
                ],
            ),
            node(
                "extensions",
                Healthy,
                None,
                vec![node("health_check", Healthy, None, vec![])],
            ),
        ],
    )]
}

fn line(kind: DiffKind, old_no: Option<u64>, new_no: Option<u64>, spans: &[(&str, bool)]) -> DiffLine {
    let spans = spans
        .iter()
        .map(|(text, marked)| Span {
            text: (*text).to_owned(),
            marked: *marked,
        })
        .collect();
    DiffLine {
        kind,
        old_no,
        new_no,
        spans,
    }
}

fn difference() -> Vec<DiffLine> {
    use DiffKind::{Added, Gap, Removed, Same};
    vec![
        line(Same, Some(11), Some(11), &[("exporters:", false)]),
        line(Same, Some(12), Some(12), &[("  otlp/backend:", false)]),
        line(
            Removed,
            Some(13),
            None,
            &[("    endpoint: ", false), ("10.4.0.9", true), (":4317", false)],
        ),
        line(
            Added,
            None,
            Some(13),
            &[
                ("    endpoint: ", false),
                ("gateway.internal", true),
                (":4317", false),
            ],
        ),
        line(Added, None, Some(14), &[("    compression: zstd", true)]),
        line(Same, Some(14), Some(15), &[("    sending_queue:", false)]),
        line(
            Removed,
            Some(15),
            None,
            &[("      queue_size: ", false), ("1000", true)],
        ),
        line(
            Added,
            None,
            Some(16),
            &[("      queue_size: ", false), ("5000", true)],
        ),
        line(Gap, None, None, &[("22 equal lines", false)]),
        line(Same, Some(38), Some(39), &[("service:", false)]),
        line(
            Same,
            Some(39),
            Some(40),
            &[("  extensions: [health_check]", false)],
        ),
        line(
            Removed,
            Some(40),
            None,
            &[(
                "  # a line that is rather long, so that the box has to scroll sideways instead of the page around it, whatever the width",
                true,
            )],
        ),
    ]
}

fn agent_page() -> String {
    let tab = |words, href, count, current| Tab {
        words,
        href,
        count,
        current,
    };
    let events = [
        (40, Status::InProgress, "Was offered revision 15 of edge", None),
        (
            720,
            Status::Down,
            "Refused revision 14 of edge",
            Some("unknown exporter otlphtp (line 14)"),
        ),
        (
            735,
            Status::InProgress,
            "Was offered revision 14 of edge by mara",
            None,
        ),
        (
            90_000,
            Status::Healthy,
            "Applied revision 13 of edge",
            Some("Healthy again after 4 s"),
        ),
        (
            2_600_000,
            Status::Healthy,
            "Enrolled with the token ci-hosts from 10.4.1.12",
            None,
        ),
    ]
    .map(|(ago, status, what, detail)| Event {
        at: before(ago),
        status,
        what: html! { (what) },
        detail: detail.map(|text| html! { (text) }),
    });
    in_frame(
        "edge-fra-2",
        Nav::Agents,
        &[("Agents", "/agents"), ("edge", "/groups/edge")],
        None,
        html! {
            (page_head(
                &visible("edge-fra-2"),
                None,
                Some(&html! { (button_link("Restart agent", "/agents/1/restart", false)) (button_link("Edit configuration", "/configs/edge", true)) }),
            ))
            (status_line(
                Status::Down,
                Some("Refused"),
                &html! { "Refused revision 14 of " a href="/configs/edge" { "edge" } ": unknown exporter " code { "otlphtp" } " (line 14)" },
                &ago(before(720), NOW),
            ))
            (tabs("edge-fra-2", &[
                tab("Overview", "/agents/1", None, true),
                tab("Configuration", "/agents/1/configuration", None, false),
                tab("Health", "/agents/1/health", Some(9), false),
                tab("Timeline", "/agents/1/timeline", None, false),
                tab("Identity", "/agents/1/identity", None, false),
            ]))
            (live("facts", &["agents"], "/agents/1", &html! {
                div.columns {
                    (section("Facts", None, &facts(&[
                        Fact::text("Host", Some("edge-fra-2.example.net")),
                        Fact::text("Operating system", Some("Debian GNU/Linux 13 (amd64)")),
                        Fact::text("Kernel", None),
                        Fact::text("Agent", Some("OpenTelemetry Collector 0.139.0")),
                        Fact::new("Group", html! { a href="/groups/edge" { "edge" } " by its selector" }),
                        Fact::new("Labels", labels([("region", "eu"), ("tier", "edge"), ("owner", "network \u{2066}team")])),
                        Fact::new("Id", copy_inline("0192f3a0c1d27b6e8f4a5b6c7d8e9f00", "the id of the agent")),
                    ])))
                    (section("Health", Some(&html! { a href="/agents/1/health" { "Open" } }), &health_tree("health", &health(), NOW)))
                }
            }))
            (section("What changed", None, &diff_with("revision 13", "revision 14", &difference(), DiffView::Unified, Some("?diff=split"))))
            (section("Timeline", Some(&html! { a href="/agents/1/timeline" { "All" } }), &timeline(&events, NOW)))
        },
    )
}

fn overview_page() -> String {
    let problem = |status, word, since, sentence| Problem {
        status,
        word,
        since: Some(before(since)),
        sentence,
    };
    let parts = [
        ProgressPart {
            status: Status::Healthy,
            word: "applied",
            count: 261,
        },
        ProgressPart {
            status: Status::InProgress,
            word: "waiting",
            count: 38,
        },
        ProgressPart {
            status: Status::Down,
            word: "refused",
            count: 2,
        },
        ProgressPart {
            status: Status::Unknown,
            word: "offline",
            count: 11,
        },
    ];
    let done = Banner {
        kind: BannerKind::Done,
        words: html! { "Revision 15 of edge is being published to 48 agents." },
        link: Some(("Watch", "/groups/edge")),
    };
    in_frame(
        "Overview",
        Nav::Overview,
        &[],
        Some(&done),
        html! {
            (page_head(&html! { "Overview" }, Some(&html! { "4 problems" }), None))
            (tally(&[
                (Status::Down, "Down", 3, "/agents?q=status+%3D+down"),
                (Status::Degraded, "Degraded", 9, "/agents?q=status+%3D+degraded"),
                (Status::InProgress, "Applying", 38, "/agents?q=status+%3D+applying"),
                (Status::Unknown, "Unassigned", 1, "/agents?q=group+%3D+unassigned"),
                (Status::Healthy, "Healthy", 1_361, "/agents?q=status+%3D+healthy"),
            ]))
            (section("Problems", None, &live("problems", &["agents", "groups"], "/", &problems(&[
                problem(Status::Down, Some("Offline"), 740, html! { a href="/agents?q=a" { "3 agents" } " of " a href="/groups/web" { "web" } " have lost their connection" }),
                problem(Status::Down, Some("Refused"), 720, html! { a href="/agents?q=b" { "2 agents" } " refused revision 14 of " a href="/configs/edge" { "edge" } ": unknown exporter " code { "otlphtp" } " (line 14)" }),
                problem(Status::Degraded, None, 5_400, html! { a href="/agents/3" { "db-primary-3" } " reports that the queue of exporter otlp/backend is 92 % full" }),
                problem(Status::Unknown, Some("Unassigned"), 86_400, html! { a href="/agents?q=d" { "1 agent" } " belongs to no group and is sent nothing" }),
            ], NOW))))
            (section("Under way", None, &progress("Publishing revision 15 of edge", &parts, Some("about 2 min left"))))
            (section("Alerts", None, &empty(&Empty {
                title: "No agents are waiting for approval",
                words: html! { "Agents that join with a token that asks for approval wait here. To add an agent, run this on its host:" },
                fill: Some(code_block("curl --cacert muster-ca.pem https://muster.example.net:4321/join | sudo sh -s -- --token mst_e_7Q2f…", "the join command")),
            })))
        },
    )
}

fn form_page() -> String {
    let errors = [
        FieldError {
            field: "name",
            message: "A group with this name exists; choose another",
        },
        FieldError {
            field: "selector",
            message: "The selector is empty and would match nothing; write * for all agents",
        },
    ];
    let warning = Banner {
        kind: BannerKind::Warning,
        words: html! { "Two groups have priority 10, so the older one wins." },
        link: None,
    };
    in_frame(
        "edge",
        Nav::Groups,
        &[("Groups", "/groups"), ("edge", "/groups/edge")],
        Some(&warning),
        html! {
            (page_head(&html! { "Edit edge" }, None, None))
            (error_summary(&errors))
            form.form method="post" action="/groups/edge" novalidate {
                (form_token("form-token"))
                (field(&Field { name: "name", label: "Name", value: "web", error: Some(errors[0].message), help: "Lower-case letters, digits and hyphens.", ..Field::default() }))
                (field(&Field { name: "selector", label: "Selector", value: "", error: Some(errors[1].message), help: "Which agents belong to the group, such as label.region = eu, fact.os.type = linux.", input: Input::Code, ..Field::default() }))
                (field(&Field { name: "priority", label: "Priority", value: "10", help: "Where several groups match, the lowest number wins.", input: Input::Number, ..Field::default() }))
                (select_field(&Field { name: "base", label: "First layer", value: "base", ..Field::default() }, &[
                    Choice { value: "base", label: "base", help: "" },
                    Choice { value: "hosts", label: "hosts", help: "" },
                ]))
                (choices(&Field { name: "takes", label: "Members take effect", value: "ask", ..Field::default() }, &[
                    Choice { value: "ask", label: "After somebody confirms them", help: "For groups whose layers hold secrets." },
                    Choice { value: "self", label: "By themselves", help: "" },
                ]))
                (check("hold", "Hold", "Nothing is sent to the group until this is off again.", true))
                (field(&Field { name: "note", label: "Note", value: "", input: Input::Lines(3), optional: true, ..Field::default() }))
                div.buttons { (button("Save group", true)) a.button href="/groups/edge" { "Cancel" } }
            }
            form.form.form-wide method="post" action="/configs/edge" {
                (form_token("form-token"))
                (editor(&Field {
                    name: "body",
                    label: "Configuration",
                    value: "receivers:\n  otlp:\n    protocols:\n      grpc:\n        endpoint: 0.0.0.0:4317\n\nexporters:\n  otlphtp:  # a typing error\n    endpoint: https://gateway.internal:4318\n\nservice:\n  pipelines:\n    traces:\n      receivers: [otlp]\n      exporters: [otlphtp]\n",
                    help: "Collector YAML. ${muster:label.region} and its like are filled in per agent.",
                    ..Field::default()
                }, Some("/configs/check")))
                div.buttons { (button("Save revision 15", true)) }
            }
            (diff_with("revision 13", "revision 14", &difference(), DiffView::Split, Some("?diff=unified")))
            (confirm(&Confirm {
                question: "Revoke the credentials of 12 agents?",
                consequences: html! { p { "Their connections close within two seconds, and they can't come back until they are enrolled again. Their configuration stays as it is." } },
                typed: Some("revoke 12 agents"),
                error: None,
                button: "Revoke 12 credentials",
                destructive: true,
                action: "/agents/revoke",
                fields: &[("pick", "a1"), ("pick", "a2")],
                cancel: "/agents",
                form_token: "form-token",
            }))
        },
    )
}

fn confirm_page() -> String {
    in_frame(
        "Restart",
        Nav::Agents,
        &[],
        None,
        html! {
            (page_head(&html! { "Restart agents" }, None, None))
            (confirm(&Confirm {
                question: "Restart 3 agents?",
                consequences: html! { p { "Each stops and starts its collector; telemetry pauses for a few seconds." } },
                typed: None,
                error: None,
                button: "Restart 3 agents",
                destructive: false,
                action: "/agents/restart",
                fields: &[],
                cancel: "/agents",
                form_token: "form-token",
            }))
        },
    )
}

fn login_page() -> String {
    let failed = Banner {
        kind: BannerKind::Failed,
        words: html! { "Name and password don't match an account." },
        link: None,
    };
    stable(bare_page(
        "Log in",
        "muster.example.net",
        NOW,
        Some(&failed),
        &html! {
            h1 { "Log in" }
            form.form method="post" action="/login" {
                (form_token("form-token"))
                (field(&Field { name: "user", label: "Name", value: "mara", input: Input::Username, ..Field::default() }))
                (field(&Field { name: "password", label: "Password", input: Input::Password, focus: true, ..Field::default() }))
                div.buttons { (button("Log in", true)) }
            }
        },
    ))
}

fn all_pages() -> [(&'static str, String); 6] {
    [
        ("agents", agents_page()),
        ("agent", agent_page()),
        ("overview", overview_page()),
        ("form", form_page()),
        ("confirm", confirm_page()),
        ("login", login_page()),
    ]
}

#[test]
fn every_building_block_renders_as_agreed() {
    for (name, html) in all_pages() {
        insta::assert_snapshot!(format!("gallery_{name}"), html);
    }
}

#[test]
fn no_page_carries_inline_style_or_script_or_foreign_addresses() {
    for (name, html) in all_pages() {
        for tag in html.split('<').skip(1) {
            let tag = tag.split('>').next().unwrap();
            for forbidden in [
                " style=",
                " onclick=",
                " onload=",
                "javascript:",
                "hx-on",
                "src=\"http",
                "src=\"//",
            ] {
                assert!(!tag.contains(forbidden), "{name}: {tag}");
            }
        }
        assert!(!html.contains("<style"), "{name}");
        for script in html.split("<script").skip(1) {
            assert!(script.starts_with(" src=\"/assets/"), "{name}: {script}");
        }
    }
}

#[test]
fn every_asset_that_pages_name_exists() {
    for (name, html) in all_pages() {
        for path in html
            .split("\"/assets/")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap())
        {
            assert!(assets::asset(path, None, None).is_some(), "{name}: {path}");
        }
    }
}

#[test]
fn ids_are_unique_and_every_label_has_its_field() {
    for (name, html) in all_pages() {
        let values = |attribute: &str| -> Vec<String> {
            let mut pattern = String::new();
            let _ = write!(pattern, " {attribute}=\"");
            html.split(&pattern)
                .skip(1)
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
