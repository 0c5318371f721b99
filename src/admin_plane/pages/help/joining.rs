//! How agents join.

use maud::{Markup, html};

use super::part;
use crate::admin_plane::Site;
use crate::admin_plane::pages::parts::{code_block, visible};

pub(super) fn page(site: &Site) -> Markup {
    let host = site.names.first().map_or("localhost", String::as_str);
    let enrol = format!(
        "printf 'header = \"Authorization: Bearer %s\"\\n' \"$TOKEN\" |\n  \
         curl -K - --cacert ca.pem -H 'Content-Type: application/json' \\\n  \
         -d '{{\"host\": \"web-3\"}}' https://{host}:{}/v1/enroll",
        site.agent_port
    );
    html! {
        (part("A Linux host", &html! {
            p { "Open " a href="/agents/add" { "Add agents" } ", choose a group or none, and make a token. The page shows one line: paste it on the host as somebody who may use sudo, and watch the page until the agent appears." }
            p { "The line carries the certificate of this server's authority, so the host trusts nothing blindly. What its collector runs today goes on: that configuration becomes revision 1 of a config named after the host, and nothing is stopped before the Supervisor has taken over." }
        }))
        (part("Any other OpAMP client", &html! {
            p { "A token is exchanged for a credential of the host's own:" }
            (code_block(&enrol, "the request"))
            p { "The answer's " code { "credential" } " is the bearer token of " code { "wss://" (visible(host)) ":" (site.agent_port) "/v1/opamp" } " over a WebSocket, or of " code { "https://…" } " with the same path by polling. Clients trust " a href="/ca.pem" { "ca.pem" } "." }
        }))
        (part("macOS, Windows, Kubernetes", &html! {
            p { a href="/agents/add" { "Add agents" } " has a line or manifests for each. They are untested: their text was checked, and nobody has run them with this server. " code { "/join-macos.sh" } " and " code { "/join.ps1" } " are handed out beside " code { "/join.sh" } "." }
        }))
        (part("Gateways and pools", &html! {
            p { "Many agents behind one credential need a token that says so: give it the most agents that there may be. Each agent gets a record of its own by the " code { "instance_uid" } " that it presents." }
        }))
        (part("Tokens and credentials", &html! {
            ul {
                li { "A token only enrols. It is shown once, works once and for one hour unless it is made otherwise, and can be withdrawn under " a href="/enrolment" { "Enrolment" } "." }
                li { "A credential belongs to one agent (or one gateway) and stays until it is revoked. Revoking closes its connections within two seconds." }
                li { "A token may name a group and labels. What an agent says of itself only proposes a group, unless the group takes agents by what they report." }
                li { "A token may want each of its agents approved. Until somebody has decided about it under " a href="/enrolment" { "Enrolment" } ", such an agent is answered and given nothing. The page says whom it looks like: a host that was set up anew is merged into the record that it had, which keeps its labels, group and story, takes over the new credential, and loses the old one." }
                li { "A host exchanges the credential in its files with " code { "sh join.sh --rotate" } ": the one before dies when the new one is used for the first time." }
                li { "A cloned image that enrols itself gets a record and a uid of its own. Two users of one credential, or a second enrolment under the name of a connected host, make a record in conflict: shown, and given nothing until somebody decides." }
            }
        }))
    }
}
