//! From the parser's events to the tree, without recursion and within the limits.

use std::collections::{BTreeMap, BTreeSet};

use serde_saphyr::granit_parser::{
    Event, Marker, Options, Parser, ScalarStyle, Span, Tag as WrittenTag, options,
};

use super::{Entry, Limits, Node, Position, Problem, Tag, Value, reason, scalar};

/// Problems beyond this many say nothing new.
const MOST_PROBLEMS: usize = 50;

/// Reads the tree of one document.
pub(super) fn tree(text: &str, limits: &Limits) -> Result<Node, Vec<Problem>> {
    let mut builder = Builder::new(limits);
    for event in Parser::new_from_str_with_options(text, parser_options(limits)) {
        let step = match event {
            Ok((event, span)) => builder.take(event, &span),
            Err(error) => {
                let message = reason::syntax(error.kind(), limits);
                Err(Problem::error(position(error.marker()), message))
            }
        };
        if let Err(problem) = step {
            builder.problems.push(problem);
            break;
        }
    }
    let mut problems = builder.problems;
    if problems.is_empty() {
        let nothing = Node::new(Position::START, Value::Null);
        return Ok(builder.root.unwrap_or(nothing));
    }
    problems.sort();
    Err(problems)
}

fn parser_options(limits: &Limits) -> Options {
    options! {
        flow_nesting_limit: limits.depth,
        block_nesting_limit: limits.depth,
    }
}

fn position(mark: &Marker) -> Position {
    Position {
        line: u32::try_from(mark.line()).unwrap_or(u32::MAX).max(1),
        column: u32::try_from(mark.col()).unwrap_or(u32::MAX).saturating_add(1),
    }
}

struct Builder<'a> {
    limits: &'a Limits,
    /// The collections that are not finished, outermost first.
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
    anchors: BTreeMap<usize, (Node, Cost)>,
    aliases: usize,
    /// What the tree takes so far, repetitions included.
    cost: Cost,
    problems: Vec<Problem>,
}

#[derive(Clone, Copy, Default)]
struct Cost {
    nodes: usize,
    bytes: usize,
}

/// A collection that is not finished.
struct Open {
    at: Position,
    /// The number of its anchor; 0 when it has none.
    anchor: usize,
    /// What the tree took when it began.
    before: Cost,
    tag: Option<Tag>,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map(OpenMap),
}

#[derive(Default)]
struct OpenMap {
    entries: Vec<Entry>,
    keys: BTreeSet<String>,
    merged: Vec<Entry>,
    /// The key whose value comes next.
    key: Option<Key>,
}

enum Key {
    Text(Position, String),
    /// `<<`
    Merge(Position),
    /// One that was reported; its value is dropped.
    Refused,
}

