//! What the words of an agent's status mean, and what to do.

use maud::{Markup, html};

use super::part;
use crate::admin_plane::Site;
use crate::admin_plane::pages::parts::{Fact, facts};
use crate::app::intentions::SPENT_KEPT;

pub(super) fn page(site: &Site) -> Markup {
    html! {
        (part("An agent's status", &facts(&[
            Fact::new("Offline", html! { "Its connection ended, or it stopped polling. Look at the host: " code { "systemctl status muster-agent" } " and " code { "journalctl -u muster-agent" } "." }),
            Fact::new("Awaited", html! { "The server started a short while ago and has not heard of it since. It counts as offline once the time of " code { "presence.http_silence" } " has passed." }),
            Fact::new("Waiting", html! { "It was enrolled and never spoke. The host can't reach port " (site.agent_port) ", doesn't trust the authority, or was enrolled by hand and never started." }),
            Fact::new("Refused", html! { "It could not run what it was sent, and its own words say why. Publish a corrected revision; the refused one is not sent again by itself." }),
            Fact::new("Stuck", html! { "It was offered a configuration and doesn't say what became of it. It may be restarting for ever: look at its log." }),
            Fact::new("Held", html! { "Nothing is sent until it is released: by an operator, or because it knows a newer state than this server's store." }),
            Fact::new("Conflict", html! { "It uses the credential, uid or host name of another. If it replaces the other, accept it and archive the other; if not, revoke its credential." }),
            Fact::new("Unassigned", html! { "No group takes it, so it is sent nothing. Pin it, label it, or confirm the group that it proposes." }),
        ])))
        (part("A host that doesn't join", &html! {
            ul {
                li { "401: the token was used, is over, or was withdrawn. Make another; the log of the server says which." }
                li { "A certificate that isn't trusted: the name under which the host calls the server is not in its certificate. Add it with " code { "--name NAME" } " or " code { "names" } " in the settings." }
                li { "Connections that end at once: more from one address than " code { "limits.connections_per_address" } " allows, as behind a NAT." }
            }
        }))
        (part("The server", &html! {
            ul {
                li { code { "muster check" } " shows every setting and where it came from, and names mistakes." }
                li { a href="/system" { "System" } " shows versions, certificates and sizes; " code { "/readyz" } " says whether requests should come here." }
                li { "When less than " code { "disk.low_water" } " is left on the disk, or the data folder holds more than " code { "disk.quota" } ", agents stay connected and changes are refused with 507 and the reason; " code { "/readyz" } " stays ready, since agents are served, and says so. Still written are verdicts of agents, refusals in the audit log, what revokes, pauses, rolls back or deletes. Everything is written again without a restart once there is room: delete files beside the store, " code { "muster system compact" } ", or give the disk more." }
                li { "A record that can't be read is named under System and left as it is; its agents are held or left alone. All records are verified once a day, slowly, while the server runs." }
                li { "One server has a data folder: " code { "muster.lock" } " names it. It is never deleted or replaced, also when the store's file is. File systems of the network are refused unless " code { "disk.network_folder" } " says otherwise." }
                li { "A newer version migrates the store at its first start, in one step, and keeps the file as it was beside it as " code { "store.schema-N.redb" } "; an older version refuses it and changes nothing." }
                li { "\"It went back in time\": an agent knows offers that the store has forgotten, as after a restored copy. Everything is held; look at what was lost, then release under Overview." }
                li { "Every refused request carries a request id: look for it in the log." }
            }
        }))
        (part("What is kept how long", &facts(&[
            Fact::new("For good", html! { "Configs with all revisions until somebody deletes them, what was published to a group for as long as the group, and the audit log." }),
            Fact::new("Rollouts", html! { "The last 50 of each group, and older ones that aren't over or still say what an agent should have." }),
            Fact::new("What layers with variables came to", html! { "While it may be sent to somebody or an agent says that it has it, and " (SPENT_KEPT.as_secs() / 86_400) " days after it was replaced. A publication of the past is rendered anew when it is published again." }),
            Fact::new("Timelines", html! { "The last 500 entries of each agent." }),
            Fact::new("What agents report", html! { "Their last word on each subject; the configurations and components in it until nothing refers to them any more." }),
            Fact::new("Sessions and tokens", html! { "Sessions until they end. Enrolment tokens and credentials for good, so that nothing revoked comes back." }),
            Fact::new("The store before a migration", html! { "The file of the last schema, until you delete it." }),
        ])))
    }
}
