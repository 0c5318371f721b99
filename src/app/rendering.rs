//! Putting layers together: what a publication would freeze, before it is frozen.

use super::configs;
use super::error::Error;
use super::groups;
use super::intentions::{Index, Intentions};
use crate::auth::actor::Actor;
use crate::auth::permission::Permission;
use crate::fleet::config::{ConfigMap, Content, Kind};
use crate::fleet::hash::Digest;
use crate::fleet::name::Name;
use crate::fleet::target::{LayerRef, Renderings};

/// Layers put together.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    /// The layers, from base to most specific.
    pub(super) layers: Vec<LayerRef>,
    /// What they hold.
    pub(super) kind: Kind,
    /// What they come to.
    pub(super) content: ConfigMap,
    /// Its digest.
    pub(super) digest: Digest,
}

impl Draft {
    /// What each agent would be sent.
    pub(super) fn renderings(&self) -> Renderings {
        Renderings::Common(self.digest)
    }

    /// The content as people and checks look at it.
    pub(super) fn shown(&self) -> Content {
        Content::of(self.kind, self.content.clone())
    }
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
    /// be put together.
    pub(super) fn draft(&self, index: &Index, layers: &[LayerRef]) -> Result<Draft, Error> {
        let [layer] = layers else {
            let why = "one layer is published; name a config and its revision";
            return Err(Error::invalid("layers", why));
        };
        let config = configs::named(index, layer.config.as_str())?;
        let revision = configs::numbered(config, layer.revision)?;
        Ok(Draft {
            layers: layers.to_vec(),
            kind: config.config.kind,
            content: self.content(revision.digest)?,
            digest: revision.digest,
        })
    }
}

fn newest(index: &Index, config: &Name) -> Result<LayerRef, Error> {
    let config = configs::named(index, config.as_str())?;
    Ok(LayerRef {
        config: config.config.name.clone(),
        revision: config.config.latest,
    })
}
