use std::collections::BTreeMap;

use super::*;

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect()
}

#[track_caller]
fn takes(selector: &str, labels: &[(&str, &str)], facts: &[(&str, &str)]) -> bool {
    Selector::parse(selector)
        .unwrap_or_else(|error| panic!("{selector}: {error}"))
        .matches(&map(labels), &map(facts))
}

#[track_caller]
fn refusal(selector: &str) -> (usize, String) {
    let error = Selector::parse(selector).expect_err(selector);
    (error.column, error.problem.to_string())
}

#[test]
fn each_operator_means_what_it_says() {
    let labels = [("env", "prod")];
    let facts = [("host.name", "web-12")];
    for (selector, taken) in [
        ("*", true),
        ("label.env = prod", true),
        ("label.env == prod", true),
        ("label.env = PROD", false),
        ("label.env != prod", false),
        ("label.env != dev", true),
        ("label.env in (dev, prod)", true),
        ("label.env in (dev)", false),
        ("label.env notin (dev, prod)", false),
        ("label.env notin (dev)", true),
        ("exists label.env", true),
        ("exists fact.env", false),
        ("!exists label.env", false),
        ("! exists fact.env", true),
        ("fact.host.name =~ web-[0-9]+", true),
        ("fact.host.name =~ web", false),
        ("fact.host.name =~ web-\\d{1,3}, label.env=prod", true),
        ("label.env = prod, fact.host.name = web-13", false),
        ("env = prod, host.name =~ .*", true),
    ] {
        assert_eq!(takes(selector, &labels, &facts), taken, "{selector}");
    }
}

#[test]
fn an_absent_key_passes_negations_only() {
    for selector in ["label.a != x", "label.a notin (x, y)", "!exists label.a"] {
        assert!(takes(selector, &[], &[]), "{selector}");
    }
    for selector in [
        "label.a = x",
        "label.a = \"\"",
        "label.a in (x)",
        "exists label.a",
        "label.a =~ .*",
    ] {
        assert!(!takes(selector, &[], &[]), "{selector}");
    }
    assert!(!takes("exists label.a, label.a != x", &[], &[]));
}

#[test]
fn a_label_and_a_fact_of_one_name_are_two_things() {
    assert!(!takes("label.region = eu", &[], &[("region", "eu")]));
    assert!(!takes("fact.region = eu", &[("region", "eu")], &[]));
}

#[test]
fn an_empty_selector_is_refused() {
    for text in ["", "  ", "\n"] {
        let error = Selector::parse(text).unwrap_err();
        assert_eq!(error.problem, SelectorProblem::Empty);
    }
    assert!(serde_json::from_str::<Selector>("\"\"").is_err());
}

#[test]
fn a_refusal_names_the_column_and_what_belongs_there() {
    assert_eq!(
        refusal("label.env"),
        (10, "expected one of = != =~ in notin, found the end".into())
    );
    assert_eq!(refusal("label.ä =").0, 10);
    assert_eq!(
        refusal("label.env = prod label.x = y"),
        (18, "expected a comma or the end, found `label.x`".into())
    );
    assert_eq!(refusal("label.env in prod").0, 14);
    assert_eq!(refusal("label.env in (a b)").0, 17);
    assert_eq!(refusal("label.env in ()").0, 15);
    assert_eq!(refusal("label.env = prod,").0, 18);
    assert_eq!(refusal("!label.env").0, 2);
    assert_eq!(refusal("label. x = y").0, 7);
    assert_eq!(refusal("\"\" = y").0, 1);
    assert_eq!(refusal("label.a = \"x").0, 11);
    assert_eq!(refusal("label.a = \"x\\q\"").0, 13);
    for text in ["*, label.a = b", "label.a = web-*", "label.a in (*)"] {
        let error = Selector::parse(text).unwrap_err();
        assert_eq!(error.problem, SelectorProblem::Wildcard, "{text}");
    }
}

