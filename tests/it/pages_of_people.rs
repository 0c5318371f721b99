//! The pages of setup, login, account, enrolment, audit and system with fixed data.

use maud::Markup;
use muster::admin_plane::pages::account::{self, AccountPage, TokenForm as ApiTokenForm};
use muster::admin_plane::pages::audit::{self, AuditPage};
use muster::admin_plane::pages::enrolment::{self, EnrolmentPage, TokenForm};
use muster::admin_plane::pages::login::{self, LoginForm};
use muster::admin_plane::pages::prove;
use muster::admin_plane::pages::scene::Errors;
use muster::admin_plane::pages::setup::{self, SetupForm};
use muster::admin_plane::pages::system::{self, SystemPage};
use muster::admin_plane::pages::users::{self, Asked, NewUserForm, UserPage};
use muster::app::audit::{AuditEntry, AuditFault, AuditRecord, AuditVerdict};
use muster::app::claims::{CredentialView, NamedAgent};
use muster::app::enrolment::{Lookalike, MadeEnrolmentToken, Waiting};
use muster::app::error::Error;
use muster::app::system::{MendingTask, Room, ScrubState, ServerState, TableState, Unreadable};
use muster::auth::account::AccountView;
use muster::auth::permission::Role;
use muster::auth::session::{SessionKind, SessionView};
use muster::fleet::enrolment::{EnrolmentToken, Grants, Likeness};
use muster::fleet::hash::Digest;
use muster::fleet::identity::{Credential, CredentialState, Purpose, Scope};
use muster::fleet::ids::{AccountId, AgentId, CredentialId, EnrolmentTokenId, SessionId};
use muster::fleet::name::Name;

use crate::gallery::stable;
use crate::pages_of_intent::{HOSTILE, NOW, before, check_ids, check_inert, scene};

const FINGERPRINT: &str =
    "3F:9A:0C:51:7E:22:D8:44:A1:0B:5C:93:EE:17:68:2F:B0:4D:C9:35:7A:81:F6:0E:29:D3:5B:84:1C:A7:60:F2";

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn session(id: u8, kind: SessionKind, text: &str, is_current: bool) -> SessionView {
    SessionView {
        id: SessionId([id; 16]),
        kind,
        created_at: before(7_200),
        last_used_at: before(60),
        expires_at: NOW.plus(std::time::Duration::from_hours(160)),
        address: Some("10.4.1.12".parse().unwrap()),
        user_agent: text.to_owned(),
        is_current,
    }
}

fn account_page(text: &str) -> AccountPage {
    let token = SessionKind::ApiToken {
        name: name("ci"),
        role: Role::Deployer,
    };
    AccountPage {
        account: AccountView {
            id: AccountId([1; 16]),
            name: name("mara"),
            role: Role::Admin,
            password_changed_at: before(900_000),
            created_at: before(9_000_000),
            disabled_at: None,
            provisional: false,
            locked_until: None,
        },
        sessions: vec![
            session(1, SessionKind::Browser, text, true),
            session(2, SessionKind::Browser, "", false),
        ],
        tokens: vec![session(3, token, "", false)],
        made: None,
        form: ApiTokenForm::default(),
        errors: Errors::default(),
    }
}

/// One account of each state.
fn accounts() -> Vec<AccountView> {
    let own = account_page("").account;
    let other = |id: u8, text: &str, role| AccountView {
        id: AccountId([id; 16]),
        name: name(text),
        role,
        ..own.clone()
    };
    vec![
        own.clone(),
        AccountView {
            provisional: true,
            ..other(2, "bert", Role::Deployer)
        },
        AccountView {
            disabled_at: Some(before(600)),
            ..other(3, "carl", Role::Viewer)
        },
        AccountView {
            locked_until: Some(NOW.plus(std::time::Duration::from_secs(40))),
            ..other(4, "dora", Role::Operator)
        },
    ]
}

fn user_page(text: &str, which: usize) -> UserPage {
    let page = account_page(text);
    UserPage {
        account: accounts()[which].clone(),
        sessions: page.sessions,
        tokens: page.tokens,
        is_own: which == 0,
        errors: Errors::default(),
    }
}

