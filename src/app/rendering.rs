//! Putting layers together: what a publication would freeze, before it is frozen.

mod late;

pub(super) use late::missing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::configs;
use super::error::Error;
use super::groups;
use super::intentions::{GroupHead, Index, Intentions};
use super::vault::SealKey;
use crate::auth::actor::Actor;
use crate::auth::permission::Permission;
use crate::fleet::agent::Agent;
use crate::fleet::config::merge::{LayerProblem, Overlap, has_tags, merge};
use crate::fleet::config::yaml::{self, Limits, Node, Origin};
use crate::fleet::config::{
    ConfigMap, Content, Insert, Kind, Position, Problem, Variable, resolve, variables,
};
use crate::fleet::group::MOST_LAYERS;
use crate::fleet::hash::Digest;
use crate::fleet::ids::AgentId;
use crate::fleet::name::Name;
use crate::fleet::target::{LayerRef, Rendered, Renderings};

/// Layers put together.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    /// The layers, from base to most specific.
    pub(super) layers: Vec<LayerRef>,
    /// What they hold.
    pub(super) kind: Kind,
    /// Where they contradict each other.
    pub(super) overlaps: Vec<Overlap>,
    /// What is worth a look in single layers, under their names.
    pub(super) remarks: Vec<Problem>,
    /// The digests of their contents.
    pub(super) sources: Vec<Digest>,
    /// What they come to.
    pub(super) document: Document,
}

/// What layers come to.
#[derive(Clone, Debug)]
pub(super) enum Document {
    /// The same for everybody.
    Same {
        /// The content.
        content: ConfigMap,
        /// Its digest.
        digest: Digest,
        /// Where its lines come from; for the one document only.
        lines: Vec<Origin>,
    },
    /// Something else for each agent.
    Varies {
        /// The document with its variables.
        root: Box<Node>,
        /// These.
        variables: Vec<Variable>,
    },
}

/// What the agents of a fleet are rendered.
#[derive(Debug, Default)]
pub(super) struct RenderedFleet {
    /// To whom what, or what is missing for it.
    pub(super) agents: BTreeMap<AgentId, Result<Rendered, Vec<Variable>>>,
    /// The contents, each once.
    pub(super) contents: BTreeMap<Digest, RenderedContent>,
}

/// One content that is rendered.
#[derive(Clone, Debug)]
pub(super) struct RenderedContent {
    /// What agents are sent.
    pub(super) content: ConfigMap,
    /// What people may see of it; `None` when that is the same.
    pub(super) shown: Option<ConfigMap>,
}

/// A document as it is shown: its text, and where each line comes from.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) content: ConfigMap,
    pub(super) lines: Vec<Origin>,
}

impl Draft {
    /// One revision, as it is.
    pub(super) fn alone(layer: LayerRef, kind: Kind, content: ConfigMap) -> Self {
        let digest = content.digest();
        let lines = lines_of(&content);
        Self {
            layers: vec![layer],
            kind,
            overlaps: Vec::new(),
            remarks: Vec::new(),
            sources: vec![digest],
            document: Document::Same {
                content,
                digest,
                lines,
            },
        }
    }

    /// The one digest that everybody is sent; `None` when each agent has its own.
    pub(super) fn digest(&self) -> Option<Digest> {
        match &self.document {
            Document::Same { digest, .. } => Some(*digest),
            Document::Varies { .. } => None,
        }
    }

    /// Its variables.
    pub(super) fn variables(&self) -> &[Variable] {
        match &self.document {
            Document::Same { .. } => &[],
            Document::Varies { variables, .. } => variables,
        }
    }

    /// The document with its variables as they stand there.
    pub(super) fn unresolved(&self) -> Shown {
        match &self.document {
            Document::Same { content, lines, .. } => Shown {
                content: content.clone(),
                lines: lines.clone(),
            },
            Document::Varies { root, .. } => shown(root),
        }
    }

    /// The document as an agent would be sent it, with the names of secrets in their place.
    pub(super) fn shown_for(&self, index: &Index, agent: &Agent) -> Result<Shown, Vec<Variable>> {
        let Document::Varies { root, .. } = &self.document else {
            return Ok(self.unresolved());
        };
        let value_of = |variable: &Variable| match variable {
            Variable::Secret(name) => index.secret(name)?.value.as_ref().map(|_| Insert::Itself),
            Variable::Label(_) | Variable::Fact(_) => value_for(index, agent, variable).map(Insert::Value),
        };
        let root = resolve(root, &value_of).map_err(|missing| missing.into_iter().collect::<Vec<_>>())?;
        Ok(shown(&root))
    }

    /// The document as checks look at it.
    pub(super) fn to_check(&self) -> Content {
        Content::of(self.kind, self.unresolved().content)
    }

