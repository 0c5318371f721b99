//! Layers put together into one document, from base to most specific.
//!
//! Maps merge, and everything else is replaced by what the more specific layer says. Two lists go on instead:
//! `service.extensions` always, and a pipeline's receivers, processors and exporters where the more specific layer asks for
//! it with the tag `!append`. What is there already is not added again.
//!
//! Nothing (`null`) over a map says nothing: the map stays. Files for collectors write `otlp:` for "with its defaults", be it
//! a component, a section or a setting such as `grpc:`, so in a layer it means "as below". (Collectors that are given several
//! files let it replace the map; here one document is sent, and a map that silently loses its settings is what nobody wants.)
//! Over a single value or a list it takes the place of what is there, as in collectors; over `service.extensions`, which only
//! goes on, it adds nothing.
//!
//! What a layer below has is taken away by the tag `!remove` in the place of the value, at any key: a component, a pipeline,
//! a section, a setting. A layer above may say something there again, and begins anew. In lists it makes no sense, since they
//! are replaced; and where the layers below have nothing, it is told and does nothing.
//!
//! Merging is a function of what layers say, not of how they say it: keys are put in one order. Layers that don't change
//! the kind of a value (a map stays a map) and remove nothing may be merged in any grouping; those that remove, from the base
//! on, so that the first of them put together stand for all of them.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::problem::{Position, Problem};
use super::yaml::{self, Entry, Limits, Node, Tag, Value, in_line};

/// The most overlaps that are told.
const MOST_OVERLAPS: usize = 200;
/// How the tag is written.
const REMOVE: &str = "!remove";
/// The most characters of a value that are told.
const LONGEST_VALUE: usize = 120;

/// Layers put together.
#[derive(Clone, Debug)]
pub struct Merged {
    /// The document. Each value knows its layer.
    pub root: Node,
    /// Where layers say different things.
    pub overlaps: Vec<Overlap>,
    /// What layers remove, and no layer below them has.
    pub idle: Vec<LayerProblem>,
}

/// One place for which layers say different things.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Overlap {
    /// The place, as in `exporters.otlp.endpoint`.
    pub path: String,
    /// What is in force.
    pub kept: Said,
    /// What is not, from base to most specific.
    pub lost: Vec<Said>,
}

/// What one layer says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Said {
    /// The layer, from 0 for the base.
    pub layer: u16,
    /// The place in it.
    #[serde(flatten)]
    pub at: Position,
    /// The value, in one line; `!remove` where it takes away what is below.
    pub value: String,
}

impl Said {
    /// Whether it takes away what the layers below have.
    #[must_use]
    pub fn removes(&self) -> bool {
        self.value == REMOVE
    }
}

/// A problem of one layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerProblem {
    /// The layer, from 0 for the base.
    pub layer: usize,
    /// The problem.
    pub problem: Problem,
}

/// Puts layers together, from base to most specific.
///
/// # Errors
/// The problems of layers that can't be read.
pub fn merge(layers: &[&[u8]], limits: &Limits) -> Result<Merged, Vec<LayerProblem>> {
    let mut problems = Vec::new();
    let mut roots = Vec::new();
    for (layer, text) in layers.iter().enumerate() {
        let found = match yaml::parse(text, limits) {
            Ok(root) => {
                let found = misplaced_tags(&root);
                roots.push(root);
                found
            }
            Err(found) => found,
        };
        problems.extend(found.into_iter().map(|problem| LayerProblem { layer, problem }));
    }
    if problems.is_empty() {
        Ok(merge_trees(roots))
    } else {
        Err(problems)
    }
}

/// Puts documents together, from base to most specific.
#[must_use]
pub fn merge_trees(roots: impl IntoIterator<Item = Node>) -> Merged {
    let mut merging = Merging::default();
    let mut merged: Option<Node> = None;
    for (layer, mut root) in roots.into_iter().enumerate() {
        belongs_to(&mut root, u16::try_from(layer).unwrap_or(u16::MAX));
        merged = match merged {
            // An empty document says nothing; it doesn't say that there is nothing.
            Some(base) if root.is_null() => Some(base),
            Some(base) if !base.is_null() => Some(merging.combine(base, root)),
            Some(_) | None => merging.settled(root),
        };
    }
    let mut root = merged.unwrap_or_else(|| Node::new(Position::START, Value::Null));
    in_order(&mut root, Place::Root);
    Merged {
        root,
        overlaps: merging.overlaps.told(),
        idle: merging.idle,
    }
}

/// Whether a document asks something of layers below it: then it isn't sent as it is.
#[must_use]
pub fn has_tags(root: &Node) -> bool {
    root.tag.is_some()
        || root
            .entries()
            .unwrap_or_default()
            .iter()
            .any(|entry| has_tags(&entry.value))
        || root.items().unwrap_or_default().iter().any(has_tags)
}