fn token(id: u8, text: &str, used: u32, expires: i64) -> EnrolmentToken {
    let hours = std::time::Duration::from_hours(expires.unsigned_abs());
    EnrolmentToken {
        id: EnrolmentTokenId([id; 16]),
        secret_digest: Digest([0; 32]),
        note: text.to_owned(),
        grants: if id == 2 {
            Grants::Many { maximum: 50 }
        } else {
            Grants::One
        },
        uses_allowed: 20,
        uses: used,
        expires_at: if expires < 0 {
            NOW.minus(hours)
        } else {
            NOW.plus(hours)
        },
        labels: [("region".to_owned(), text.to_owned())].into(),
        group: Some(name("edge")),
        networks: vec!["10.0.0.0/8".parse().unwrap()],
        by_hand: id == 1,
        created_by: text.to_owned(),
        created_at: before(3_000),
        withdrawn_at: (id == 3).then(|| before(60)),
    }
}

fn credential(id: u8, text: &str, state: CredentialState, many: bool) -> CredentialView {
    let agent = |n: u8| NamedAgent {
        title: text.to_owned(),
        id: AgentId([n; 16]),
    };
    let scope = if many {
        Scope::Many {
            maximum: 50,
            labels: [].into(),
            group: Some(name("edge")),
            name: text.to_owned(),
            networks: vec!["10.0.0.0/8".parse().unwrap()],
            by_hand: true,
        }
    } else {
        Scope::One {
            agent: AgentId([id; 16]),
        }
    };
    CredentialView {
        credential: Credential {
            id: CredentialId([id; 16]),
            secret_digest: None,
            scope,
            state,
            purpose: Purpose::Main,
            line: None,
            salt: None,
            created_at: before(90_000),
            first_used_at: (id != 3).then(|| before(89_000)),
            token: None,
        },
        agents: if many {
            (1..=5).map(agent).collect()
        } else {
            vec![agent(id)]
        },
    }
}

fn enrolment_page(text: &str) -> EnrolmentPage {
    let quarantined = CredentialState::Quarantined { at: before(600) };
    EnrolmentPage {
        from: 0,
        tokens: vec![
            token(1, text, 3, 1),
            token(2, text, 20, 1),
            token(3, text, 0, 1),
            token(4, text, 0, -2),
        ],
        credentials: vec![
            credential(1, text, CredentialState::Active, true),
            credential(2, text, quarantined, false),
            credential(3, text, CredentialState::Revoked { at: before(60) }, false),
        ],
        waiting: vec![waiting(text, true, true), waiting(text, false, false)],
    }
}

fn waiting(text: &str, conflict: bool, own_credential: bool) -> Waiting {
    let named = |id: u8| NamedAgent {
        title: text.to_owned(),
        id: AgentId([id; 16]),
    };
    let like = |id, by, online, can_merge| Lookalike {
        agent: named(id),
        by,
        online,
        since: before(90_000),
        group: name("edge"),
        can_merge,
    };
    Waiting {
        agent: named(if conflict { 7 } else { 9 }),
        conflict,
        host: text.to_owned(),
        host_id: text.to_owned(),
        system: text.to_owned(),
        address: text.to_owned(),
        token: text.to_owned(),
        labels: [("region".to_owned(), text.to_owned())].into(),
        group: name("edge"),
        online: conflict,
        since: before(300),
        own_credential,
        looks_like: if conflict {
            vec![
                like(8, Likeness::HostId, false, true),
                like(6, Likeness::HostName, true, false),
            ]
        } else {
            Vec::new()
        },
    }
}

fn record(number: u64, text: &str, object: &str) -> AuditRecord {
    AuditRecord {
        number,
        previous: Digest([0; 32]),
        hash: Digest([1; 32]),
        entry: AuditEntry {
            at: before(100_000 / number),
            actor: text.to_owned(),
            action: if number == 1 {
                "session.login.refused".to_owned()
            } else {
                "group.publish".to_owned()
            },
            object: object.to_owned(),
            address: (number == 3).then(|| "10.4.1.12".to_owned()),
            before: (number == 3).then_some(Digest([2; 32])),
            after: (number > 1).then_some(Digest([3; 32])),
            detail: text.to_owned(),
        },
    }
}

fn audit_page(text: &str, verdict: Option<AuditVerdict>) -> AuditPage {
    AuditPage {
        records: vec![
            record(3, text, "group/edge"),
            record(2, text, &format!("config/{text}")),
            record(1, text, ""),
        ],
        query: text.to_owned(),
        before: Some(4),
        next: Some(1),
        verdict,
    }
}

