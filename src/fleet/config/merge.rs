//! Layers put together into one document, from base to most specific.
//!
//! Maps merge, and everything else is replaced by what the more specific layer says, nothing (`null`) included: so do
//! collectors that are given several files. Two lists go on instead: `service.extensions` always, and a pipeline's
//! receivers, processors and exporters where the more specific layer asks for it with the tag `!append`. What is there
//! already is not added again.
//!
//! Merging is a function of what layers say, not of how they say it: keys are put in one order. Layers that don't change
//! the kind of a value (a map stays a map) may be merged in any grouping.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::problem::{Position, Problem};
use super::yaml::{self, Entry, Limits, Node, Value, in_line};

/// The most overlaps that are told.
const MOST_OVERLAPS: usize = 200;
/// The most characters of a value that are told.
const LONGEST_VALUE: usize = 120;

/// Layers put together.
#[derive(Clone, Debug)]
pub struct Merged {
    /// The document. Each value knows its layer.
    pub root: Node,
    /// Where layers say different things.
    pub overlaps: Vec<Overlap>,
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
    /// The value, in one line.
    pub value: String,
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
                let found = misplaced_appends(&root);
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
    let mut overlaps = Overlaps::default();
    let mut merged: Option<Node> = None;
    for (layer, mut root) in roots.into_iter().enumerate() {
        belongs_to(&mut root, u16::try_from(layer).unwrap_or(u16::MAX));
        merged = Some(match merged {
            None => root,
            // An empty document says nothing; it doesn't say that there is nothing.
            Some(base) if root.is_null() => base,
            Some(base) if base.is_null() => root,
            Some(base) => combine(base, root, &mut Vec::new(), &mut overlaps),
        });
    }
    let mut root = merged.unwrap_or_else(|| Node::new(Position::START, Value::Null));
    in_order(&mut root, Place::Root);
    Merged {
        root,
        overlaps: overlaps.told(),
    }
}

/// Lists that ask to go on where no list can.
#[must_use]
pub fn misplaced_appends(root: &Node) -> Vec<Problem> {
    fn look(node: &Node, place: Place, problems: &mut Vec<Problem>) {
        if node.append && !matches!(place, Place::Extensions | Place::Part) {
            let message = "only `service.extensions` and the receivers, processors and exporters of a pipeline can be \
                           appended to; without the tag the list replaces the one below";
            problems.push(Problem::error(node.at, message));
        }
        for entry in node.entries().unwrap_or_default() {
            look(&entry.value, place.below(&entry.key), problems);
        }
        for item in node.items().unwrap_or_default() {
            look(item, Place::Elsewhere, problems);
        }
    }
    let mut problems = Vec::new();
    look(root, Place::Root, &mut problems);
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

/// One layer over what is below it, at a place that both have.
fn combine(base: Node, over: Node, path: &mut Vec<String>, overlaps: &mut Overlaps) -> Node {
    let place = Place::of(path);
    match (base.value, over.value) {
        (Value::Map(below), Value::Map(above)) => Node {
            value: Value::Map(merge_maps(below, above, path, overlaps)),
            ..Node::new(base.at, Value::Null).of_layer(base.layer)
        },
        (Value::List(mut below), Value::List(above))
            if place == Place::Extensions || (over.append && place == Place::Part) =>
        {
            for item in above {
                if !below.iter().any(|known| same(&known.value, &item.value)) {
                    below.push(item);
                }
            }
            Node {
                value: Value::List(below),
                append: base.append,
                ..Node::new(base.at, Value::Null).of_layer(base.layer)
            }
        }
        (below, above) => {
            let over = Node {
                value: above,
                append: false,
                ..over
            };
            if below != Value::Null && !same(&below, &over.value) {
                let below = Node { value: below, ..base };
                overlaps.note(path, &below, &over);
            }
            over
        }
    }
}

fn merge_maps(
    mut below: Vec<Entry>,
    above: Vec<Entry>,
    path: &mut Vec<String>,
    overlaps: &mut Overlaps,
) -> Vec<Entry> {
    let places: BTreeMap<String, usize> = below
        .iter()
        .enumerate()
        .map(|(at, entry)| (entry.key.clone(), at))
        .collect();
    for entry in above {
        let known = places.get(&entry.key).and_then(|at| below.get_mut(*at));
        let Some(known) = known else {
            below.push(entry);
            continue;
        };
        let base = std::mem::replace(&mut known.value, Node::new(Position::START, Value::Null));
        path.push(entry.key);
        known.value = combine(base, entry.value, path, overlaps);
        path.pop();
    }
    below
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

    fn told(self) -> Vec<Overlap> {
        self.0.into_values().collect()
    }
}

fn said(node: &Node) -> Said {
    let list = |items: &[Node]| {
        let items: Vec<_> = items.iter().map(|item| in_line(&item.value)).collect();
        format!("[{}]", items.join(", "))
    };
    let mut value = node.items().map_or_else(|| in_line(&node.value), list);
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