/// Tags where they make no sense: lists that ask to go on where no list can, and removals of what has no key.
#[must_use]
pub fn misplaced_tags(root: &Node) -> Vec<Problem> {
    fn look(node: &Node, place: Option<Place>, problems: &mut Vec<Problem>) {
        let list = node.items().is_some();
        match node.tag {
            Some(Tag::Append) if !list || !matches!(place, Some(Place::Extensions | Place::Part)) => {
                let message = "only `service.extensions` and the receivers, processors and exporters of a pipeline \
                               can be appended to; without the tag the list replaces the one below";
                problems.push(Problem::error(node.at, message));
            }
            Some(Tag::Remove) if matches!(place, None | Some(Place::Root)) => {
                let message = "`!remove` stands behind a key, which it takes away; a list replaces the one below, so \
                               write it without what it is not to have";
                problems.push(Problem::error(node.at, message));
            }
            Some(Tag::Remove) if !node.is_null() => {
                let message = "`!remove` takes the place of the value: nothing stands behind it";
                problems.push(Problem::error(node.at, message));
            }
            Some(Tag::Append | Tag::Remove) | None => {}
        }
        for entry in node.entries().unwrap_or_default() {
            look(&entry.value, place.map(|place| place.below(&entry.key)), problems);
        }
        for item in node.items().unwrap_or_default() {
            look(item, None, problems);
        }
    }
    let mut problems = Vec::new();
    look(root, Some(Place::Root), &mut problems);
    problems
}

/// The places of a collector's configuration that have rules of their own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Service,
    Extensions,
    Pipelines,
    Pipeline,
    /// The receivers, processors or exporters of a pipeline.
    Part,
    Elsewhere,
}

impl Place {
    fn below(self, key: &str) -> Self {
        match (self, key) {
            (Self::Root, "service") => Self::Service,
            (Self::Service, "extensions") => Self::Extensions,
            (Self::Service, "pipelines") => Self::Pipelines,
            (Self::Pipelines, _) => Self::Pipeline,
            (Self::Pipeline, "receivers" | "processors" | "exporters") => Self::Part,
            _ => Self::Elsewhere,
        }
    }

    fn of(path: &[String]) -> Self {
        path.iter().fold(Self::Root, |place, key| place.below(key))
    }

    /// The order in which people read the keys here; others follow by the alphabet.
    fn order(self) -> &'static [&'static str] {
        match self {
            Self::Root => &[
                "extensions",
                "receivers",
                "processors",
                "connectors",
                "exporters",
                "service",
            ],
            Self::Pipeline => &["receivers", "processors", "exporters"],
            Self::Service | Self::Extensions | Self::Pipelines | Self::Part | Self::Elsewhere => &[],
        }
    }
}

fn belongs_to(node: &mut Node, layer: u16) {
    node.layer = layer;
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| belongs_to(item, layer)),
        Value::Map(entries) => entries
            .iter_mut()
            .for_each(|entry| belongs_to(&mut entry.value, layer)),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) => {}
    }
}

fn in_order(node: &mut Node, place: Place) {
    match &mut node.value {
        Value::Map(entries) => {
            let order = place.order();
            let rank = |key: &str| {
                order
                    .iter()
                    .position(|known| *known == key)
                    .unwrap_or(order.len())
            };
            entries.sort_by(|a, b| (rank(&a.key), &a.key).cmp(&(rank(&b.key), &b.key)));
            for entry in entries {
                in_order(&mut entry.value, place.below(&entry.key));
            }
        }
        Value::List(items) => items.iter_mut().for_each(|item| in_order(item, Place::Elsewhere)),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) => {}
    }
}

/// Layers that are being put together, and what is told of that.
#[derive(Default)]
struct Merging {
    /// The keys that lead to the place that is looked at.
    path: Vec<String>,
    overlaps: Overlaps,
    idle: Vec<LayerProblem>,
}

impl Merging {
    /// One value over what is below it, at a place that both have.
    fn combine(&mut self, base: Node, over: Node) -> Node {
        let place = Place::of(&self.path);
        let append = over.tag == Some(Tag::Append);
        match (base.value, over.value) {
            (value @ Value::Map(_), Value::Null) => Node { value, ..base },
            (value @ Value::List(_), Value::Null) if place == Place::Extensions => Node { value, ..base },
            (Value::Map(below), Value::Map(above)) => Node {
                value: Value::Map(self.merge_maps(below, above)),
                ..Node::new(base.at, Value::Null).of_layer(base.layer)
            },
            (Value::List(mut below), Value::List(above))
                if place == Place::Extensions || (append && place == Place::Part) =>
            {
                for item in above {
                    if !below.iter().any(|known| same(&known.value, &item.value)) {
                        below.push(item);
                    }
                }
                Node {
                    value: Value::List(below),
                    tag: base.tag,
                    ..Node::new(base.at, Value::Null).of_layer(base.layer)
                }
            }
            (below, above) => {
                let below = Node { value: below, ..base };
                let over = Node {
                    value: above,
                    tag: None,
                    ..over
                };
                let Some(over) = self.settled(over) else {
                    return below;
                };
                if below.value != Value::Null && !same(&below.value, &over.value) {
                    self.overlaps.note(&self.path, &below, &over);
                }
                over
            }
        }
    }