fn system_page(text: &str) -> SystemPage {
    SystemPage {
        state: ServerState {
            version: "0.1.0".into(),
            started: before(93_000),
            founded: before(9_000_000),
            connections: 412,
            store_bytes: 48 * 1024 * 1024,
            room: Room {
                free_bytes: Some(90_000_000),
                low_water_bytes: 128 << 20,
                used_bytes: Some(70 << 20),
                quota_bytes: Some(1 << 30),
                ballast_bytes: 16 << 20,
            },
            read_only: Some("85 MiB are left on its disk, and 128 MiB have to stay free".into()),
            scrub: ScrubState {
                began: Some(before(7_200)),
                ended: Some(before(7_100)),
                rows: 32_400,
                bytes: 40_000_000,
                unreadable: 1,
            },
            unreadable: vec![Unreadable {
                table: "targets_v1".into(),
                key: text.to_owned(),
                why: "its bytes changed since they were written".into(),
            }],
            mending: vec![MendingTask {
                task: "retention".into(),
                times: 2,
                message: text.to_owned(),
            }],
            tables: vec![
                TableState {
                    name: "bodies_v1".into(),
                    rows: 1_200,
                    bytes: 31_000_000,
                },
                TableState {
                    name: "audit_v1".into(),
                    rows: 31_200,
                    bytes: 9_000_000,
                },
            ],
        },
        site: text.to_owned(),
        data_folder: text.to_owned(),
        names: vec!["muster.example.net".into(), "10.4.0.2".into()],
        agent_port: 4320,
        ca_fingerprint: FINGERPRINT.into(),
        ca_expires: NOW.plus(std::time::Duration::from_hours(24 * 3_000)),
        certificate_expires: NOW.plus(std::time::Duration::from_hours(24 * 9)),
        given_expires: Some(NOW.plus(std::time::Duration::from_hours(24 * 5))),
    }
}

