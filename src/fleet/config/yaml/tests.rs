use super::*;

#[track_caller]
fn tree(text: &str) -> Node {
    parse(text.as_bytes(), &Limits::default()).unwrap_or_else(|problems| panic!("{text}: {problems:?}"))
}

/// The first problem of a text, as `line:column message`.
#[track_caller]
fn problem(text: impl AsRef<[u8]>) -> String {
    let problems = parse(text.as_ref(), &Limits::default()).expect_err("a text with a problem");
    let first = &problems[0];
    format!("{}:{} {}", first.at.line, first.at.column, first.message)
}

#[test]
fn everything_has_its_place() {
    let root = tree("# about\nreceivers:\n  otlp: {port: 4317}\n  list:\n    - a\n");
    let receivers = root.entry("receivers").unwrap();
    assert_eq!(receivers.at, Position { line: 2, column: 1 });
    let otlp = receivers.value.entry("otlp").unwrap();
    assert_eq!(otlp.at, Position { line: 3, column: 3 });
    let port = otlp.value.entry("port").unwrap();
    assert_eq!(port.value.value, Value::Int(4317));
    assert_eq!(port.value.at, Position { line: 3, column: 16 });
    let item = &receivers.value.entry("list").unwrap().value.items().unwrap()[0];
    assert_eq!(
        (item.text(), item.at),
        (Some("a"), Position { line: 5, column: 7 })
    );
}

#[test]
fn an_empty_document_is_nothing() {
    for text in ["", "# only a comment\n", "---\n", "\n\n", "~"] {
        assert!(tree(text).is_null(), "{text:?}");
    }
}

#[test]
fn anchors_aliases_and_merge_keys_are_resolved() {
    let root = tree("a: &a {x: 1, y: 2}\nb: *a\nc:\n  <<: *a\n  y: 3\nd:\n  <<: [*a, {z: 4, x: 9}]\n");
    let number = |map: &str, key: &str| root.entry(map)?.value.entry(key).map(|e| e.value.value.clone());
    assert_eq!(number("b", "x"), Some(Value::Int(1)));
    assert_eq!(root.entry("b").unwrap().value.at, Position { line: 2, column: 4 });
    assert_eq!(number("c", "x"), Some(Value::Int(1)));
    assert_eq!(number("c", "y"), Some(Value::Int(3)), "its own entry wins");
    assert_eq!(number("d", "x"), Some(Value::Int(1)), "the first one merged wins");
    assert_eq!(number("d", "z"), Some(Value::Int(4)));
    assert!(root.entry("c").unwrap().value.entry("<<").is_none());
    let quoted = tree("'<<': 1");
    assert!(
        quoted.entry("<<").is_some(),
        "in quotes it is a key like any other"
    );
}

#[test]
fn quotes_and_tags_decide_what_a_word_is() {
    let root = tree("a: '1'\nb: !!str 1\nc: !!int '1'\nd: !own 1\ne: |\n  1\nf: ! 1\n");
    let kinds: Vec<_> = root
        .entries()
        .unwrap()
        .iter()
        .map(|e| e.value.value.clone())
        .collect();
    let text = |text: &str| Value::Text(text.into());
    assert_eq!(
        kinds,
        [
            text("1"),
            text("1"),
            Value::Int(1),
            Value::Int(1),
            text("1\n"),
            text("1")
        ]
    );
    assert_eq!(problem("a: !!int x"), "1:10 this value does not fit its tag");
}