#[test]
fn a_pattern_can_not_backtrack_grow_or_escape_its_anchors() {
    let value = "a".repeat(4000) + "!";
    assert!(!takes("label.a =~ (a+)+b", &[("a", &value)], &[]));
    assert!(!takes("label.a =~ (a|aa)+$", &[("a", &value)], &[]));
    assert!(!takes("label.a =~ (?x)x|y", &[("a", "xz")], &[]));
    assert!(takes("label.a =~ a|ab", &[("a", "ab")], &[]));
    for text in ["((a{100}){100}){100}", "\\w{200}"] {
        assert_eq!(Pattern::new(text), Err(PatternError::TooBig), "{text}");
    }
    assert_eq!(Pattern::new(&"a".repeat(257)), Err(PatternError::TooLong));
    for text in ["a)|(b", "(a", "(?=a)", "(a)\\1", "[a"] {
        let error = Pattern::new(text).unwrap_err();
        assert!(matches!(error, PatternError::Syntax(_)), "{text}: {error}");
        assert!(!error.to_string().contains('\n'), "{error}");
    }
    assert!(Pattern::new("\\w+-\\w+").is_ok());
}

#[test]
fn the_text_is_canonical() {
    for (text, printed) in [
        ("  * ", "*"),
        ("label.env=prod,fact.a!=b", "label.env = prod, fact.a != b"),
        ("env in(b , a,b)", "env in (a, b)"),
        ("label.'a b' = \"c, d\"", "label.\"a b\" = \"c, d\""),
        (r#"label.a = "\u{7}\n\"""#, r#"label.a = "\u{7}\n\"""#),
        ("!  exists a", "!exists a"),
        ("\"exists\" = a", "\"exists\" = a"),
        ("\"label.a\" = a", "\"label.a\" = a"),
        ("\"a\" =~ \"a{1,2}\"", "a =~ a{1,2}"),
        ("a =~ \"b c\"", "a =~ \"b c\""),
    ] {
        let selector = Selector::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(selector.to_string(), printed);
        assert_eq!(Selector::parse(printed), Ok(selector));
    }
}

#[test]
fn a_bare_key_that_is_both_a_label_and_a_fact_is_a_question() {
    let known = |key: &str| match key {
        "env" => Known::Label,
        "os.type" => Known::Fact,
        "region" => Known::Both,
        "status" => Known::Field,
        _ => Known::Neither,
    };
    let resolve = |text: &str| Selector::parse(text).unwrap().resolve(known);
    let resolved = resolve("env = prod, os.type = linux, fact.region = eu, status = ok").unwrap();
    let expected = "label.env = prod, fact.os.type = linux, fact.region = eu, status = ok";
    assert_eq!(resolved.to_string(), expected);
    assert_eq!(resolve("exists region"), Err(Ambiguity::Both("region".into())));
    assert_eq!(resolve("x = y"), Err(Ambiguity::Neither("x".into())));
    assert!(Filter::parse("x = y").unwrap().resolve(known).is_ok());
    assert!(Filter::parse("region = y").unwrap().resolve(known).is_err());
}

#[test]
fn only_a_selector_of_labels_alone_uses_no_facts() {
    for (text, uses) in [
        ("*", false),
        ("label.a = b", false),
        ("label.a = b, fact.c = d", true),
        ("a = b", true),
    ] {
        assert_eq!(Selector::parse(text).unwrap().uses_facts(), uses, "{text}");
    }
}

#[test]
fn a_filter_searches_words_and_holds_requirements() {
    let shows = |text: &str| {
        let filter = Filter::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(Filter::parse(&filter.to_string()), Ok(filter.clone()), "{text}");
        filter.matches_with(&["Web-3", "web-3.example.com"], |key| {
            (key.source.is_none() && key.name == "status").then_some("failing")
        })
    };
    for text in [
        "",
        "*",
        "web",
        "EXAMPLE web",
        "web, status = failing",
        "status=failing web",
        "status in (failing, dark) 3.ex",
        "\"-3.\"",
        "label.",
    ] {
        assert_eq!(shows(text), text != "label.", "{text}");
    }
    for text in [
        "db",
        "web db",
        "status = healthy",
        "in",
        "exists label.x",
        "\"exists\"",
    ] {
        assert!(!shows(text), "{text}");
    }
    for text in ["status =", "web*", "!web", "= x", "status in (a", "\"web"] {
        assert!(Filter::parse(text).is_err(), "{text}");
    }
}