impl<'a> Builder<'a> {
    fn new(limits: &'a Limits) -> Self {
        Self {
            limits,
            open: Vec::new(),
            root: None,
            documents: 0,
            anchors: BTreeMap::new(),
            aliases: 0,
            cost: Cost::default(),
            problems: Vec::new(),
        }
    }

    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), Problem> {
        let at = position(&span.start);
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(Problem::error(at, reason::SECOND_DOCUMENT));
                }
                Ok(())
            }
            Event::Alias(anchor) => self.alias(at, anchor),
            Event::Scalar(text, style, anchor, tag) => {
                let before = self.cost;
                self.spend(at, 1, text.len())?;
                let plain = matches!(style, ScalarStyle::Plain) && tag.is_none();
                let Some(value) = value(&text, style, tag.as_deref()) else {
                    return Err(Problem::error(at, reason::NOT_ITS_TAG));
                };
                let merge = plain && text == "<<";
                let node = Node {
                    quoted: !plain,
                    tag: asked(tag.as_deref()),
                    ..Node::new(at, value)
                };
                self.finish(node, anchor, before, merge)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.begin(at, anchor, asked(tag.as_deref()), Content::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                let content = Content::Map(OpenMap::default());
                self.begin(at, anchor, asked(tag.as_deref()), content)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else {
                    return Ok(());
                };
                let value = match open.content {
                    Content::List(items) => Value::List(items),
                    Content::Map(map) => Value::Map(map.all()),
                };
                let node = Node {
                    tag: open.tag,
                    ..Node::new(open.at, value)
                };
                self.finish(node, open.anchor, open.before, false)
            }
            // The frame of the document, and what we didn't ask for.
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd | _ => Ok(()),
        }
    }

    fn begin(
        &mut self,
        at: Position,
        anchor: usize,
        tag: Option<Tag>,
        content: Content,
    ) -> Result<(), Problem> {
        if self.open.len() >= self.limits.depth {
            return Err(Problem::error(at, reason::too_deep(self.limits)));
        }
        let before = self.cost;
        self.spend(at, 1, 0)?;
        self.open.push(Open {
            at,
            anchor,
            before,
            tag,
            content,
        });
        Ok(())
    }

    /// Repeats what an anchor marked.
    fn alias(&mut self, at: Position, anchor: usize) -> Result<(), Problem> {
        self.aliases += 1;
        if self.aliases > self.limits.aliases {
            return Err(Problem::error(at, reason::too_tangled(self.limits)));
        }
        let Some((node, cost)) = self.anchors.get(&anchor) else {
            return Err(Problem::error(at, reason::INSIDE_ITSELF));
        };
        let (node, cost) = (node.clone(), *cost);
        let spent = self.spend(at, cost.nodes, cost.bytes);
        spent.map_err(|_| Problem::error(at, reason::too_tangled(self.limits)))?;
        // A repetition may stand deeper than its original.
        let deepest = self.open.len() + depth(&node.value);
        if deepest > self.limits.depth {
            return Err(Problem::error(at, reason::too_deep(self.limits)));
        }
        self.add(Node { at, ..node }, false)
    }

    fn finish(&mut self, node: Node, anchor: usize, before: Cost, merge: bool) -> Result<(), Problem> {
        if anchor > 0 {
            if self.anchors.len() >= self.limits.aliases {
                return Err(Problem::error(node.at, reason::too_tangled(self.limits)));
            }
            let cost = Cost {
                nodes: self.cost.nodes - before.nodes,
                bytes: self.cost.bytes - before.bytes,
            };
            // The copy that is kept for repetitions counts like one.
            self.spend(node.at, cost.nodes, cost.bytes)?;
            self.anchors.insert(anchor, (node.clone(), cost));
        }
        self.add(node, merge)
    }

    /// Puts a finished node where it belongs: as the root, an item, a key or a value.
    fn add(&mut self, node: Node, merge: bool) -> Result<(), Problem> {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        let added = match &mut open.content {
            Content::List(items) => {
                items.push(node);
                Ok(())
            }
            Content::Map(map) => map.add(node, merge),
        };
        if let Err(problem) = added {
            if self.problems.len() + 1 >= MOST_PROBLEMS {
                return Err(problem);
            }
            self.problems.push(problem);
        }
        Ok(())
    }

    fn spend(&mut self, at: Position, nodes: usize, bytes: usize) -> Result<(), Problem> {
        self.cost.nodes = self.cost.nodes.saturating_add(nodes);
        self.cost.bytes = self.cost.bytes.saturating_add(bytes);
        if self.cost.nodes > self.limits.nodes || self.cost.bytes > self.limits.bytes.saturating_mul(4) {
            return Err(Problem::error(at, reason::too_many(self.limits)));
        }
        Ok(())
    }
}

impl OpenMap {
    fn add(&mut self, node: Node, merge: bool) -> Result<(), Problem> {
        match self.key.take() {
            None => self.add_key(node, merge),
            Some(Key::Text(at, key)) => {
                self.entries.push(Entry { at, key, value: node });
                Ok(())
            }
            Some(Key::Merge(at)) => self.merge(at, node),
            Some(Key::Refused) => Ok(()),
        }
    }