    /// Whether it is one revision byte for byte, which was checked when it was saved.
    pub(super) fn is_as_saved(&self) -> bool {
        self.layers.len() == 1 && self.digest() == self.sources.first().copied()
    }

    /// What each of these agents would be sent. Agents with the same inputs are rendered once.
    pub(super) fn render<'a>(
        &self,
        index: &Index,
        key: &SealKey,
        agents: impl IntoIterator<Item = &'a Agent>,
    ) -> RenderedFleet {
        let mut fleet = RenderedFleet::default();
        let mut known: BTreeMap<Digest, Result<Digest, Vec<Variable>>> = BTreeMap::new();
        for agent in agents {
            let inputs = inputs(index, agent, self.variables());
            let rendered = known
                .entry(inputs)
                .or_insert_with(|| self.render_one(index, key, agent, &mut fleet.contents))
                .clone();
            let rendered = rendered.map(|digest| Rendered { digest, inputs });
            fleet.agents.insert(agent.id(), rendered);
        }
        fleet
    }

    fn render_one(
        &self,
        index: &Index,
        key: &SealKey,
        agent: &Agent,
        contents: &mut BTreeMap<Digest, RenderedContent>,
    ) -> Result<Digest, Vec<Variable>> {
        let (root, variables) = match &self.document {
            Document::Same { content, digest, .. } => {
                contents.entry(*digest).or_insert_with(|| RenderedContent {
                    content: content.clone(),
                    shown: None,
                });
                return Ok(*digest);
            }
            Document::Varies { root, variables } => (root, variables),
        };
        let value_of = |variable: &Variable| value_for(index, agent, variable).map(Insert::Value);
        let full = resolve(root, &value_of).map_err(|missing| missing.into_iter().collect::<Vec<_>>())?;
        let content = ConfigMap::document(&full.emit().text);
        let has_secrets = variables
            .iter()
            .any(|variable| matches!(variable, Variable::Secret(_)));
        let (digest, shown) = if has_secrets {
            let digest = key.digest(&content.to_canonical());
            (digest, Some(self.shown_for(index, agent)?.content))
        } else {
            (content.digest(), None)
        };
        contents
            .entry(digest)
            .or_insert(RenderedContent { content, shown });
        Ok(digest)
    }
}

impl RenderedContent {
    /// A content that everybody may see.
    pub(super) fn open(content: ConfigMap) -> Self {
        Self { content, shown: None }
    }
}

impl RenderedFleet {
    /// What each agent would be sent, by its digest.
    pub(super) fn renderings(&self) -> Renderings {
        let digests = self.agents.iter().map(|(agent, rendered)| {
            let digest = rendered.as_ref().map(|rendered| rendered.digest);
            (*agent, digest.map_err(Clone::clone))
        });
        Renderings::PerAgent(digests.collect())
    }

    /// The size of the largest content, in bytes.
    pub(super) fn largest(&self) -> usize {
        let sizes = self.contents.values().map(|rendered| rendered.content.size());
        sizes.max().unwrap_or(0)
    }
}

fn shown(root: &Node) -> Shown {
    let emitted = root.emit();
    Shown {
        content: ConfigMap::document(&emitted.text),
        lines: emitted.lines,
    }
}

/// What a variable stands for at an agent.
fn value_for(index: &Index, agent: &Agent, variable: &Variable) -> Option<String> {
    match variable {
        Variable::Label(key) => agent.registration.labels.get(key).cloned(),
        Variable::Fact(key) => agent.reported.description.as_ref()?.unpack().fact(key),
        Variable::Secret(name) => Some(index.secret(name)?.value.as_ref()?.reveal().clone()),
    }
}

/// A digest of what an agent's rendering depends on: when it changes, something else would be rendered. Of secrets only how
/// often they were set.
pub(super) fn inputs(index: &Index, agent: &Agent, variables: &[Variable]) -> Digest {
    let facts = agent.reported.description.as_ref();
    let asks_for_facts = variables
        .iter()
        .any(|variable| matches!(variable, Variable::Fact(_)));
    let facts = facts
        .filter(|_| asks_for_facts)
        .map(crate::fleet::packed::Packed::unpack);
    let mut bytes = Vec::new();
    for variable in variables {
        let value = match variable {
            Variable::Label(key) => agent.registration.labels.get(key).cloned(),
            Variable::Fact(key) => facts.as_ref().and_then(|facts| facts.fact(key)),
            Variable::Secret(name) => index.secret(name).and_then(|head| {
                head.value.as_ref()?;
                Some(format!("{} {}", head.record.version, head.record.updated_at.0))
            }),
        };
        let value = value.map_or_else(|| "-".to_owned(), |value| format!("+{value}"));
        bytes.extend((value.len() as u64).to_be_bytes());
        bytes.extend(value.as_bytes());
    }
    Digest::of(&bytes)
}

