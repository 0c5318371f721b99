//! Regions of a page that keep themselves up to date. Without script they are plain markup.
//!
//! # How it works
//!
//! - A page names the topics that it depends on in [`super::super::layout::Page::topics`]. The layout then holds one
//!   stream, `GET /events?topics=agents,group/7f3a`, kept open by htmx's SSE extension in an element `#stream`.
//! - A region made by [`live`] re-fetches its own URL (normally the page's own) when one of its topics is named, picks
//!   itself out of the answer by its id, and morphs into it. The server renders the same page by the same path and
//!   permission as ever; it may look at the header `HX-Target: div#<id>` and render less, but need not.
//! - Morphing keeps focus, selection, scroll, what was typed, ticked boxes and open `<details>` (`app.js` guards the
//!   last two: htmx alone would close details, and could carry a tick over to another row). So that rows keep their
//!   identity, each row of a table in a region has an id: [`super::Row::key`].
//! - A region may stand inside a form (boxes to tick), but holds no fields to type into: those belong outside it.
//! - At most one fetch a second and region, and one in flight; the last event always gets its fetch. After a broken
//!   stream comes back every region is fetched once, since events may have been missed.
//! - While the stream is broken, or silent for 45 s, the page says "Not live". A hidden tab closes its stream and
//!   reopens it when it is looked at, so that many open tabs don't use up the browser's six connections.
//!
//! # What `GET /events?topics=a,b` must send
//!
//! `200`, `Content-Type: text/event-stream`, `Cache-Control: no-store`, never compressed or buffered, under the same
//! session as the page (401 without one: the page then says "Not live" and asks to sign in again). Then, for ever:
//!
//! ```text
//! event: agents
//! data: 1795341849123
//!
//! event: beat
//! data: 1795341864123
//!
//! ```
//!
//! - One event per change, **named by the topic**, with the server's time in Unix milliseconds as data (not used for
//!   anything but the ages on the page). No other content: who may see what is decided when the region is fetched.
//! - The server coalesces: per connection a set of topics that changed, not a queue; at most one event per topic and
//!   second.
//! - `beat` at once after the headers and then every 15 s, whatever else was sent. It carries liveness and time.
//! - No `id:` and no replay: level, not edge.
//! - Topics are `noun` or `noun/id` in `[a-z0-9/_-]`; an unknown or forbidden topic is ignored.

use maud::{Markup, html};

/// A region that is fetched again from `url` when one of `topics` is named on the stream. `id` is unique in the page.
///
/// Without topics, or on a page whose layout has none, the region never changes by itself.
#[must_use]
pub fn live(id: &str, topics: &[&str], url: &str, inner: &Markup) -> Markup {
    let mut trigger = String::from("resync");
    for topic in topics {
        trigger.push_str(", ");
        trigger.push_str(topic);
        trigger.push_str(" from:#stream throttle:1s");
    }
    html! {
        div #(id) data-live hx-get=(url) hx-trigger=(trigger) hx-target="this" hx-select={ "#" (id) }
            hx-swap="outerMorph" hx-sync="this:queue last" {
            (inner)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_listens_to_its_topics_and_picks_itself_out_of_its_own_page() {
        let html = live(
            "agents",
            &["agents", "group/7f3a"],
            "/agents?q=a&after=b",
            &html! { "x" },
        )
        .into_string();
        assert!(html.contains(
            "hx-trigger=\"resync, agents from:#stream throttle:1s, group/7f3a from:#stream throttle:1s\""
        ));
        assert!(html.contains("hx-get=\"/agents?q=a&amp;after=b\""));
        assert!(html.contains("hx-select=\"#agents\" hx-swap=\"outerMorph\""));
    }
}
