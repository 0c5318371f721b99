//! Laws of putting layers together, and of writing what came of it.

use muster::fleet::config::Position;
use muster::fleet::config::merge::merge_trees;
use muster::fleet::config::yaml::{Entry, Limits, Node, Tag, Value, parse};
use proptest::prelude::*;
use proptest::sample::subsequence;

fn node(value: Value) -> Node {
    Node::new(Position::START, value)
}

fn map(entries: Vec<(String, Node)>) -> Node {
    let entry = |(key, value)| Entry {
        at: Position::START,
        key,
        value,
    };
    node(Value::Map(entries.into_iter().map(entry).collect()))
}

fn texts(items: Vec<&str>, append: bool) -> Node {
    let items = items
        .into_iter()
        .map(|item| node(Value::Text(item.into())))
        .collect();
    Node {
        tag: append.then_some(Tag::Append),
        ..node(Value::List(items))
    }
}

/// Any tree, with any texts.
fn tree() -> impl Strategy<Value = Node> {
    let text = prop_oneof![
        "\\PC{0,12}",
        any::<String>(),
        "[-:#?&*!|>'\"{}\\[\\],%@` ~=<.0-9a-zA-Z\n\t]{0,14}",
        "[ a-z\n]{0,14}",
        Just("y".to_owned()),
        Just("2024-01-01".to_owned()),
    ];
    let readable = |text: &String| !text.contains('\u{feff}');
    let text = text.prop_filter("a mark at the beginning is no text", readable);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<u64>().prop_map(|n| Value::Int(n.into())),
        any::<i64>().prop_map(|n| Value::Int(n.into())),
        any::<f64>()
            .prop_filter("equal to itself", |n| !n.is_nan())
            .prop_map(Value::Float),
        text.clone().prop_map(Value::Text),
    ];
    let leaf = leaf.prop_map(node);
    leaf.prop_recursive(4, 40, 5, move |inner| {
        let list = prop::collection::vec(inner.clone(), 0..5).prop_map(|items| node(Value::List(items)));
        let entries = prop::collection::btree_map(text.clone(), inner, 0..5);
        prop_oneof![
            list,
            entries.prop_map(|entries| map(entries.into_iter().collect()))
        ]
    })
}

fn nothing() -> Node {
    node(Value::Null)
}

fn removal() -> Node {
    Node {
        tag: Some(Tag::Remove),
        ..nothing()
    }
}

/// This, or once in a while nothing.
fn or_nothing(some: impl Strategy<Value = Node>) -> impl Strategy<Value = Node> {
    prop_oneof![6 => some, 1 => Just(nothing())]
}

/// A layer with some of its keys turned into removals: those that the numbers hit, counted in the order of the text.
fn removing() -> impl Strategy<Value = Node> {
    fn cut(node: &mut Node, hits: &[u8], at: &mut u8) {
        if let Value::Map(entries) = &mut node.value {
            for entry in entries {
                *at = at.wrapping_add(1);
                if hits.contains(at) {
                    entry.value = removal();
                } else {
                    cut(&mut entry.value, hits, at);
                }
            }
        }
    }
    (layer(), prop::collection::vec(1_u8..12, 0..3)).prop_map(|(mut layer, hits)| {
        cut(&mut layer, &hits, &mut 0);
        layer
    })
}

/// Where a layer removes something.
fn removed(node: &Node, path: &mut Vec<String>, into: &mut Vec<Vec<String>>) {
    for entry in node.entries().unwrap_or_default() {
        path.push(entry.key.clone());
        if entry.value.removes() {
            into.push(path.clone());
        } else {
            removed(&entry.value, path, into);
        }
        path.pop();
    }
}

fn find<'a>(node: &'a Node, path: &[String]) -> Option<&'a Node> {
    path.iter()
        .try_fold(node, |node, key| Some(&node.entry(key)?.value))
}

/// The same without the entries that say nothing.
fn without_nothings(node: &Node) -> Node {
    match &node.value {
        Value::Map(entries) => {
            let said = entries.iter().filter(|entry| !entry.value.is_null());
            let said = said.map(|entry| Entry {
                value: without_nothings(&entry.value),
                ..entry.clone()
            });
            Node {
                value: Value::Map(said.collect()),
                ..node.clone()
            }
        }
        _ => node.clone(),
    }
}

