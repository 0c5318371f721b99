//! Publishing.

use maud::{Markup, html};

use super::part;

pub(super) fn page() -> Markup {
    html! {
        (part("What happens", &html! {
            ol {
                li { a href="/publish" { "Publish" } " shows first whom a revision reaches, who is blocked and why, and what changes for them. A publication that reaches nobody or very many, or changes little that matters much, asks for the number of agents." }
                li { "The bytes are frozen: what was previewed is what is sent, also to agents that come back later." }
                li { "Each connected agent is offered the configuration at once; one that polls, with its next poll; one that is away, when it returns." }
                li { "An agent that applies it says so and is in sync. One that refuses it is never offered the same content again, unless somebody asks for that with " em { "Offer it once more" } " on its page." }
            }
        }))
        (part("Going back", &html! {
            p { "Publish an older revision: it reaches agents like any other. Withdrawing sends nothing more and takes nothing back; agents keep what they run. An agent is never sent an empty configuration." }
        }))
        (part("One agent", &html! {
            p { "A configuration of its own beats that of its group, until it is given up. Holding an agent sends it nothing until it is released." }
        }))
        (part("Drift", &html! {
            p { "An agent's page shows what is wanted, what the agent says it runs, and the difference. Supervisors add parts of their own; those are no drift." }
        }))
    }
}