    fn merge_maps(&mut self, mut below: Vec<Entry>, above: Vec<Entry>) -> Vec<Entry> {
        let places: BTreeMap<String, usize> = below
            .iter()
            .enumerate()
            .map(|(at, entry)| (entry.key.clone(), at))
            .collect();
        let mut gone = BTreeSet::new();
        for entry in above {
            self.path.push(entry.key.clone());
            let known = places.get(&entry.key).copied();
            match known.and_then(|at| Some((at, below.get_mut(at)?))) {
                Some((at, known)) if entry.value.removes() => {
                    self.overlaps.note(&self.path, &known.value, &entry.value);
                    gone.insert(at);
                }
                Some((_, known)) => {
                    let base = std::mem::replace(&mut known.value, Node::new(Position::START, Value::Null));
                    let layer = entry.value.layer;
                    known.value = self.combine(base, entry.value);
                    if known.value.layer == layer {
                        // The line is that layer's now.
                        known.at = entry.at;
                    }
                }
                None => {
                    if let Some(value) = self.settled(entry.value) {
                        self.overlaps.said_again(&self.path, &value);
                        below.push(Entry { value, ..entry });
                    }
                }
            }
            self.path.pop();
        }
        let mut at = 0..;
        below.retain(|_| at.next().is_none_or(|at| !gone.contains(&at)));
        below
    }

    /// What a layer says where those below it have nothing: what it removes there is told, and so is not in it. `None` when
    /// it says nothing else.
    fn settled(&mut self, mut node: Node) -> Option<Node> {
        if node.removes() {
            let what = self.path.join(".");
            let message = format!("no layer below this one has `{what}`, so `!remove` does nothing");
            self.idle.push(LayerProblem {
                layer: usize::from(node.layer),
                problem: Problem::warning(node.at, message),
            });
            return None;
        }
        let Value::Map(entries) = &mut node.value else {
            return Some(node);
        };
        let said = entries.len();
        let mut kept = Vec::with_capacity(said);
        for entry in std::mem::take(entries) {
            self.path.push(entry.key.clone());
            if let Some(value) = self.settled(entry.value) {
                kept.push(Entry { value, ..entry });
            }
            self.path.pop();
        }
        let says_nothing = said > 0 && kept.is_empty();
        *entries = kept;
        (!says_nothing).then_some(node)
    }
}

/// Whether two values say the same, whatever the order of keys.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Map(a), Value::Map(b)) => {
            let found = |entry: &Entry| b.iter().find(|other| other.key == entry.key);
            let alike = |entry: &Entry| {
                found(entry).is_some_and(|other| same(&entry.value.value, &other.value.value))
            };
            a.len() == b.len() && a.iter().all(alike)
        }
        (Value::List(a), Value::List(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(&a.value, &b.value))
        }
        (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
        (a, b) => a == b,
    }
}

impl Node {
    fn of_layer(self, layer: u16) -> Self {
        Self { layer, ..self }
    }
}

#[derive(Default)]
struct Overlaps(BTreeMap<Vec<String>, Overlap>);

impl Overlaps {
    fn note(&mut self, path: &[String], below: &Node, above: &Node) {
        // What was said inside of what is replaced now is not in force any more.
        self.0
            .retain(|known, _| known.len() <= path.len() || !known.starts_with(path));
        if self.0.len() >= MOST_OVERLAPS && !self.0.contains_key(path) {
            return;
        }
        let overlap = self.0.entry(path.to_vec()).or_insert_with(|| Overlap {
            path: path.join("."),
            kept: said(above),
            lost: Vec::new(),
        });
        overlap.lost.push(said(below));
        overlap.kept = said(above);
    }

    /// A layer says something where one below it removed what was there.
    fn said_again(&mut self, path: &[String], above: &Node) {
        if let Some(overlap) = self.0.get_mut(path) {
            let removed = std::mem::replace(&mut overlap.kept, said(above));
            overlap.lost.push(removed);
        }
    }

    fn told(self) -> Vec<Overlap> {
        self.0.into_values().collect()
    }
}

fn said(node: &Node) -> Said {
    let list = |items: &[Node]| {
        let items: Vec<_> = items.iter().map(|item| in_line(&item.value)).collect();
        format!("[{}]", items.join(", "))
    };
    let mut value = match node.items() {
        Some(items) => list(items),
        None if node.removes() => REMOVE.to_owned(),
        None => in_line(&node.value),
    };
    if value.chars().count() > LONGEST_VALUE {
        value = value.chars().take(LONGEST_VALUE).collect();
        value.push('…');
    }
    Said {
        layer: node.layer,
        at: node.at,
        value,
    }
}

#[cfg(test)]
mod tests;