#[test]
fn each_mistake_is_named_where_it_is() {
    for (text, expected) in [
        (
            "a: 1\nb:\n  c: 1\n  c: 2\n",
            "4:3 the key \"c\" stands here a second time",
        ),
        ("a: 1\r\na: 2\r\n", "2:1 the key \"a\" stands here a second time"),
        (
            "a:\n\t- b\n",
            "2:2 there is a tab here; YAML is indented with blanks",
        ),
        (
            "a:\n  b: 1\n c: 2\n",
            "3:2 this line is indented in another way than its neighbours",
        ),
        ("a: {b: 1\n", "1:4 this '{' is not closed"),
        ("a: [1}\n", "1:4 this '[' is closed by '}'"),
        (
            "a: \"\\d\"\n",
            "1:4 an escape in these quotes means nothing; write a backslash twice, or use single quotes",
        ),
        (
            "a: *nope\n",
            "1:4 this alias names an anchor that is not defined above it",
        ),
        ("a: &a [*a]\n", "1:8 this alias stands inside of what it repeats"),
        (
            "a: 1\n---\nb: 2\n",
            "2:1 a second document begins here; a configuration is one document",
        ),
        ("a: @b\n", "1:4 a value can't begin with '@'; put it in quotes"),
        (
            "b:\n  <<: 1\n",
            "2:7 `<<` merges a map, or a list of maps, and this is neither",
        ),
        (
            "1: a\n",
            "1:1 a key has to be text, and this one is a number; put it in quotes if it is meant so",
        ),
        (
            "a: 1\nb: \0\n",
            "2:4 the character \\u{0} can't stand in YAML; in double quotes it can be escaped",
        ),
    ] {
        assert_eq!(problem(text), expected, "{text:?}");
    }
    assert!(problem("a: b: c\n").starts_with("1:5 a `:` can't stand here"));
    assert_eq!(problem(b"a: 1\nb: \xff"), "2:4 this is not UTF-8 text");
}

#[test]
fn keys_that_are_no_text_and_duplicates_are_all_named() {
    let text = "1: a\ntrue: b\n? [x]\n: c\n~: d\ne: 1\ne: 2\n";
    let problems = parse(text.as_bytes(), &Limits::default()).unwrap_err();
    let lines: Vec<_> = problems.iter().map(|p| p.at.line).collect();
    assert_eq!(lines, [1, 2, 3, 5, 7]);
    let many: String = (0..200).map(|_| "a: 1\n").collect();
    assert_eq!(parse(many.as_bytes(), &Limits::default()).unwrap_err().len(), 50);
}

/// The stack of a test's thread is as large as a server's: what doesn't overflow here doesn't there.
#[test]
fn nesting_is_refused_at_the_limit_and_never_costs_the_stack() {
    let block = |levels: usize| {
        (0..levels)
            .flat_map(|i| [" ".repeat(i), "a:\n".into()])
            .collect::<String>()
    };
    assert!(parse(block(64).as_bytes(), &Limits::default()).is_ok());
    assert!(parse("- ".repeat(63).as_bytes(), &Limits::default()).is_ok());
    for text in [
        block(65),
        "- ".repeat(10_000),
        "[".repeat(10_000),
        "{a: ".repeat(10_000),
        "? ".repeat(10_000),
        "- ? ".repeat(10_000),
    ] {
        let problem = problem(&text);
        assert!(
            problem.ends_with("this is nested too deeply: at most 64 levels are taken"),
            "{problem}"
        );
    }
    // Aliases can't nest deeper than texts.
    let mut text = format!("a: &a0 {}{}\n", "[".repeat(40), "]".repeat(40));
    text += "b: [[[[[[[[[[[[[[[[[[[[[[[[*a0]]]]]]]]]]]]]]]]]]]]]]]]\n";
    assert!(problem(&text).contains("nested too deeply"));
}

#[test]
fn an_alias_bomb_is_refused_before_it_goes_off() {
    let mut laughs = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for i in 1..10 {
        let ten = vec![format!("*a{}", i - 1); 10].join(",");
        laughs = format!("{laughs}a{i}: &a{i} [{ten}]\n");
    }
    assert!(problem(&laughs).starts_with("4:"), "{}", problem(&laughs));
    let wide = format!("a: &a [{}]\nb: [{}]", "x,".repeat(8000), "*a,".repeat(400));
    assert!(problem(&wide).contains("repeat too much"));
    let long = format!("a: &a {}\nb: [{}]", "x".repeat(500_000), "*a,".repeat(400));
    assert!(problem(&long).contains("repeat too much"));
    let aliases = format!("a: &a x\nb: [{}]", "*a,".repeat(501));
    assert!(problem(&aliases).contains("at most 500 aliases"));
}

#[test]
fn what_is_too_big_is_refused_where_it_becomes_so() {
    let limits = Limits {
        bytes: 10,
        ..Limits::default()
    };
    let problems = parse(b"a: 1\nb: 2345678\n", &limits).unwrap_err();
    assert_eq!(problems[0].at, Position { line: 2, column: 6 });
    let keys = (0..20_000)
        .map(|i| format!("k{i}: 1"))
        .collect::<Vec<_>>()
        .join("\n");
    assert!(problem(&keys).contains("at most 20000 values and keys"));
}
