//! Who may do what, over the whole table of routes: every route × method × kind of caller, asked of the running server
//! and compared with the permission table; and what is refused does nothing.
//!
//! That a route has a rule at all is a matter of types: a row of the table is made by `Row::open`, whose handler is given
//! no actor, or by `Row::known` and its kin, which don't compile without an `Access`.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{Method, StatusCode};
use muster::admin_plane::{Described, Face, Need, described};
use muster::app::accounts::NewToken;
use muster::app::enrolment::Enrol;
use muster::auth::password::Password;
use muster::auth::permission::Role;
use serde_json::{Value, json};

use super::site::{Answer, Ask, Site, filled_rows};
use crate::people::{self, PASSWORD};

const ROLES: [Role; 4] = [Role::Viewer, Role::Operator, Role::Deployer, Role::Admin];

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Caller {
    /// With this as a bearer token, which is good for something else, or for nothing.
    Stranger(&'static str, Option<String>),
    /// With an API token.
    Token(Role),
    /// A person in a browser, an admin, from a page of ours.
    Session,
    /// The same person's browser, from a page of somebody else's.
    ForeignPage,
    /// The operator of the host.
    Local,
}

/// What a caller gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The route itself answers, whatever it makes of the request.
    LetIn,
    /// 401.
    Unknown,
    /// 303 to where people sign in.
    SignIn,
    /// 403, naming the role that is missing or the place.
    NotTheirs,
    /// 403, because of where the request comes from.
    CrossSite,
}

fn expected(caller: &Caller, row: &Described) -> Outcome {
    let mutates = row.method != Method::GET;
    let (role, local) = match caller {
        Caller::Stranger(..) if row.need == Need::Nothing => return Outcome::LetIn,
        Caller::Stranger(..) if matches!(row.face, Face::Page | Face::Form) => return Outcome::SignIn,
        Caller::Stranger(..) => return Outcome::Unknown,
        Caller::ForeignPage if mutates => return Outcome::CrossSite,
        Caller::Token(role) => (*role, false),
        Caller::Session | Caller::ForeignPage => (Role::Admin, false),
        Caller::Local => (Role::Admin, true),
    };
    let may = match row.need {
        Need::Nothing | Need::SignedIn => true,
        Need::Permission(permission) => role >= permission.least_role(),
        Need::LocalSocket => local,
    };
    if may { Outcome::LetIn } else { Outcome::NotTheirs }
}

fn observed(caller: &Caller, row: &Described, status: StatusCode, location: &str, text: &str) -> Outcome {
    // Whoever signs out is led there too.
    let signs_out = row.path == "/logout" && !matches!(caller, Caller::Stranger(..));
    match status {
        StatusCode::UNAUTHORIZED => Outcome::Unknown,
        StatusCode::SEE_OTHER if location.starts_with("/login") && !signs_out => Outcome::SignIn,
        StatusCode::FORBIDDEN
            if text.contains("cross-site") || text.contains("page of your present session") =>
        {
            Outcome::CrossSite
        }
        StatusCode::FORBIDDEN if refuses_for_role(text) => Outcome::NotTheirs,
        _ => Outcome::LetIn,
    }
}

/// Whether it is the route that isn't theirs. A use case can refuse besides, as an API token that would make another.
fn refuses_for_role(text: &str) -> bool {
    let text = text.to_lowercase();
    text.contains("this needs the role") || text.contains("own host")
}