    fn add_key(&mut self, node: Node, merge: bool) -> Result<(), Problem> {
        self.key = Some(Key::Refused);
        let at = node.at;
        let kind = match node.value {
            Value::Text(key) => {
                if !self.keys.insert(key.clone()) {
                    return Err(Problem::error(
                        at,
                        format!("the key {key:?} stands here a second time"),
                    ));
                }
                let key = if merge { Key::Merge(at) } else { Key::Text(at, key) };
                self.key = Some(key);
                return Ok(());
            }
            Value::Null => "empty",
            Value::Bool(_) => "a boolean",
            Value::Int(_) | Value::Float(_) => "a number",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        };
        let message =
            format!("a key has to be text, and this one is {kind}; put it in quotes if it is meant so");
        Err(Problem::error(at, message))
    }

    /// Takes over the entries of another map, at the place of the `<<`.
    fn merge(&mut self, at: Position, node: Node) -> Result<(), Problem> {
        let maps = if let Value::List(items) = node.value {
            items
        } else {
            vec![node]
        };
        for map in maps {
            let Value::Map(entries) = map.value else {
                return Err(Problem::error(map.at, reason::MERGES_NO_MAP));
            };
            self.merged
                .extend(entries.into_iter().map(|entry| Entry { at, ..entry }));
        }
        Ok(())
    }

    /// All entries: its own, then the merged ones that it doesn't have itself; of those the first.
    fn all(mut self) -> Vec<Entry> {
        let merged = self
            .merged
            .into_iter()
            .filter(|entry| self.keys.insert(entry.key.clone()));
        self.entries.extend(merged);
        self.entries
    }
}

/// The value of a scalar; `None` when its tag calls for another one.
fn value(text: &str, style: ScalarStyle, tag: Option<&WrittenTag>) -> Option<Value> {
    let is_plain = matches!(style, ScalarStyle::Plain);
    let own = || {
        if is_plain {
            scalar::plain(text)
        } else {
            Value::Text(text.to_owned())
        }
    };
    let Some(tag) = tag else {
        return Some(own());
    };
    match tag.core_suffix() {
        Some("str" | "binary") => Some(Value::Text(text.to_owned())),
        Some("null") => Some(scalar::plain(text)).filter(|value| *value == Value::Null),
        Some("bool") => Some(scalar::plain(text)).filter(|value| matches!(value, Value::Bool(_))),
        Some("int") => Some(scalar::plain(text)).filter(|value| matches!(value, Value::Int(_))),
        Some("float") => match scalar::plain(text) {
            Value::Int(_) | Value::Float(_) => text.parse().ok().map(Value::Float),
            Value::Null | Value::Bool(_) | Value::Text(_) | Value::List(_) | Value::Map(_) => None,
        },
        // A tag of somebody's own changes nothing, but `!` alone says "text".
        _ if tag.suffix().is_empty() || tag.suffix() == "!" => Some(Value::Text(text.to_owned())),
        _ => Some(own()),
    }
}

/// `!append` and `!remove`; other tags ask nothing.
fn asked(tag: Option<&WrittenTag>) -> Option<Tag> {
    let own = tag.filter(|tag| tag.core_suffix().is_none())?;
    match own.suffix() {
        "append" => Some(Tag::Append),
        "remove" => Some(Tag::Remove),
        _ => None,
    }
}

/// How many collections are nested in a value. Bounded by the limit on depth, which every value has passed.
fn depth(value: &Value) -> usize {
    match value {
        Value::List(items) => 1 + items.iter().map(|item| depth(&item.value)).max().unwrap_or(0),
        Value::Map(entries) => {
            1 + entries
                .iter()
                .map(|entry| depth(&entry.value.value))
                .max()
                .unwrap_or(0)
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) => 0,
    }
}
