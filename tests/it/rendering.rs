//! Layers, variables and secrets on their way from configs to agents.

use std::sync::Arc;

use muster::app::changes::Changes;
use muster::app::clock::Clock;
use muster::app::configs::{NewConfig, NewRevision};
use muster::app::error::Error;
use muster::app::groups::{GroupEdit, NewGroup};
use muster::app::intentions::Intentions;
use muster::app::publish::{IfRunning, Publish};
use muster::app::secrets::{HiddenText, SetSecret};
use muster::app::tasks::Activation;
use muster::app::vault::{Keys, SealKey};
use muster::auth::actor::Actor;
use muster::fleet::agent::{Agent, HoldReason, Intent, Offer, Origin, Registration};
use muster::fleet::attributes::{Attribute, Description, Value};
use muster::fleet::capabilities::Capabilities;
use muster::fleet::config::{ConfigFile, ConfigMap, Content, Problem};
use muster::fleet::hash::HashKey;
use muster::fleet::ids::{AgentId, CredentialId};
use muster::fleet::name::Name;
use muster::fleet::packed::Packed;
use muster::fleet::rollout::Strategy;
use muster::fleet::selector::Known;
use muster::fleet::target::{Blocker, Effect, LayerRef, Member, Rendering};
use muster::fleet::time::Timestamp;
use muster::observability::Secret;
use muster::store::Store;

struct World {
    store: Store,
    intentions: Intentions,
}

impl World {
    fn new() -> Self {
        Self::on(Store::in_memory().unwrap(), [9; 32])
    }

    fn on(store: Store, seal: [u8; 32]) -> Self {
        let clock = Clock::manual(Timestamp::from_seconds(1_700_000_000));
        let keys = Keys {
            hash: HashKey([7; 32]),
            seal: SealKey(seal),
        };
        let intentions = Intentions::load(store.clone(), clock, keys, Activation::new(), Changes::default());
        Self {
            store,
            intentions: intentions.unwrap(),
        }
    }

    /// The same store after a restart.
    fn restarted(self) -> Self {
        Self::on(self.store, [9; 32])
    }

    async fn config(&self, name: &str, yaml: &str) {
        self.try_config(name, Content::Yaml(yaml.into())).await.unwrap();
    }

    async fn try_config(&self, name: &str, content: Content) -> Result<(), Error> {
        let new = NewConfig {
            name: name.into(),
            description: String::new(),
            content,
            message: String::new(),
            allow_blank: false,
        };
        self.intentions.create_config(&admin(), new).await.map(|_| ())
    }

    async fn save(&self, name: &str, base: u64, yaml: &str) {
        let new = NewRevision {
            base,
            content: Content::Yaml(yaml.into()),
            message: String::new(),
            allow_blank: false,
        };
        self.intentions.save_revision(&admin(), name, new).await.unwrap();
    }

    async fn group(&self) {
        let new = NewGroup {
            name: "edge".into(),
            edit: GroupEdit::default(),
        };
        self.intentions.create_group(&admin(), new, known).await.unwrap();
    }

    async fn secret(&self, name: &str, value: &str) {
        let set = SetSecret {
            value: Some(HiddenText(Secret::new(value.into()))),
            description: None,
        };
        self.intentions.set_secret(&admin(), name, set).await.unwrap();
    }

    async fn publish(&self, layers: &str, fleet: &[Member]) -> Result<bool, Error> {
        let publish = Publish {
            group: "edge".into(),
            layers: LayerRef::list(layers).unwrap(),
            message: String::new(),
            expected_revision: None,
            confirm: Some(u32::try_from(fleet.len()).unwrap()),
            allow_blank: false,
            strategy: Some(Strategy::all_at_once()),
            if_running: IfRunning::default(),
        };
        let result = self.intentions.publish(&admin(), publish, fleet).await?;
        Ok(result.created)
    }

    fn wanted(&self, agent: &Agent) -> Intent<Offer> {
        self.intentions.desired(&agent.registration).config
    }