impl Site {
    fn ask_as<'a>(&'a self, caller: &Caller, row: &Described, path: &str) -> Ask<'a> {
        let ask = self.call(row.method.clone(), path);
        match caller {
            Caller::Stranger(_, None) => ask,
            Caller::Stranger(_, Some(secret)) => ask.bearer(secret),
            Caller::Token(role) => ask.role(*role),
            Caller::Session => ask.own_form(),
            Caller::ForeignPage => {
                let ask = ask.browser().header("sec-fetch-site", "cross-site");
                ask.header("origin", "https://evil.example")
            }
            Caller::Local => ask.local(),
        }
    }

    async fn made(&self, path: &str, body: Value) -> Value {
        let answer = self.call(Method::POST, path).local().json(&body).send().await;
        assert!(answer.status.is_success(), "{path}: {}", answer.text());
        if answer.body.is_empty() {
            Value::Null
        } else {
            answer.json()
        }
    }

    /// What an admin sees of everything that can be changed.
    async fn all_that_can_change(&self) -> BTreeMap<&'static str, String> {
        let mut all = BTreeMap::new();
        for path in [
            "/api/v1/agents",
            "/api/v1/groups",
            "/api/v1/configs",
            "/api/v1/secrets",
            "/api/v1/rollouts",
            "/api/v1/enrolment-tokens",
            "/api/v1/credentials",
            "/api/v1/accounts",
            "/api/v1/accounts/anna/tokens",
            "/api/v1/accounts/anna/sessions",
        ] {
            let answer: Answer = self.get(path).local().send().await;
            assert_eq!(answer.status, StatusCode::OK, "{path}");
            let mut seen = answer.json();
            without_uses(&mut seen);
            all.insert(path, seen.to_string());
        }
        all
    }

    /// The acts in the audit log but refusals.
    async fn acts(&self) -> Vec<String> {
        self.app.audit.flush().await;
        let log = self.app.audit.page(&people::host(), None, 1000).unwrap();
        let acts = log.into_iter().map(|record| record.entry.action);
        acts.filter(|act| act != "request.refused").collect()
    }
}

/// Asking with a secret moves the time of its last use, refused or not, and so its place in the list.
fn without_uses(seen: &mut Value) {
    match seen {
        Value::Object(fields) => {
            fields.retain(|name, _| !matches!(name.as_str(), "last_used_at" | "last_seen" | "last_used"));
            fields.values_mut().for_each(without_uses);
        }
        Value::Array(items) => {
            items.iter_mut().for_each(without_uses);
            items.sort_by_key(Value::to_string);
        }
        _ => {}
    }
}

/// Things that the paths of the table lead to: refusals are worth more where there is something to lose.
struct Things {
    agent: String,
    enrolment_token: String,
    credential: String,
    agents_secret: String,
    enrolment_secret: String,
}

const YAML: &str = "receivers:\n  nop:\nexporters:\n  nop:\nservice:\n  pipelines:\n    logs:\n      receivers: [nop]\n      exporters: [nop]\n";

async fn things(site: &Site) -> Things {
    site.made("/api/v1/groups", json!({"name": "nobody"})).await;
    site.made("/api/v1/configs", json!({"name": "nobody", "yaml": YAML}))
        .await;
    site.made("/api/v1/secrets/nobody", json!({"value": "a long enough value"}))
        .await;
    let token = site.made("/api/v1/enrolment-tokens", json!({"uses": 5})).await;
    let secret = token["secret"].as_str().unwrap().to_owned();
    let wish = Enrol {
        host: "web-1".to_owned(),
        ..Enrol::default()
    };
    let enrolled = site.app.enrol(&secret, wish, None).await.unwrap();
    Things {
        agent: enrolled.agent_id.unwrap().to_string(),
        enrolment_token: token["token"]["id"].as_str().unwrap().to_owned(),
        credential: enrolled.credential_id.to_string(),
        agents_secret: enrolled.credential,
        enrolment_secret: secret,
    }
}

impl Things {
    /// A path of the table that leads to something that is there.
    fn path(&self, pattern: &str) -> String {
        let id = if pattern.contains("token") {
            &self.enrolment_token
        } else if pattern.contains("credential") {
            &self.credential
        } else {
            &self.agent
        };
        let parts = pattern.split('/').map(|part| match part {
            "{id}" => id.as_str(),
            "{number}" | "{revision}" => "1",
            "{act}" => "restart",
            part if part.starts_with('{') => "nobody",
            part => part,
        });
        parts.collect::<Vec<_>>().join("/")
    }
}

async fn callers(site: &Site, things: &Things) -> Vec<Caller> {
    let anna = site
        .app
        .accounts
        .actor_by_session(&site.session, None)
        .expect("anna is signed in");
    let gone = NewToken {
        name: "gone".to_owned(),
        role: Role::Admin,
        days: 1,
        account: None,
    };
    let (revoked, _) = site.app.accounts.create_token(&anna, gone).await.unwrap();
    site.app.accounts.revoke_token(&anna, "gone").await.unwrap();
    let mut cut_off = site.token(Role::Admin).to_owned();
    cut_off.pop();
    let mut callers = vec![
        Caller::Stranger("nothing", None),
        Caller::Stranger("nonsense", Some("mst_api_x".to_owned())),
        Caller::Stranger("an agent's credential", Some(things.agents_secret.clone())),
        Caller::Stranger("an enrolment token", Some(things.enrolment_secret.clone())),
        Caller::Stranger("a session as a token", Some(site.session.expose().to_owned())),
        Caller::Stranger("a revoked token", Some(revoked.expose().to_owned())),
        Caller::Stranger("a token cut off", Some(cut_off)),
    ];
    callers.extend(ROLES.map(Caller::Token));
    callers.extend([Caller::Session, Caller::ForeignPage, Caller::Local]);
    callers
}