/// Every page, with this text wherever somebody chooses one.
fn pages(text: &str) -> Vec<(&'static str, Markup)> {
    let admin = scene(Role::Admin);
    let wrong = Errors::at("name", text);
    let throttled = Errors::of(Error::TooMany {
        retry_after: std::time::Duration::from_secs(42),
    })
    .unwrap();
    let setup_form = |token: &str| SetupForm {
        token: token.to_owned(),
        name: text.to_owned(),
    };
    let login_form = LoginForm {
        name: text.to_owned(),
        next: text.to_owned(),
    };
    let made_page = AccountPage {
        made: Some((text.to_owned(), "mst_a_secret".into())),
        errors: wrong.clone(),
        ..account_page(text)
    };
    let form = TokenForm {
        note: text.into(),
        labels: text.into(),
        networks: text.into(),
        uses: text.into(),
        ..TokenForm::default()
    };
    let made = MadeEnrolmentToken {
        secret: "mst_e_secret".into(),
        token: token(1, text, 0, 1),
    };
    let groups = [name("edge")];
    let broken = AuditVerdict::Broken {
        number: 2,
        fault: AuditFault::Altered,
    };
    let intact = AuditVerdict::Intact {
        records: 3,
        last: Digest([1; 32]),
    };
    let nothing = AuditPage {
        records: Vec::new(),
        ..audit_page(text, None)
    };
    vec![
        (
            "setup",
            setup::claim(&setup_form("mst_s_token"), &Errors::default(), FINGERPRINT, ""),
        ),
        (
            "setup_wrong",
            setup::claim(&setup_form(text), &Errors::at("token", text), FINGERPRINT, ""),
        ),
        ("setup_closed", setup::closed()),
        ("setup_claimed", setup::claimed()),
        (
            "login",
            login::sign_in(&LoginForm::default(), &Errors::default(), ""),
        ),
        (
            "login_wrong",
            login::sign_in(&login_form, &Errors::of(Error::WrongCredentials).unwrap(), ""),
        ),
        ("login_throttled", login::sign_in(&login_form, &throttled, "")),
        ("account", account::account(&account_page(text), &admin)),
        ("account_token_made", account::account(&made_page, &admin)),
        ("enrolment", enrolment::enrolment(&enrolment_page(text), &admin)),
        (
            "enrolment_for_a_deployer",
            enrolment::enrolment(&enrolment_page(text), &scene(Role::Deployer)),
        ),
        (
            "enrolment_decide",
            enrolment::decide(&waiting(text, true, true), &Errors::default(), &admin),
        ),
        (
            "enrolment_decide_new",
            enrolment::decide(&waiting(text, false, false), &Errors::default(), &admin),
        ),
        (
            "enrolment_decide_for_an_operator",
            enrolment::decide(
                &waiting(text, true, true),
                &Errors::default(),
                &scene(Role::Operator),
            ),
        ),
        (
            "enrolment_none",
            enrolment::enrolment(&EnrolmentPage::default(), &admin),
        ),
        (
            "enrolment_new",
            enrolment::new(&form, &groups, &Errors::at("uses", text), &admin),
        ),
        ("enrolment_made", enrolment::made(&made, &admin)),
        (
            "enrolment_withdraw",
            enrolment::withdraw(&token(1, text, 3, 1), &admin),
        ),
        (
            "enrolment_revoke",
            enrolment::revoke(
                &credential(1, text, CredentialState::Active, true),
                &Errors::at("confirm", text),
                &admin,
            ),
        ),
        ("users", users::users(&accounts(), &admin)),
        ("users_alone", users::users(&accounts()[..1], &admin)),
        (
            "users_new",
            users::new(
                &NewUserForm {
                    name: text.to_owned(),
                    role: text.to_owned(),
                },
                &wrong,
                &admin,
            ),
        ),
        (
            "users_made",
            users::made(&accounts()[1], "a-first-password", true),
        ),
        ("user", users::user(&user_page(text, 1), &admin)),
        ("user_own", users::user(&user_page(text, 0), &admin)),
        ("user_disabled", users::user(&user_page(text, 2), &admin)),
        (
            "user_delete",
            users::ask(&accounts()[1], (1, 2), Asked::Delete, wrong.field("name"), &admin),
        ),
        (
            "user_disable",
            users::ask(&accounts()[1], (1, 0), Asked::Disable, None, &admin),
        ),
        (
            "user_password",
            users::ask(&accounts()[1], (0, 2), Asked::Password, None, &admin),
        ),
        (
            "prove",
            prove::prove(
                "/users/-/new",
                &[("name".to_owned(), text.to_owned())],
                &Errors::default(),
                &admin,
            ),
        ),
        ("audit", audit::audit(&audit_page(text, Some(intact)), &admin)),
        (
            "audit_broken",
            audit::audit(&audit_page(text, Some(broken)), &admin),
        ),
        ("audit_nothing", audit::audit(&nothing, &admin)),
        ("system", system::system(&system_page(text), &admin)),
    ]
}

#[test]
fn every_page_renders_as_agreed() {
    for (page, html) in pages("mara") {
        insta::assert_snapshot!(format!("page_{page}"), stable(html));
    }
}

#[test]
fn ids_are_unique_and_every_label_has_its_field() {
    for (page, html) in pages("mara") {
        check_ids(page, &html.into_string());
    }
}

#[test]
fn nothing_that_somebody_chose_becomes_markup() {
    for text in HOSTILE {
        for (page, html) in pages(text) {
            check_inert(page, &html.into_string());
        }
    }
}

#[test]
fn login_says_the_same_of_every_wrong_attempt_and_ties_it_to_no_field() {
    let html = login::sign_in(
        &LoginForm {
            name: "mara".into(),
            ..LoginForm::default()
        },
        &Errors::of(Error::WrongCredentials).unwrap(),
        "",
    )
    .into_string();
    assert!(
        html.contains("The name or the password is wrong") && !html.contains("aria-invalid=\"true\""),
        "{html}"
    );
    assert!(html.contains("value=\"mara\""), "what was typed is kept: {html}");
}

#[test]
fn a_password_is_on_no_page() {
    for (page, html) in pages("mara") {
        for input in html
            .into_string()
            .split("<input")
            .filter(|input| input.contains("type=\"password\""))
        {
            let input = input.split('>').next().unwrap();
            assert!(!input.contains(" value="), "{page}: {input}");
        }
    }
}

#[test]
fn the_audit_filter_wants_every_word_somewhere() {
    let record = record(3, "mara", "group/edge");
    assert!(audit::matches(&record, ""));
    assert!(audit::matches(&record, "MARA edge publish 10.4"));
    assert!(!audit::matches(&record, "mara web"));
}
