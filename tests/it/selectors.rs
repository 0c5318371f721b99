//! Laws of selectors and filters.

use std::collections::BTreeMap;

use muster::fleet::selector::{Filter, Pattern, Selector, Test};
use proptest::prelude::*;

/// Any text, and often one that needs quotes or looks like a keyword.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,4}(\\.[a-z]{1,3})?",
        "\\PC{1,6}",
        any::<String>().prop_map(|s| s.chars().take(8).collect()),
        prop::sample::select(vec![
            "exists", "in", "notin", "label.x", "fact.", "*", "a b", "\\", "'"
        ])
        .prop_map(str::to_owned),
    ]
}

/// The text of a selector, in quotes and blanks as people might put them.
fn selector_text() -> impl Strategy<Value = String> {
    let quoted = || word().prop_map(|w| format!("{w:?}").replace("\\0", "\\u{0}").replace("\\r", "\\u{d}"));
    let key = (prop::sample::select(vec!["", "label.", "fact."]), quoted())
        .prop_filter("a key has a name", |(_, name)| name != "\"\"")
        .prop_map(|(prefix, name)| format!("{prefix}{name}"));
    let set = prop::collection::vec(quoted(), 1..4).prop_map(|values| values.join(" , "));
    let pattern = prop::sample::select(vec![
        "web-[0-9]+",
        "a{1,2}",
        "\"(a|b), c\"",
        "[,x]\\d",
        ".*",
        "\\,",
    ]);
    let requirement =
        (key, quoted(), set, pattern, 0_u8..7).prop_map(|(key, value, set, pattern, kind)| match kind {
            0 => format!("{key}={value}"),
            1 => format!("{key} !={value}"),
            2 => format!("{key} in({set})"),
            3 => format!("{key} notin ({set})"),
            4 => format!("exists {key}"),
            5 => format!("! exists {key}"),
            _ => format!("{key} =~ {pattern}"),
        });
    prop::collection::vec(requirement, 1..4).prop_map(|requirements| requirements.join(" ,"))
}

/// Repetitions inside repetitions: what an engine that backtracks tries in exponentially many ways.
fn repetitions() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec!["a", "a?", "a*", "a+", "aa", "[ab]", "."]).prop_map(str::to_owned);
    leaf.prop_recursive(4, 12, 3, |inner| {
        let sign = prop::sample::select(vec!["*", "+", "?", "{0,3}", "{1,}"]);
        let both = prop::collection::vec(inner.clone(), 1..4);
        prop_oneof![
            (inner, sign).prop_map(|(inner, sign)| format!("({inner}){sign}")),
            both.clone().prop_map(|both| both.concat()),
            both.prop_map(|both| format!("({})", both.join("|"))),
        ]
    })
}

proptest! {
    /// Exponentially many steps over the longest value would never end; a time is not measured. A pattern that takes too
    /// much memory is refused, and a longer value matches nothing.
    #[test]
    fn a_pattern_that_would_backtrack_is_answered_for_the_longest_values(inner in repetitions(), end in "[bc!]") {
        let Ok(pattern) = Pattern::new(&format!("({inner})+({inner})+{end}")) else { return Ok(()) };
        let longest = "a".repeat(4095);
        prop_assert!(!pattern.is_match(&(longest.clone() + "?")), "it ends in something else");
        prop_assert!(!pattern.is_match(&(longest.repeat(2) + &end)), "too long to be tried");
        let anything = Pattern::new(&format!("(.+)+(.+)*{end}")).unwrap();
        prop_assert!(anything.is_match(&(longest + &end)));
    }

    #[test]
    fn parsing_what_a_selector_prints_gives_the_same_selector(text in selector_text()) {
        let selector = Selector::parse(&text).unwrap();
        let printed = selector.to_string();
        prop_assert_eq!(&Selector::parse(&printed).unwrap(), &selector);
        prop_assert_eq!(Selector::parse(&printed).unwrap().to_string(), printed);
        let json = serde_json::to_string(&selector).unwrap();
        prop_assert_eq!(serde_json::from_str::<Selector>(&json).unwrap(), selector);
    }

    #[test]
    fn every_selector_is_a_filter_of_the_same_meaning(text in selector_text()) {
        let filter = Filter::parse(&text).unwrap();
        prop_assert_eq!(filter.selector, Selector::parse(&text).unwrap());
        prop_assert!(filter.words.is_empty());
    }

    #[test]
    fn parsing_what_a_filter_prints_gives_the_same_filter(
        words in prop::collection::vec(word(), 0..4), text in selector_text(), with in any::<bool>(),
    ) {
        let selector = if with { Selector::parse(&text).unwrap() } else { Selector::everything() };
        let words = words.into_iter().filter(|word| !word.is_empty()).collect();
        let filter = Filter { words, selector };
        prop_assert_eq!(Filter::parse(&filter.to_string()).unwrap(), filter);
    }

    #[test]
    fn any_text_is_a_selector_or_is_refused_inside_itself(text in any::<String>()) {
        if let Err(error) = Selector::parse(&text) {
            prop_assert!((1..=text.chars().count() + 1).contains(&error.column));
        }
        if let Ok(filter) = Filter::parse(&text) {
            prop_assert_eq!(Filter::parse(&filter.to_string()).unwrap(), filter);
        }
    }

    #[test]
    fn a_text_of_signs_is_a_selector_or_is_refused_inside_itself(text in "[abin!=~*(), .\"'\\\\{}|\\[\\]]{0,24}") {
        if let Err(error) = Selector::parse(&text) {
            prop_assert!((1..=text.chars().count() + 1).contains(&error.column));
        }
        if let Ok(filter) = Filter::parse(&text) {
            prop_assert_eq!(Filter::parse(&filter.to_string()).unwrap(), filter);
        }
    }

    #[test]
    fn a_negation_holds_exactly_where_its_operator_does_not(
        value in prop::option::of("[ab]{0,2}"), wanted in "[ab]{0,2}", other in "[ab]{0,2}",
    ) {
        let value = value.as_deref();
        prop_assert_ne!(Test::Is(wanted.clone()).holds(value), Test::IsNot(wanted.clone()).holds(value));
        let mut set = vec![wanted, other];
        set.sort();
        prop_assert_ne!(Test::In(set.clone()).holds(value), Test::NotIn(set).holds(value));
        prop_assert_ne!(Test::Exists.holds(value), Test::Absent.holds(value));
    }

    #[test]
    fn what_agents_report_never_decides_a_selector_of_labels(
        text in selector_text(), facts in prop::collection::btree_map(word(), word(), 0..4),
    ) {
        let selector = Selector::parse(&text).unwrap();
        if !selector.uses_facts() {
            let none = BTreeMap::new();
            prop_assert_eq!(selector.matches(&none, &facts), selector.matches(&none, &none));
        }
    }
}