#[tokio::test]
async fn every_route_answers_every_caller_as_the_permission_table_says() {
    let mut site = Site::start().await;
    let things = things(&site).await;
    let (mut asked, mut refused) = (0, 0);
    for caller in callers(&site, &things).await {
        // Whoever was let in before may have ended the session.
        still_signed_in(&mut site).await;
        let (before, acts) = (site.all_that_can_change().await, site.acts().await);
        for turn in [false, true] {
            // Who is refused reaches for what is there; who is let in, for what is not.
            for (row, nowhere) in filled_rows() {
                let expected = expected(&caller, &row);
                if (expected == Outcome::LetIn) != turn {
                    continue;
                }
                let path = if turn { nowhere } else { things.path(row.path) };
                if caller == Caller::Session && turn {
                    still_signed_in(&mut site).await;
                }
                let ask = site.ask_as(&caller, &row, &path);
                let (parts, body) = ask.open().await.into_parts();
                let what = format!("{} {path} by {caller:?}: {}", row.method, parts.status);
                if row.face == Face::Stream && parts.status == StatusCode::OK {
                    assert_eq!(expected, Outcome::LetIn, "{what}");
                    continue;
                }
                let body = http_body_util::BodyExt::collect(body).await.unwrap().to_bytes();
                let text = String::from_utf8_lossy(&body);
                let location = parts
                    .headers
                    .get("location")
                    .map_or("", |value| value.to_str().unwrap());
                assert_eq!(
                    observed(&caller, &row, parts.status, location, &text),
                    expected,
                    "{what} {text}"
                );
                assert!(
                    !parts.status.is_server_error() || path == "/readyz",
                    "{what} {text}"
                );
                assert_ne!(parts.status, StatusCode::TOO_MANY_REQUESTS, "{what}");
                asked += 1;
                refused += usize::from(expected != Outcome::LetIn);
            }
            if !turn {
                let after = site.all_that_can_change().await;
                assert_eq!(after, before, "{caller:?} was refused and changed something");
                assert_eq!(
                    site.acts().await,
                    acts,
                    "{caller:?} was refused and did something"
                );
            }
        }
        // Rates are shown elsewhere.
        site.app.clock().advance(Duration::from_mins(1));
    }
    assert!(
        asked > 14 * 100 && refused > 800,
        "{asked}, {refused} of them refused"
    );
}

/// A few acts end the session that does them.
async fn still_signed_in(site: &mut Site) {
    if site.app.accounts.actor_by_session(&site.session, None).is_some() {
        return;
    }
    let password = Password::new(PASSWORD);
    let visitor = people::visitor(1);
    let signed_in = site
        .app
        .accounts
        .login("anna", &password, &visitor, None)
        .await
        .unwrap();
    site.session = signed_in.secret;
}

#[tokio::test]
async fn a_method_that_no_row_has_is_405_with_those_that_there_are() {
    let site = Site::start().await;
    let fits = |pattern: &str, path: &str| {
        let same = |(part, given): (&str, &str)| part.starts_with('{') || part == given;
        pattern.contains("{*")
            || pattern.split('/').count() == path.split('/').count()
                && pattern.split('/').zip(path.split('/')).all(same)
    };
    let mut asked = 0;
    for (row, path) in filled_rows() {
        for method in [
            "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW",
        ] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let rows = described();
            let mut others = rows.iter().filter(|other| fits(other.path, &path));
            // A fixed path can be hidden behind a pattern: then that one answers.
            if others.any(|other| other.method == method) {
                continue;
            }
            let answer = site.call(method.clone(), &path).role(Role::Admin).send().await;
            assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            let allow = answer.header("allow");
            let named = allow.split(", ").any(|named| named == row.method.as_str());
            assert!(named, "{method} {path}: {allow}");
            asked += 1;
        }
        site.app.clock().advance(Duration::from_secs(1));
    }
    assert!(asked > 500, "{asked}");
}