/// A layer of a collector's configuration; the same key has the same kind of value in all of them, or nothing.
fn layer() -> impl Strategy<Value = Node> {
    const NAMES: [&str; 4] = ["a", "b", "c", "d"];
    let names = || subsequence(NAMES.to_vec(), 0..=4);
    let part = || prop::option::of((names(), any::<bool>()).prop_map(|(names, append)| texts(names, append)));
    let pipeline = (part(), part()).prop_map(|(receivers, exporters)| {
        let parts = [("receivers", receivers), ("exporters", exporters)];
        map(parts
            .into_iter()
            .filter_map(|(key, part)| Some((key.to_owned(), part?)))
            .collect())
    });
    let pipelines = prop::collection::btree_map("logs|traces", or_nothing(pipeline), 0..3);
    let extensions = prop::option::of(or_nothing(names().prop_map(|names| texts(names, false))));
    let service = (extensions, pipelines).prop_map(|(extensions, pipelines)| {
        let pipelines = ("pipelines".to_owned(), map(pipelines.into_iter().collect()));
        let extensions = extensions.map(|list| ("extensions".to_owned(), list));
        map(extensions.into_iter().chain([pipelines]).collect())
    });
    let number = (0_u8..3).prop_map(|n| node(Value::Int(n.into())));
    let settings = prop::collection::btree_map("x|y|z", or_nothing(number), 0..3);
    let list = prop::collection::vec((0_u8..3).prop_map(|n| node(Value::Int(n.into()))), 0..3);
    let component = (settings, prop::option::of(list)).prop_map(|(settings, list)| {
        let list = list.map(|items| ("list".to_owned(), node(Value::List(items))));
        map(settings.into_iter().chain(list).collect())
    });
    let section = prop::collection::btree_map("a|b|c", or_nothing(component), 0..4)
        .prop_map(|all| map(all.into_iter().collect()));
    let section = or_nothing(section).boxed();
    (section.clone(), section, service, any::<[bool; 3]>()).prop_map(
        |(receivers, exporters, service, has)| {
            let sections = [
                ("receivers", receivers),
                ("exporters", exporters),
                ("service", service),
            ];
            let sections = sections.into_iter().zip(has).filter(|(_, has)| *has);
            map(sections
                .map(|((key, section), _)| (key.to_owned(), section))
                .collect())
        },
    )
}

fn merged(layers: &[&Node]) -> Node {
    merge_trees(layers.iter().map(|layer| (*layer).clone())).root
}

fn text(layers: &[&Node]) -> String {
    merged(layers).emit().text
}

/// The same in another order.
fn reversed(node: &Node) -> Node {
    let value = match &node.value {
        Value::Map(entries) => Value::Map(
            entries
                .iter()
                .rev()
                .map(|entry| Entry {
                    value: reversed(&entry.value),
                    ..entry.clone()
                })
                .collect(),
        ),
        Value::List(items) => Value::List(items.iter().map(reversed).collect()),
        other => other.clone(),
    };
    Node {
        value,
        ..node.clone()
    }
}

