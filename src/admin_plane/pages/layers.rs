//! Layers and revisions as links.

use maud::{Markup, html};

use super::parts::visible;
use super::scene::encoded;
use crate::fleet::target::LayerRef;

/// "revision 3 of base", as links to both.
#[must_use]
pub fn layer_link(layer: &LayerRef) -> Markup {
    let href = format!("/configs/{}", encoded(layer.config.as_str()));
    html! {
        a href={ (href) "/revisions/" (layer.revision) } { "revision " (layer.revision) }
        " of " a href=(href) { (visible(layer.config.as_str())) }
    }
}

/// One layer in words, several as `base@3 + edge@7`, each a link; `None` for none.
#[must_use]
pub fn layer_links(layers: &[LayerRef]) -> Option<Markup> {
    match layers {
        [] => None,
        [only] => Some(layer_link(only)),
        several => Some(html! {
            @for (at, layer) in several.iter().enumerate() {
                @if at > 0 { " + " }
                a href={ "/configs/" (encoded(layer.config.as_str())) "/revisions/" (layer.revision) } { (layer) }
            }
        }),
    }
}

/// Where publishing a revision of one config is looked at first, the other layers of the group staying as they are;
/// without a group it is asked for there.
#[must_use]
pub fn publish_revision(group: Option<&str>, config: &str, revision: u64) -> String {
    let group = group
        .map(|group| format!("group={}&", encoded(group)))
        .unwrap_or_default();
    format!("/publish?{group}config={}&revision={revision}", encoded(config))
}

/// Where publishing layers is looked at first.
#[must_use]
pub fn publish_to(group: &str, layers: &[LayerRef]) -> String {
    let layers: Vec<_> = layers.iter().map(ToString::to_string).collect();
    format!(
        "/publish?group={}&layers={}",
        encoded(group),
        encoded(&layers.join(","))
    )
}
