use super::*;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn group(named: &str, priority: i32, joins_by_facts: bool, selectors: &[&str]) -> Group {
    Group {
        name: name(named),
        description: String::new(),
        selectors: selectors.iter().map(|s| Selector::parse(s).unwrap()).collect(),
        priority,
        joins_by_facts,
        layers: Vec::new(),
        target: None,
        strategy: None,
        rollout: None,
        approvals: 0,
        hold: None,
        created_at: Timestamp::EPOCH,
        updated_at: Timestamp::EPOCH,
    }
}

/// An agent with the label `env` and the fact `os`.
struct Agent {
    labels: BTreeMap<String, String>,
    facts: Facts,
}

impl Agent {
    fn new(env: &str, os: &str) -> Self {
        let one = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
        Self {
            labels: one("env", env),
            facts: one("os", os),
        }
    }

    fn candidate(&self) -> Candidate<'_> {
        Candidate {
            labels: &self.labels,
            facts: &self.facts,
            pin: None,
            token_group: None,
        }
    }
}

#[test]
fn an_agent_that_no_group_claims_is_unassigned() {
    let agent = Agent::new("dev", "linux");
    let found = membership(&agent.candidate(), [&group("a", 0, true, &["label.env = prod"])]);
    assert_eq!((found.group, found.because), (unassigned(), Because::Nothing));
    assert_eq!(
        membership(&agent.candidate(), [] as [&Group; 0]).group,
        unassigned()
    );
}

#[test]
fn a_pin_beats_a_token_beats_labels_beat_facts() {
    let agent = Agent::new("prod", "linux");
    let (pin, token) = (name("pin"), name("token"));
    let groups = [
        group("pin", 0, false, &[]),
        group("token", 0, false, &[]),
        group("label", 0, false, &["label.env = prod"]),
        group("fact", 99, true, &["fact.os = linux"]),
    ];
    let mut candidate = agent.candidate();
    candidate.pin = Some(&pin);
    candidate.token_group = Some(&token);
    let placed = |candidate: &Candidate<'_>, groups: &[Group]| {
        let found = membership(candidate, groups);
        (found.group.to_string(), found.because)
    };
    assert_eq!(placed(&candidate, &groups), ("pin".into(), Because::Pin));
    // A group that was deleted counts as no pin, and then as no token group.
    assert_eq!(placed(&candidate, &groups[1..]), ("token".into(), Because::Token));
    let label = Because::Label("label.env = prod".into());
    assert_eq!(placed(&candidate, &groups[2..]), ("label".into(), label));
    let fact = Because::Fact("fact.os = linux".into());
    assert_eq!(placed(&candidate, &groups[3..]), ("fact".into(), fact));
}

#[test]
fn facts_only_propose_where_the_group_does_not_allow_them() {
    let agent = Agent::new("prod", "linux");
    let careful = group("careful", 1, false, &["fact.os = linux"]);
    let found = membership(&agent.candidate(), [&careful]);
    assert_eq!((found.group, found.because), (unassigned(), Because::Nothing));
    assert_eq!(found.proposed, Some(name("careful")));
    // A mixed selector and a bare key could be satisfied by a claim just the same.
    for selector in ["label.env = prod, fact.os = linux", "os = linux"] {
        let found = membership(&agent.candidate(), [&group("careful", 1, false, &[selector])]);
        assert_eq!(found.group, unassigned(), "{selector}");
    }
    // An open group takes the agent meanwhile, unless it would win anyway.
    for (priority, proposed) in [(0, Some(name("careful"))), (2, None)] {
        let open = group("open", priority, true, &["fact.os = linux"]);
        let found = membership(&agent.candidate(), [&careful, &open]);
        assert_eq!((found.group, found.proposed), (name("open"), proposed));
    }
    // One that labels placed needs no proposal.
    let labelled = group("labelled", 0, false, &["label.env = prod"]);
    let found = membership(&agent.candidate(), [&careful, &labelled]);
    assert_eq!((found.group, found.proposed), (name("labelled"), None));
}

#[test]
fn two_groups_of_equal_priority_are_a_tie_that_the_name_settles() {
    let agent = Agent::new("prod", "linux");
    let groups = [
        group("c", 5, false, &["label.env = prod"]),
        group("b", 5, false, &["*"]),
        group("a", 4, false, &["*"]),
        group("d", 5, false, &["label.env != dev"]),
    ];
    let found = membership(&agent.candidate(), &groups);
    assert_eq!(found.group, name("b"));
    assert_eq!(found.tied_with, [name("c"), name("d")]);
    let found = membership(&agent.candidate(), &groups[..1]);
    assert_eq!(found.tied_with, []);
}

#[test]
fn any_selector_of_a_group_is_enough() {
    let agent = Agent::new("prod", "linux");
    let either = group("a", 0, false, &["label.env = dev", "label.env = prod"]);
    let found = membership(&agent.candidate(), [&either]);
    assert_eq!(found.because, Because::Label("label.env = prod".into()));
}

#[test]
fn no_group_may_be_called_unassigned() {
    let mut group = group("unassigned", 9, true, &["*"]);
    assert_eq!(group.check(), Err(GroupError::Reserved));
    let agent = Agent::new("prod", "linux");
    let found = membership(&agent.candidate(), [&group]);
    assert_eq!(found.because, Because::Nothing);
    group.name = name("assigned");
    assert_eq!(group.check(), Ok(()));
    group.layers = vec![name("a"), name("b"), name("a")];
    assert_eq!(group.check(), Err(GroupError::Repeated(name("a"))));
    group.layers = (0..=MOST_LAYERS).map(|at| name(&format!("l{at}"))).collect();
    assert_eq!(group.check(), Err(GroupError::Layers(MOST_LAYERS + 1)));
    group.layers.pop();
    assert_eq!(group.check(), Ok(()));
}

#[test]
fn a_group_and_a_membership_survive_json() {
    let group = group("a", 1, true, &["label.env = prod", "*"]);
    let json = serde_json::to_string(&group).unwrap();
    assert_eq!(serde_json::from_str::<Group>(&json).unwrap(), group);
    let agent = Agent::new("prod", "linux");
    let found = membership(&agent.candidate(), [&group]);
    let json = serde_json::to_string(&found).unwrap();
    assert!(
        json.contains(r#""because":{"by":"label","selector":"label.env = prod"}"#),
        "{json}"
    );
    assert_eq!(serde_json::from_str::<Membership>(&json).unwrap(), found);
}