impl Intentions {
    /// The newest revisions of a group's layers.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] at `layers` when the group has none.
    pub fn newest_layers(&self, actor: &Actor, group: &str) -> Result<Vec<LayerRef>, Error> {
        actor.may(Permission::ViewFleet)?;
        let index = self.index();
        let head = groups::named(&index, group)?;
        if head.group.layers.is_empty() {
            let why = format!("the group {} has no layers; name a config", head.group.name);
            return Err(Error::invalid("layers", why));
        }
        let layers = head.group.layers.iter();
        layers.map(|config| newest(&index, config)).collect()
    }

    /// The layers of a group with this revision of one of them: the others as they are published, or else their newest.
    /// In a group of one layer, or none, it takes that place.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] at `config` when the group has several layers, and not this.
    pub fn layers_with(&self, actor: &Actor, group: &str, layer: &LayerRef) -> Result<Vec<LayerRef>, Error> {
        actor.may(Permission::ViewFleet)?;
        let index = self.index();
        let group = &groups::named(&index, group)?.group;
        if !group.layers.contains(&layer.config) {
            if group.layers.len() > 1 {
                let why = format!(
                    "{} is no layer of the group {}; add it to the group's layers first",
                    layer.config, group.name
                );
                return Err(Error::invalid("config", why));
            }
            return Ok(vec![layer.clone()]);
        }
        let target = group.target.and_then(|id| index.target(id));
        let published = target.and_then(|target| target.content.as_ref());
        let published = published.map_or([].as_slice(), |content| content.layers.as_slice());
        let revision_of = |config: &Name| {
            let known = published.iter().find(|published| published.config == *config);
            match known {
                _ if *config == layer.config => Ok(layer.clone()),
                Some(known) => Ok(known.clone()),
                None => newest(&index, config),
            }
        };
        group.layers.iter().map(revision_of).collect()
    }

    /// Puts layers together.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a config or a revision that doesn't exist; [`Error::Invalid`] at `layers` when they can't
    /// be put together; [`Error::Problems`] when one of them can't be read.
    pub(super) fn draft(&self, index: &Index, layers: &[LayerRef]) -> Result<Draft, Error> {
        let refused = |why: String| Err(Error::invalid("layers", why));
        if layers.is_empty() || layers.len() > MOST_LAYERS {
            return refused(format!(
                "1 to {MOST_LAYERS} layers are published; these are {}",
                layers.len()
            ));
        }
        let mut contents = Vec::with_capacity(layers.len());
        let mut sources = Vec::with_capacity(layers.len());
        let mut kinds = BTreeSet::new();
        for (at, layer) in layers.iter().enumerate() {
            if layers.iter().take(at).any(|other| other.config == layer.config) {
                return refused(format!("{} stands there twice", layer.config));
            }
            let config = configs::named(index, layer.config.as_str())?;
            let revision = configs::numbered(config, layer.revision)?;
            kinds.insert(config.config.kind == Kind::Collector);
            contents.push(self.content(revision.digest)?);
            sources.push(revision.digest);
        }
        if kinds.len() > 1 {
            let why = "some of these hold a collector's configuration and others files; a group has layers of one kind";
            return refused(why.to_owned());
        }
        let kind = if kinds.contains(&true) {
            Kind::Collector
        } else {
            Kind::Files
        };
        let draft = put_together(layers, kind, &sources, contents)?;
        if let Document::Same { content, .. } = &draft.document {
            self.fits(content.size())?;
        }
        Ok(draft)
    }

    /// Refuses what fits into no message.
    pub(super) fn fits(&self, bytes: usize) -> Result<(), Error> {
        let largest = self.largest_content;
        if bytes > largest {
            let why = format!(
                "the layers come to {bytes} bytes; a message to an agent takes at most {largest} of them \
                 (limits.message_size)"
            );
            return Err(Error::invalid("layers", why));
        }
        Ok(())
    }

    /// The draft that a target was made of: from its frozen contents, whatever became of its configs.
    pub(super) fn draft_again(&self, layers: &[LayerRef], sources: &[Digest]) -> Result<Draft, Error> {
        let contents: Result<Vec<_>, _> = sources.iter().map(|digest| self.content(*digest)).collect();
        // Only collectors' configurations have variables.
        put_together(layers, Kind::Collector, sources, contents?)
    }
}