    #[track_caller]
    fn offer(&self, member: &Member) -> Arc<Offer> {
        match self.wanted(&member.agent) {
            Intent::Want(offer) => offer,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn text(&self, member: &Member) -> String {
        text(&self.offer(member).content)
    }
}

fn text(content: &ConfigMap) -> String {
    String::from_utf8(content.files[""].body.clone()).unwrap()
}

fn admin() -> Actor {
    Actor::muster()
}

fn known(_: &str) -> Known {
    Known::Label
}

fn member(number: u8, labels: &[(&str, &str)]) -> Member {
    let mut registration = Registration::new(AgentId([number; 16]), CredentialId([1; 16]), Origin::default());
    registration.group = Name::slug("edge");
    registration.name = Some(format!("web-{number}"));
    registration.labels = labels
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    let mut agent = Agent::new(registration);
    agent.reported.capabilities = Capabilities::ACCEPTS_REMOTE_CONFIG;
    agent.reported.description = Some(Packed::new(&Description {
        identifying: Vec::new(),
        non_identifying: vec![Attribute {
            key: "host.name".into(),
            value: Value::String(format!("host-{number}")),
        }],
    }));
    Member {
        agent: Arc::new(agent),
        online: true,
        lacks: Vec::new(),
    }
}

const BASE: &str = "\
receivers:
  otlp:
exporters:
  otlp:
    endpoint: gateway:4317
service:
  pipelines:
    logs:
      receivers: [otlp]
      exporters: [otlp]
";

/// `BASE` with this endpoint.
fn with_endpoint(endpoint: &str) -> String {
    BASE.replace("gateway:4317", endpoint)
}

async fn layered(layers: &[(&str, &str)]) -> World {
    let world = World::new();
    for (name, yaml) in layers {
        world.config(name, yaml).await;
    }
    world.group().await;
    world
}

#[track_caller]
fn why(error: Error) -> String {
    match error {
        Error::Invalid(fields) => fields[0].why.clone(),
        Error::Problems(problems) => problems[0].to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn layers_come_to_one_document_and_one_layer_stays_byte_for_byte() {
    let odd = format!("# a comment\n{BASE}");
    let more = "receivers: {nop: }\nexporters: {otlp: {endpoint: 'eu:4317'}}\nservice: {pipelines: {logs: {receivers: !append [nop], exporters: [otlp]}}}\n";
    let world = layered(&[("base", &odd), ("more", more)]).await;
    let web = member(1, &[]);
    let fleet = [web.clone()];
    assert!(world.publish("base@1", &fleet).await.unwrap());
    assert_eq!(world.text(&web), odd);
    assert!(world.publish("base@1,more@1", &fleet).await.unwrap());
    let both = world.text(&web);
    assert!(
        both.contains("endpoint: eu:4317") && both.contains("- otlp\n        - nop"),
        "{both}"
    );
    let preview = world
        .intentions
        .impact(
            &admin(),
            "edge",
            &LayerRef::list("base@1,more@1").unwrap(),
            &fleet,
        )
        .unwrap();
    assert_eq!(preview.overlaps[0].path, "exporters.otlp.endpoint");
    assert!(preview.already_published);
    let world = world.restarted();
    assert_eq!(world.text(&web), both);
    let head = world.intentions.group(&admin(), "edge", &[]).unwrap();
    assert_eq!(head.summary.group.layers.len(), 2);
}

#[tokio::test]
async fn an_agent_is_never_sent_a_tag_and_nothing_over_settings_leaves_them() {
    let tagged = format!(
        "# alone\n{}",
        BASE.replace("exporters: [otlp]", "exporters: !append [otlp]")
    );
    let removing = format!("extensions: {{zpages: !remove }}\n{BASE}");
    let over = "receivers: {otlp: }\nexporters: {otlp: }\n";
    let world = layered(&[
        ("tagged", &tagged),
        ("removing", &removing),
        ("base", BASE),
        ("over", over),
    ])
    .await;
    let web = member(1, &[]);
    let fleet = [web.clone()];
    for (layers, at) in [
        ("tagged@1", None),
        ("removing@1", Some(1)),
        ("base@1,removing@1", Some(1)),
    ] {
        let preview = world
            .intentions
            .impact(&admin(), "edge", &LayerRef::list(layers).unwrap(), &fleet)
            .unwrap();
        let told: Vec<_> = preview
            .warnings
            .iter()
            .map(|found| (found.at.line, found.file.clone()))
            .collect();
        let expected: Vec<_> = at
            .map(|line| (line, Some("removing@1".to_owned())))
            .into_iter()
            .collect();
        assert_eq!(told, expected, "{layers}: what does nothing is told");
        world.publish(layers, &fleet).await.unwrap();
        let sent = world.text(&web);
        assert!(!sent.contains('!') && sent.contains("- otlp"), "{sent}");
    }
    world.publish("base@1,over@1", &fleet).await.unwrap();
    assert!(
        world.text(&web).contains("endpoint: gateway:4317"),
        "{}",
        world.text(&web)
    );
}

/// Only what differs from `BASE`.
const OVERLAY: &str = "\
# one more place
exporters:
  otlp/archive: {endpoint: 'archive:4317'}
service: {pipelines: {logs: {exporters: !append [otlp/archive]}}}
";

#[tokio::test]
async fn a_layer_may_be_a_part_and_only_a_whole_configuration_is_published() {
    let world = layered(&[
        ("base", BASE),
        ("more", OVERLAY),
        ("notes", "# nothing yet\n"),
        ("settings", "exporters: {otlp: {endpoint: 'eu:4317'}}\n"),
    ])
    .await;
    let web = member(1, &[]);
    let fleet = [web.clone()];
    let found = world.intentions.config(&admin(), "more").unwrap().problems;
    assert!(
        found.iter().all(Problem::is_incomplete) && found.len() == 1,
        "{found:?}"
    );

    for part in ["more@1", "notes@1", "settings@1", "notes@1,more@1"] {
        let layers = LayerRef::list(part).unwrap();
        let preview = world
            .intentions
            .impact(&admin(), "edge", &layers, &fleet)
            .unwrap();
        assert!(preview.is_stopped(), "{part}");
        let refused = world.publish(part, &fleet).await.unwrap_err();
        assert!(
            matches!(&refused, Error::Problems(found) if found.iter().all(Problem::is_error)),
            "{refused:?}"
        );
        let own = world
            .intentions
            .pin_revision(&admin(), &web.agent, None, (&layers[0], ""), false)
            .await;
        assert!(matches!(own, Err(Error::Problems(_))), "{part}: {own:?}");
        assert!(
            world
                .intentions
                .own_preview(&admin(), &web.agent, &layers[0])
                .unwrap()
                .is_stopped()
        );
    }
    assert!(
        matches!(world.wanted(&web.agent), Intent::Unmanaged),
        "nothing was published"
    );

    assert!(
        world
            .publish("base@1,notes@1,settings@1,more@1", &fleet)
            .await
            .unwrap()
    );
    let sent = world.text(&web);
    assert!(
        sent.contains("endpoint: eu:4317") && sent.contains("- otlp\n        - otlp/archive"),
        "{sent}"
    );
}

#[tokio::test]
async fn a_layer_that_removes_a_component_which_another_layers_pipeline_uses_is_refused_at_its_line() {
    let base = "receivers:\n  otlp:\n  nop:\nexporters:\n  otlp: {endpoint: a}\nservice: {pipelines: {traces: {receivers: [otlp, nop], exporters: [otlp]}}}\n";
    let more = "receivers:\n  nop:\nexporters:\n  otlp:\nservice: {pipelines: {logs: {receivers: [nop], exporters: [otlp]}}}\n";
    let world = layered(&[("base", base), ("more", more)]).await;
    let fleet = [member(1, &[])];
    world.publish("base@1,more@1", &fleet).await.unwrap();
    // The base goes on without it; the more specific layer defines it for itself, but one above takes all away.
    let gone = "receivers: !remove\nexporters:\n  otlp: {endpoint: a}\nservice: {pipelines: {traces: {receivers: ['${env:R}'], exporters: [otlp]}}}\n";
    world.config("gone", gone).await;
    let refused = world.publish("base@1,more@1,gone@1", &fleet).await.unwrap_err();
    let told = why(refused);
    assert!(told.contains("nop") && told.contains("line"), "{told}");
    assert!(!world.text(&fleet[0]).contains("env:R"), "nothing was published");
}

#[tokio::test]
async fn a_variable_missing_for_1_of_200_agents_blocks_and_names_it() {
    let yaml = with_endpoint("${muster:label.region}:4317");
    let world = layered(&[("base", &yaml)]).await;
    let mut fleet: Vec<_> = (1..=199)
        .map(|number| member(number, &[("region", "eu")]))
        .collect();
    fleet.push(member(200, &[]));
    let refused = why(world.publish("base@1", &fleet).await.unwrap_err());
    assert!(
        refused.contains("1 of 200") && refused.contains("web-200 has no label.region"),
        "{refused}"
    );
    let layers = LayerRef::list("base@1").unwrap();
    let preview = world
        .intentions
        .impact(&admin(), "edge", &layers, &fleet)
        .unwrap();
    let variables = vec!["label.region".parse().unwrap()];
    let because = Blocker::Unresolved { variables };
    assert_eq!(preview.impact.agents[0].effect, Effect::Blocked { because });
    assert_eq!((preview.contents, preview.digest), (1, None));
    fleet.pop();
    assert!(world.publish("base@1", &fleet).await.unwrap());
    assert!(
        !world.publish("base@1", &fleet).await.unwrap(),
        "just this is published already"
    );
}

#[tokio::test]
async fn agents_that_render_alike_share_one_content() {
    let yaml = with_endpoint("${muster:label.region}:4317");
    let world = layered(&[("base", &yaml)]).await;
    let fleet: Vec<_> = (1..=100)
        .map(|number| member(number, &[("region", if number % 2 == 0 { "eu" } else { "us" })]))
        .collect();
    world.publish("base@1", &fleet).await.unwrap();
    let (first, third) = (world.offer(&fleet[0]), world.offer(&fleet[2]));
    assert!(Arc::ptr_eq(&first, &third));
    assert!(text(&first.content).contains("endpoint: us:4317"));
    assert!(world.text(&fleet[1]).contains("endpoint: eu:4317"));
    let group = world.intentions.group(&admin(), "edge", &[]).unwrap();
    let content = group.summary.published.unwrap().content.unwrap();
    assert!(matches!(content.document, Rendering::PerAgent { variables, .. } if variables.len() == 1));
    let before = first.hash;
    let world = world.restarted();
    assert_eq!(world.offer(&fleet[0]).hash, before, "the same after a restart");
}

#[tokio::test]
async fn a_label_that_changes_later_only_marks_the_group_until_it_is_published_again() {
    let yaml = with_endpoint("${muster:label.region}-${muster:fact.host.name}:4317");
    let world = layered(&[("base", &yaml)]).await;
    let fleet = [member(1, &[("region", "eu")])];
    world.publish("base@1", &fleet).await.unwrap();
    assert!(world.text(&fleet[0]).contains("eu-host-1:4317"));
    let changed = [member(1, &[("region", "us")])];
    assert!(
        world.text(&changed[0]).contains("eu-host-1"),
        "what was published stays"
    );
    let agents = |fleet: &[Member]| fleet.iter().map(|m| Arc::clone(&m.agent)).collect::<Vec<_>>();
    let marked = |fleet: &[Member]| {
        let group = world.intentions.group(&admin(), "edge", &agents(fleet)).unwrap();
        group.summary.changed_inputs
    };
    assert_eq!((marked(&fleet), marked(&changed)), (0, 1));
    assert!(world.publish("base@1", &changed).await.unwrap());
    assert_eq!(marked(&changed), 0);
    assert!(world.text(&changed[0]).contains("us-host-1"));
}

#[tokio::test]
async fn who_comes_later_is_held_until_it_is_rendered_from_what_was_frozen() {
    let yaml = with_endpoint("${muster:label.region}:4317");
    let world = layered(&[("base", &yaml)]).await;
    world
        .publish("base@1", &[member(1, &[("region", "eu")])])
        .await
        .unwrap();
    world.save("base", 1, &with_endpoint("newer:1")).await;
    let (late, lost) = (member(2, &[("region", "us")]), member(3, &[]));
    let held = Intent::Hold(HoldReason::NotRendered);
    assert_eq!(world.wanted(&late.agent), held);
    let agents = [Arc::clone(&late.agent), Arc::clone(&lost.agent)];
    world.intentions.render_late(&agents).await.unwrap();
    assert!(world.text(&late).contains("us:4317"));
    assert_eq!(world.wanted(&lost.agent), held, "it has no such label");
    let world = world.restarted();
    assert!(world.text(&late).contains("us:4317"), "and it is recorded");
}

#[tokio::test]
async fn a_secret_reaches_the_agent_and_nobody_else() {
    let yaml = with_endpoint("gateway:4317\n    headers: {authorization: 'Bearer ${muster:secret.vendor}'}");
    let world = layered(&[("base", &yaml)]).await;
    let fleet = [member(1, &[]), member(2, &[])];
    let refused = why(world.publish("base@1", &fleet).await.unwrap_err());
    assert!(refused.contains("secret.vendor"), "{refused}");
    world.secret("vendor", "hunter2-$ecret").await;
    let layers = LayerRef::list("base@1").unwrap();
    let preview = world
        .intentions
        .impact(&admin(), "edge", &layers, &fleet)
        .unwrap();
    let preview = serde_json::to_string(&preview).unwrap();
    assert!(preview.contains("${muster:secret.vendor}") && !preview.contains("hunter2"));
    world.publish("base@1", &fleet).await.unwrap();
    let offer = world.offer(&fleet[0]);
    assert!(
        text(&offer.content).contains("Bearer hunter2-$$ecret"),
        "the collector makes one $ of two"
    );
    assert!(text(&offer.shown).contains("Bearer ${muster:secret.vendor}"));
    assert!(!format!("{offer:?}").contains("hunter2"));
    assert!(Arc::ptr_eq(&offer, &world.offer(&fleet[1])));
    let used = &world.intentions.secrets(&admin()).unwrap()[0];
    assert_eq!(used.groups, [Name::slug("edge")]);
    let refused = world.intentions.delete_secret(&admin(), "vendor").await;
    assert!(matches!(refused, Err(Error::Conflict(_))));
    let audit = format!("{:?}", world.store.audit(None, usize::MAX).unwrap());
    assert!(audit.contains("secret.set") && !audit.contains("hunter2"));
    let hash = offer.hash;
    let world = world.restarted();
    let again = world.offer(&fleet[0]);
    assert_eq!(again.hash, hash);
    assert!(text(&again.content).contains("hunter2"));
    let other_key = World::on(world.store, [8; 32]);
    assert_eq!(
        other_key.wanted(&fleet[0].agent),
        Intent::Hold(HoldReason::Unreadable)
    );
    assert!(other_key.intentions.secrets(&admin()).unwrap()[0].unreadable);
}

#[tokio::test]
async fn the_store_never_holds_a_secret_in_the_open() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(
        folder.path(),
        &muster::store::Settings::default(),
        Timestamp::EPOCH,
    )
    .unwrap();
    let world = World::on(store, [9; 32]);
    world
        .config("base", &with_endpoint("${muster:secret.vendor}"))
        .await;
    world.group().await;
    world.secret("vendor", "hunter2-in-the-open").await;
    world.secret("vendor", "hunter3-in-the-open").await;
    let fleet = [member(1, &[])];
    world.publish("base@1", &fleet).await.unwrap();
    assert!(world.text(&fleet[0]).contains("hunter3-in-the-open"));
    let World { store, intentions } = world;
    drop(intentions);
    store.close();
    let bytes = std::fs::read(folder.path().join("store.redb")).unwrap();
    for secret in ["hunter2-in", "hunter3-in"] {
        assert!(
            !bytes
                .windows(secret.len())
                .any(|window| window == secret.as_bytes()),
            "{secret}"
        );
    }
}

#[tokio::test]
async fn a_secret_set_anew_sends_nothing_and_its_old_value_stays_masked_in_reports() {
    let world = layered(&[("base", &with_endpoint("${muster:secret.vendor}"))]).await;
    world.secret("vendor", "hunter2-first").await;
    let fleet = [member(1, &[])];
    world.publish("base@1", &fleet).await.unwrap();
    let before = world.offer(&fleet[0]).hash;
    world.secret("vendor", "hunter2-second").await;
    assert_eq!(world.offer(&fleet[0]).hash, before);
    let agents = [Arc::clone(&fleet[0].agent)];
    let group = world.intentions.group(&admin(), "edge", &agents).unwrap();
    assert_eq!(group.summary.changed_inputs, 1);
    for value in ["hunter2-first", "hunter2-second"] {
        let report = ConfigMap::document(&with_endpoint(value));
        let masked = text(&world.intentions.masked(report));
        assert!(
            masked.contains("[secret ") && !masked.contains("hunter2"),
            "{masked}"
        );
    }
    let clean = ConfigMap::document(BASE);
    assert_eq!(world.intentions.masked(clean.clone()), clean);
    world.publish("base@1", &fleet).await.unwrap();
    assert_ne!(world.offer(&fleet[0]).hash, before);
}

#[tokio::test]
async fn files_pass_under_their_names_and_the_later_layer_wins_a_name() {
    let world = layered(&[("base", BASE)]).await;
    let files = |entries: &[(&str, &str)]| {
        let file = |body: &str| ConfigFile {
            body: body.into(),
            ..ConfigFile::default()
        };
        Content::Files(
            entries
                .iter()
                .map(|(name, body)| ((*name).to_owned(), file(body)))
                .collect(),
        )
    };
    world
        .try_config("a", files(&[("x", "${muster:label.no}"), ("y", "2")]))
        .await
        .unwrap();
    world.try_config("b", files(&[("y", "3")])).await.unwrap();
    let fleet = [member(1, &[])];
    world.publish("a@1,b@1", &fleet).await.unwrap();
    let content = Arc::clone(&world.offer(&fleet[0]).content);
    let bodies: Vec<_> = content
        .files
        .iter()
        .map(|(name, file)| (name.as_str(), file.body.as_slice()))
        .collect();
    assert_eq!(bodies, [("x", &b"${muster:label.no}"[..]), ("y", b"3")]);
    let refused = why(world.publish("base@1,b@1", &fleet).await.unwrap_err());
    assert!(refused.contains("one kind"), "{refused}");
    let refused = why(world.publish("a@1,a@1", &fleet).await.unwrap_err());
    assert!(refused.contains("twice"), "{refused}");
    assert!(why(world.publish("", &fleet).await.unwrap_err()).contains("layers"));
}

#[tokio::test]
async fn a_body_over_the_message_limit_is_refused_before_anybody_gets_it() {
    let large = |name: &str| format!("{BASE}x-{name}: |\n  {}\n", "y".repeat(600_000)).replace("x-", "# ");
    let big = |key: &str| {
        format!(
            "receivers:\n  otlp:\n    {key}: {}\nexporters: {{otlp: }}\nservice: {{pipelines: {{logs: {{receivers: [otlp], exporters: [otlp]}}}}}}\n",
            "y".repeat(600_000)
        )
    };
    assert!(large("a").len() > 600_000);
    let world = layered(&[("a", &big("one")), ("b", &big("two"))]).await;
    let fleet = [member(1, &[])];
    assert!(world.publish("a@1", &fleet).await.unwrap());
    let refused = why(world.publish("a@1,b@1", &fleet).await.unwrap_err());
    assert!(refused.contains("at most"), "{refused}");
}

#[tokio::test]
async fn a_10_mb_config_is_refused_when_it_is_saved() {
    let world = World::new();
    let refused = world.try_config("big", Content::Yaml("x".repeat(10 << 20))).await;
    assert!(why(refused.unwrap_err()).contains("at most"));
}

#[tokio::test]
async fn a_config_with_duplicate_keys_is_refused_when_it_is_saved() {
    let world = World::new();
    let refused = world
        .try_config("twice", Content::Yaml(format!("{BASE}receivers: {{}}\n")))
        .await;
    assert!(why(refused.unwrap_err()).contains("a second time"));
}

#[tokio::test]
async fn a_config_with_a_variable_of_an_unknown_kind_is_refused_at_its_place() {
    let world = World::new();
    let refused = world
        .try_config("odd", Content::Yaml(with_endpoint("${muster:foo}")))
        .await;
    let told = why(refused.unwrap_err());
    assert!(told.starts_with("line 5, column 15"), "{told}");
}

#[tokio::test]
async fn anchors_and_merge_keys_keep_their_meaning_across_layers() {
    let base = "receivers: {otlp: }\nexporters:\n  a: &a {endpoint: x, retry: true}\n  b:\n    <<: *a\n    endpoint: y\n\
                service: {pipelines: {logs: {receivers: [otlp], exporters: [a, b]}}}\n";
    let more = base
        .replace("endpoint: x", "endpoint: z")
        .replace("*a\n    endpoint: y", "*a");
    let world = layered(&[("base", base), ("more", &more)]).await;
    let fleet = [member(1, &[])];
    world.publish("base@1,more@1", &fleet).await.unwrap();
    let text = world.text(&fleet[0]);
    assert!(text.contains("  b:\n    endpoint: z\n    retry: true"), "{text}");
    assert!(!text.contains("<<") && !text.contains('&'), "{text}");
}

#[tokio::test]
async fn a_configuration_of_its_own_is_rendered_for_the_agent_alone() {
    let world = layered(&[("base", &with_endpoint("${muster:label.region}"))]).await;
    let layer = &LayerRef::list("base@1").unwrap()[0];
    let (good, bad) = (member(1, &[("region", "eu")]), member(2, &[]));
    let pinned = world
        .intentions
        .pin_revision(&admin(), &good.agent, None, (layer, ""), false)
        .await
        .unwrap();
    let mut registration = good.agent.registration.clone();
    registration.own_target = Some(pinned);
    let desired = world.intentions.desired(&registration);
    assert!(
        desired.own
            && matches!(desired.config, Intent::Want(offer) if text(&offer.content).contains("endpoint: eu"))
    );
    let refused = world
        .intentions
        .pin_revision(&admin(), &bad.agent, None, (layer, ""), false)
        .await;
    assert!(why(refused.unwrap_err()).contains("web-2 has no label.region"));
}
