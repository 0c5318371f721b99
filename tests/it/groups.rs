//! Laws of membership.

use std::collections::BTreeMap;

use muster::fleet::group::{Because, Candidate, Group, membership, unassigned};
use muster::fleet::name::Name;
use muster::fleet::selector::Selector;
use muster::fleet::time::Timestamp;
use proptest::prelude::*;

const SELECTORS: [&str; 7] = [
    "*",
    "label.env = prod",
    "label.env != dev",
    "exists label.env",
    "fact.os = linux",
    "os = linux",
    "label.env = prod, fact.os =~ l.*",
];

fn name(letter: char) -> Name {
    Name::slug(&letter.to_string())
}

fn group() -> impl Strategy<Value = Group> {
    let selectors = prop::collection::vec(prop::sample::select(SELECTORS.to_vec()), 0..3);
    (selectors, 0..3, any::<bool>()).prop_map(|(selectors, priority, joins_by_facts)| Group {
        name: unassigned(),
        description: String::new(),
        selectors: selectors
            .into_iter()
            .map(|s| Selector::parse(s).unwrap())
            .collect(),
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
    })
}

/// Up to six groups with the names a to f.
fn groups() -> impl Strategy<Value = Vec<Group>> {
    prop::collection::vec(group(), 0..6).prop_map(|mut groups| {
        for (group, letter) in groups.iter_mut().zip('a'..) {
            group.name = name(letter);
        }
        groups
    })
}

fn attribute(
    key: &'static str,
    values: [&'static str; 2],
) -> impl Strategy<Value = BTreeMap<String, String>> {
    prop::option::of(prop::sample::select(values.to_vec())).prop_map(move |value| {
        value
            .map(|value| (key.into(), value.into()))
            .into_iter()
            .collect()
    })
}

proptest! {
    #[test]
    fn the_order_of_groups_does_not_matter(
        groups in groups(), labels in attribute("env", ["prod", "dev"]), facts in attribute("os", ["linux", "x"]),
        turn in 0_usize..6,
    ) {
        let candidate = Candidate { labels: &labels, facts: &facts, pin: None, token_group: None };
        let found = membership(&candidate, &groups);
        let mut turned = groups.clone();
        turned.rotate_left(turn % groups.len().max(1));
        prop_assert_eq!(&membership(&candidate, &turned), &found);
        turned.reverse();
        prop_assert_eq!(&membership(&candidate, &turned), &found);
    }

    #[test]
    fn facts_never_decide_where_the_group_does_not_allow_it(
        mut groups in groups(), labels in attribute("env", ["prod", "dev"]), facts in attribute("os", ["linux", "x"]),
    ) {
        for group in &mut groups {
            group.joins_by_facts = false;
        }
        let none = BTreeMap::new();
        let with = Candidate { labels: &labels, facts: &facts, pin: None, token_group: None };
        let without = Candidate { facts: &none, ..with };
        let (with, without) = (membership(&with, &groups), membership(&without, &groups));
        prop_assert_eq!(with.group, without.group);
        prop_assert_eq!(with.because, without.because);
    }

    #[test]
    fn a_claim_by_labels_does_not_change_with_facts(
        groups in groups(), labels in attribute("env", ["prod", "dev"]), facts in attribute("os", ["linux", "x"]),
    ) {
        let none = BTreeMap::new();
        let without = Candidate { labels: &labels, facts: &none, pin: None, token_group: None };
        let with = Candidate { facts: &facts, ..without };
        let (with, without) = (membership(&with, &groups), membership(&without, &groups));
        if matches!(without.because, Because::Label(_)) {
            prop_assert_eq!(with, without);
        }
    }

    #[test]
    fn the_winner_claims_the_agent_and_nobody_with_its_kind_of_claim_ranks_higher(
        groups in groups(), labels in attribute("env", ["prod", "dev"]), facts in attribute("os", ["linux", "x"]),
    ) {
        let candidate = Candidate { labels: &labels, facts: &facts, pin: None, token_group: None };
        let found = membership(&candidate, &groups);
        let claims = |group: &Group, by_facts: bool| {
            group.selectors.iter().any(|s| s.uses_facts() == by_facts && s.matches(&labels, &facts))
        };
        let winner = groups.iter().find(|g| g.name == found.group);
        match &found.because {
            Because::Label(_) => {
                let winner = winner.unwrap();
                prop_assert!(claims(winner, false));
                prop_assert!(groups.iter().filter(|g| claims(g, false)).all(|g| g.priority <= winner.priority));
                let tied = groups.iter().filter(|g| claims(g, false) && g.priority == winner.priority);
                prop_assert_eq!(tied.count(), found.tied_with.len() + 1);
            }
            Because::Fact(_) => {
                let winner = winner.unwrap();
                prop_assert!(winner.joins_by_facts && claims(winner, true));
                prop_assert!(!groups.iter().any(|g| claims(g, false)));
            }
            Because::Nothing => {
                prop_assert_eq!(found.group, unassigned());
                prop_assert!(!groups.iter().any(|g| claims(g, false) || (g.joins_by_facts && claims(g, true))));
            }
            Because::Pin | Because::Token => prop_assert!(false, "nothing was pinned"),
        }
        prop_assert!(found.tied_with.iter().all(|tied| tied > &winner.unwrap().name));
    }

    #[test]
    fn a_pin_to_an_existing_group_always_holds(
        groups in groups(), labels in attribute("env", ["prod", "dev"]), facts in attribute("os", ["linux", "x"]),
        letter in prop::char::range('a', 'g'),
    ) {
        let pin = name(letter);
        let candidate = Candidate { labels: &labels, facts: &facts, pin: Some(&pin), token_group: None };
        let found = membership(&candidate, &groups);
        let exists = groups.iter().any(|g| g.name == pin);
        prop_assert_eq!(exists, found.because == Because::Pin);
        prop_assert!(!exists || found.group == pin);
    }
}