fn put_together(
    layers: &[LayerRef],
    kind: Kind,
    sources: &[Digest],
    mut contents: Vec<ConfigMap>,
) -> Result<Draft, Error> {
    let draft = |(overlaps, remarks), document| Draft {
        layers: layers.to_vec(),
        kind,
        overlaps,
        remarks,
        sources: sources.to_vec(),
        document,
    };
    let same = |content: ConfigMap, lines| Document::Same {
        digest: content.digest(),
        content,
        lines,
    };
    if kind == Kind::Files {
        // The more specific layer has its way with a name.
        let mut content = ConfigMap::default();
        for layer in contents {
            content.files.extend(layer.files);
        }
        return Ok(draft((Vec::new(), Vec::new()), same(content, Vec::new())));
    }
    let bodies = contents.iter().map(body);
    let bodies: Vec<Vec<u8>> = bodies.collect();
    if let [only] = bodies.as_slice()
        && is_sent_as_it_is(only)
        && let Some(content) = contents.pop()
    {
        let lines = lines_of(&content);
        return Ok(draft((Vec::new(), Vec::new()), same(content, lines)));
    }
    let texts: Vec<_> = bodies.iter().map(Vec::as_slice).collect();
    let limits = Limits::default();
    let merged = merge(&texts, &limits).map_err(|problems| named(layers, problems))?;
    for (layer, text) in texts.iter().enumerate() {
        let problems = yaml::parse(text, &limits).and_then(|root| variables(&root));
        if let Err(problems) = problems {
            let problems = problems
                .into_iter()
                .map(|problem| LayerProblem { layer, problem });
            return Err(named(layers, problems));
        }
    }
    let all = variables(&merged.root).map_err(Error::Problems)?;
    let document = if all.is_empty() {
        let emitted = merged.root.emit();
        same(ConfigMap::document(&emitted.text), emitted.lines)
    } else {
        Document::Varies {
            root: Box::new(merged.root),
            variables: all.into_iter().collect(),
        }
    };
    Ok(draft((merged.overlaps, in_layers(layers, merged.idle)), document))
}

/// The problems of layers, each under the name of its layer.
fn named(layers: &[LayerRef], problems: impl IntoIterator<Item = LayerProblem>) -> Error {
    Error::Problems(in_layers(layers, problems))
}

/// Problems under the names of their layers.
fn in_layers(layers: &[LayerRef], problems: impl IntoIterator<Item = LayerProblem>) -> Vec<Problem> {
    let named = problems
        .into_iter()
        .map(|LayerProblem { layer, problem }| Problem {
            file: layers.get(layer).map(ToString::to_string),
            ..problem
        });
    named.collect()
}

/// Whether a document that is published alone is sent byte for byte: nothing in it is for us to put in or take out.
fn is_sent_as_it_is(body: &[u8]) -> bool {
    let mentions = |word: &[u8]| body.windows(word.len()).any(|window| window == word);
    let tagged = (mentions(b"!append") || mentions(b"!remove"))
        && yaml::parse(body, &Limits::default()).is_ok_and(|root| has_tags(&root));
    !tagged && !mentions(b"${muster:")
}

fn body(content: &ConfigMap) -> Vec<u8> {
    content
        .files
        .get("")
        .map(|file| file.body.clone())
        .unwrap_or_default()
}

fn lines_of(content: &ConfigMap) -> Vec<Origin> {
    let lines = body(content).split(|byte| *byte == b'\n').count();
    let at = |line: usize| Origin {
        layer: 0,
        at: Position {
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: 1,
        },
    };
    (1..=lines).map(at).collect()
}

fn newest(index: &Index, config: &Name) -> Result<LayerRef, Error> {
    let config = configs::named(index, config.as_str())?;
    Ok(LayerRef {
        config: config.config.name.clone(),
        revision: config.config.latest,
    })
}

/// The agents of a group that are to be rendered: all that are not gone.
pub(super) fn agents_of<'a>(
    fleet: impl IntoIterator<Item = &'a Arc<Agent>>,
    group: &Name,
) -> impl Iterator<Item = &'a Agent> {
    let agents = fleet.into_iter().map(AsRef::as_ref);
    agents.filter(move |agent| agent.registration.group == *group)
}

/// How many agents of a group would be rendered something else from what is published to it.
pub(super) fn changed_inputs(index: &Index, head: &GroupHead, fleet: &[Arc<Agent>]) -> u32 {
    let served = agents_of(fleet, &head.group.name).filter(|agent| agent.registration.is_served());
    let changed = served.filter(|agent| has_changed_inputs(index, head, agent));
    u32::try_from(changed.count()).unwrap_or(u32::MAX)
}

/// Whether an agent of the group would be rendered something else from what is published to it.
pub(super) fn has_changed_inputs(index: &Index, head: &GroupHead, agent: &Agent) -> bool {
    let Some(target) = head.group.target.and_then(|id| index.target_head(id)) else {
        return false;
    };
    let variables = target
        .target
        .content
        .as_ref()
        .map_or([].as_slice(), |content| content.variables());
    let known = target.renderings.get(&agent.id());
    !variables.is_empty() && known.is_some_and(|known| known.inputs != inputs(index, agent, variables))
}