/// What a tree says, without places and ways of writing.
fn bare(node: &Node) -> Node {
    let value = match &node.value {
        Value::Map(entries) => Value::Map(
            entries
                .iter()
                .map(|entry| Entry {
                    at: Position::START,
                    key: entry.key.clone(),
                    value: bare(&entry.value),
                })
                .collect(),
        ),
        Value::List(items) => Value::List(items.iter().map(bare).collect()),
        other => other.clone(),
    };
    Node::new(Position::START, value)
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(tree in tree()) {
        let emitted = tree.emit();
        let limits = Limits { bytes: 1 << 24, ..Limits::default() };
        let read = parse(emitted.text.as_bytes(), &limits);
        let read = read.unwrap_or_else(|problems| panic!("{}\n{problems:?}", emitted.text));
        prop_assert_eq!(bare(&read), bare(&tree), "{}", emitted.text);
        prop_assert_eq!(emitted.lines.len(), emitted.text.split_terminator('\n').count());
        prop_assert_eq!(read.emit().text, emitted.text);
    }

    #[test]
    fn layers_may_be_put_together_in_any_grouping(a in layer(), b in layer(), c in layer()) {
        let all = text(&[&a, &b, &c]);
        prop_assert_eq!(&text(&[&merged(&[&a, &b]), &c]), &all);
        prop_assert_eq!(&text(&[&a, &merged(&[&b, &c])]), &all);
    }

    #[test]
    fn layers_that_remove_stand_for_all_below_them_once_put_together(a in removing(), b in removing(), c in removing()) {
        let all = text(&[&a, &b, &c]);
        prop_assert_eq!(&text(&[&merged(&[&a, &b]), &c]), &all);
        prop_assert_eq!(&text(&[&merged(&[&a]), &b, &c]), &all);
        prop_assert_eq!(&text(&[&merged(&[&a, &b, &c])]), &all);
    }

    #[test]
    fn what_the_last_layer_removes_is_gone_and_told(a in layer(), b in removing()) {
        let both = merge_trees([a.clone(), b.clone()]);
        let mut places = Vec::new();
        removed(&b, &mut Vec::new(), &mut places);
        for place in &places {
            prop_assert!(find(&both.root, place).is_none(), "{:?}", place);
            let there = find(&a, place).is_some();
            let told = both.overlaps.iter().any(|overlap| overlap.path == place.join(".") && overlap.kept.removes());
            prop_assert_eq!(told, there, "{:?}", place);
        }
        let idle = places.iter().filter(|place| find(&a, place).is_none()).count();
        prop_assert_eq!(both.idle.len(), idle);
        let mut tagged = false;
        let mut look = vec![&both.root];
        while let Some(node) = look.pop() {
            tagged |= node.removes();
            look.extend(node.entries().unwrap_or_default().iter().map(|entry| &entry.value));
        }
        prop_assert!(!tagged, "an agent is never sent the tag");
    }

    #[test]
    fn nothing_over_settings_takes_none_away(a in layer(), b in layer()) {
        let both = merged(&[&a, &b]);
        for section in ["receivers", "exporters"] {
            let below = a.entry(section).and_then(|section| section.value.entries());
            for component in below.unwrap_or_default() {
                let path = [section.to_owned(), component.key.clone()];
                let silent = find(&b, &path).is_none_or(Node::is_null);
                if silent {
                    prop_assert_eq!(find(&both, &path).map(bare), Some(bare(&component.value)));
                }
            }
        }
        // What a layer says is in force whether or not it also names what it says nothing of.
        let said = merged(&[&a, &without_nothings(&b)]);
        for overlap in merge_trees([a.clone(), without_nothings(&b)]).overlaps {
            let path: Vec<_> = overlap.path.split('.').map(str::to_owned).collect();
            prop_assert_eq!(find(&said, &path).map(bare), find(&both, &path).map(bare));
        }
    }

    #[test]
    fn an_empty_layer_changes_nothing(a in layer(), b in layer()) {
        let nothing = nothing();
        let both = text(&[&a, &b]);
        for layers in [[&nothing, &a, &b], [&a, &nothing, &b], [&a, &b, &nothing]] {
            prop_assert_eq!(&text(&layers), &both);
        }
    }

    #[test]
    fn the_same_layer_twice_is_the_layer(a in layer()) {
        prop_assert_eq!(text(&[&a, &a]), text(&[&a]));
    }

    #[test]
    fn the_order_of_keys_and_the_time_of_day_mean_nothing(a in layer(), b in layer()) {
        let both = text(&[&a, &b]);
        prop_assert_eq!(&text(&[&reversed(&a), &reversed(&b)]), &both);
        prop_assert_eq!(&text(&[&a, &b]), &both);
    }

    #[test]
    fn the_most_specific_layer_has_its_way(a in layer(), b in layer()) {
        let emitted = merged(&[&a, &b]).emit();
        for overlap in merge_trees([a, b]).overlaps {
            prop_assert_eq!((overlap.kept.layer, overlap.lost[0].layer), (1, 0));
            prop_assert!(emitted.lines.iter().any(|line| line.layer == 1));
        }
    }
}
