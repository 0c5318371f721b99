//! Publishing.

use maud::{Markup, html};

use super::part;

pub(super) fn page() -> Markup {
    html! {
        (part("What happens", &html! {
            ol {
                li { a href="/publish" { "Publish" } " has a revision for each layer of the group, and shows whom they reach, who is blocked and why, and what changes for them. A publication that reaches nobody or very many, or that some agents lack components for, asks for the number of agents." }
                li { "The bytes are frozen: what was previewed is what is sent, also to agents that come back later. Newcomers to the group get it too." }
                li { "A " a href="/rollouts" { "rollout" } " brings it to the agents, stage by stage. One whose turn it is gets it at once; one that polls, with its next poll; one that is away, when it returns." }
                li { "An agent that applies it says so and is in sync. One that refuses it is never offered the same content again, unless somebody asks for that with " em { "Offer it once more" } " on its page." }
            }
        }))
        (part("Stages and gates", &html! {
            p { "How something goes out is said by the group, or with the publication: all at once, or in stages. A stage says how far it goes, those before it included: " code { "1" } ", " code { "10%" } ", " code { "label.ring = canary" } ", and the last " code { "all" } ". By default these are one agent, a tenth, half and all. Agents that can't take it now don't hold up a stage; they get it when they can." }
            p { "An agent has proved the content when all its gates are passed:" }
            ul {
                li { em { "applied" } ": it says that it has it." }
                li { em { "health" } ": it is no worse than before. For a while it may be unhealthy, since taking a content restarts collectors." }
                li { em { "heartbeats" } ": it is heard of." }
                li { em { "restarts" } ": it doesn't keep starting anew, and its health doesn't keep turning." }
                li { em { "soak" } ": it stayed so for as long as the stage says." }
            }
            p { "Agents that have failed or have not proved it yet are never more than may be " em { "at risk" } ", whatever the size of the stage: by default one and one percent. When more fail than are " em { "tolerated" } ", by default none, every agent is brought back to what it had; or the rollout pauses, where that was chosen. One that takes longer than its stage allows makes it pause." }
            p { "A rollout can be paused, resumed, brought back or aborted on its page, a stage can be passed without waiting, and agents that failed can be tried again. While one isn't over, a publication to its group is refused, waits for its end, or takes its place." }
        }))
        (part("Approval by somebody else", &html! {
            p { "A group that names a number of " em { "approvals" } " is protected. What is published to it is a proposal first: its rollout awaits approval and reaches nobody. Others look at what it does on its page, and approve or reject it; its author can't, and may withdraw it. An API token proposes and never approves. What nobody approves in 7 days expires." }
            p { "An approval is bound to the exact bytes that each agent is sent, to the agents, and to the way it goes out. When any of these changes, because an agent joins the group or leaves it, approvals are void and are asked for again." }
            p { "Pausing, bringing back and aborting need no approval. To keep a protected group from being gone around, none of its agents can be given a configuration of its own, facts lead into no protected group, no other group takes its agents by a higher priority, and it takes an admin who gave their password lately to move agents in or out, to change its selectors or priority, to lower the number of approvals, or to delete it." }
        }))
        (part("Going back", &html! {
            p { "Choose an older revision on the page Publish, or " em { "Publish again" } " in the history of the group: it reaches agents like any other. Withdrawing sends nothing more and takes nothing back; agents keep what they run. An agent is never sent an empty configuration." }
        }))
        (part("Changing groups", &html! {
            p { "An agent that comes into a group with a configuration keeps it: it waits to move. Agents that come within a moment, by one changed selector or one pin of many, move together, in a rollout of their own with the group's stages, or by default those for as many as they are. While a rollout to the group isn't over they wait for its end; a publication to the group takes them in." }
            p { "A move that fails brings its agents back to what they had. When one is aborted, those whose turn had not come keep that, and so do those that an aborted publication had taken in. They stay in the group, whose page says so; " em { "Move again" } " on the page of the rollout has them wait for another. A new agent, which has nothing yet, is given what its group has at once." }
        }))
        (part("Hold, detach, pin", &html! {
            p { "A held agent, or the agents of a held group, are sent nothing until they are released; what waits for them stands on their page. A detached agent stays in its group and is only observed. A pin puts an agent into a group whatever selectors say, and a configuration of its own beats that of its group. Each has a reason, and may end by itself." }
        }))
        (part("Drift", &html! {
            p { "Where an agent's configuration stands is one word, which the list of agents filters by: " code { "config = drifted" } "." }
            ul {
                li { em { "in sync" } ": it took what is wanted, and reports to run it. Supervisors add parts of their own; those are no drift." }
                li { em { "unverified" } ": it took it, and what it runs is not reported or can't be compared." }
                li { em { "drifted" } ": it took it, and runs something else. Its page shows where. " em { "Re-apply" } " offers what is wanted once more; " em { "Adopt" } " keeps what it runs as a revision, and offers nothing." }
                li { em { "failed" } ": it refused it; " em { "self-reverted" } ": and went back to something else by itself." }
                li { em { "pending" } ", " em { "applying" } ", " em { "held" } ", " em { "takes no configuration" } ", " em { "unknown" } ", " em { "observe only" } ": as the words say." }
            }
        }))
    }
}
