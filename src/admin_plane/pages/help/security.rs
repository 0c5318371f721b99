//! Who is trusted with what.

use maud::{Markup, html};

use super::part;
use crate::admin_plane::Site;
use crate::admin_plane::pages::parts::{copy_inline, visible};

pub(super) fn page(site: &Site) -> Markup {
    html! {
        (part("Agents", &html! {
            ul {
                li { "No agent is served without a credential of its own. A credential speaks for its own record only: one that presents the uid of another is refused and audited, and the third time within ten minutes it is quarantined." }
                li { "What agents report is shown as text, never trusted: it opens no link, runs no script, and decides no group that was not set to allow it, and none that sends secrets." }
                li { "Messages are bounded in size, depth and number before they are decoded. An agent that says too much is told to wait; its neighbours are not." }
            }
        }))
        (part("People and scripts", &html! {
            ul {
                li { "There is no default account. The first is made with a link that the server prints once on its terminal; " code { "muster setup-token" } " on the host makes another link." }
                li { "Everybody signs in with an account of their own, which an admin makes under " a href="/users" { "Users" } ". Its first password is shown once; until its owner has chosen another, the account only looks." }
                li { "Roles: a viewer looks, an operator edits, a deployer publishes and approves, an admin does everything. Labels that move an agent to another group change what it is sent, so they take a deployer. An API token does at most what its maker may." }
                li { "Everything that changes something is in the " a href="/audit" { "audit log" } ", written in the same transaction. Its records are chained: " code { "muster audit verify" } " tells whether one was changed." }
                li { "What is dangerous takes a password that was given in the last 10 minutes: accounts and roles, API tokens, revoking several agents, approving, weakening the protection of a group, publishing to many. An API token can do none of these but publish." }
                li { "A group can be protected: what is published to it waits until others than its author approve it. See " a href="/help/publishing" { "Publishing" } "." }
                li { "Forgotten password: " code { "muster users reset-password NAME" } " on the host. Nobody left who is an admin: " code { "muster users promote NAME" } ". Both work with " code { "--offline" } " where the server doesn't run, and are audited." }
                li { "After five wrong passwords an account takes one more a minute. " code { "muster users unlock NAME" } ", or another admin, forgets them." }
            }
        }))
        (part("Where secrets lie", &html! {
            p { "Everything is in the data folder " code { (visible(&site.data_folder.display().to_string())) } ": whoever reads it is the server. Tokens and passwords are stored as digests and never shown again. The key of the authority is a file of its own, readable for the server's user only." }
            p { "The authority's fingerprint is " (copy_inline(&site.ca_fingerprint.pairs(), "the fingerprint of the authority")) ". Compare it with what a browser or a host is shown." }
        }))
        (part("Ports", &html! {
            p { "Agents connect to " (site.agent_port) ", people and scripts to " (site.admin_port) ", both over TLS 1.2 or newer. Nothing in the pages is loaded from elsewhere, and the server calls nobody." }
        }))
    }
}
