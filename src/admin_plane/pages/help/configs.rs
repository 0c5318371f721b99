//! Configs, groups and selectors.

use maud::{Markup, html};

use super::part;

/// How requirements are written.
const EXAMPLES: [(&str, &[&str]); 6] = [
    ("Equal", &["label.site = zrh"]),
    ("One of several", &["label.env in (prod, canary)"]),
    ("Not", &["label.env != dev", "label.env notin (dev, test)"]),
    ("A pattern of the whole value", &["fact.host.name =~ web-[0-9]+"]),
    ("There, not there", &["exists label.site", "!exists label.site"]),
    (
        "Columns, in filters",
        &["status = degraded", "group = edge", "presence = offline"],
    ),
];

/// The variables, and what each stands for.
const VARIABLES: [(&str, &str); 3] = [
    ("${muster:label.region}", "A label of the agent."),
    (
        "${muster:fact.host.name}",
        "What the agent reports of itself. Whoever holds its credential can say anything there.",
    ),
    (
        "${muster:secret.vendor-token}",
        "A secret. It stays text, whatever it looks like.",
    ),
];

/// A layer that sends traces to one place more than the layer below.
const APPEND: &str = "\
exporters:
  otlphttp/archive:
    endpoint: https://archive.example.net
service:
  pipelines:
    traces:
      exporters: !append [otlphttp/archive]
";

/// A layer that goes without some of what the layers below have.
const REMOVE: &str = "\
exporters:
  debug: !remove
  otlp:
    headers: !remove
service:
  pipelines:
    traces:
      exporters: [otlp]
    logs: !remove
";

pub(super) fn page() -> Markup {
    html! {
        (part("Configs", &html! {
            p { "A " a href="/configs" { "config" } " is a name with revisions. A revision never changes: saving makes the next one, and saving what is there already makes none. Two people who edit at once don't overwrite each other: the second is shown what the first saved." }
            p { "A revision is checked when it is saved: YAML that can't be read, sections that collectors don't know and parts that nothing uses are told with line and column. One that is only a part of a configuration can be saved too: what it lacks is told as " em { "Incomplete" } " and has to come from another layer. Saving reaches nobody; publishing does, and never sends what isn't whole." }
        }))
        (part("Groups", &html! {
            p { "Every agent is in one " a href="/groups" { "group" } ", or in none and then sent nothing. Which one is decided in this order: a pin that an operator set, the group of its token, the selectors over labels, the selectors over facts. Among groups that fit equally the priority decides, then the name." }
            p { "A selector over labels decides by itself. One over facts, which are what an agent says of itself, only proposes a group, and somebody confirms it; a group can be set to take newcomers by their facts, but not while what is published to it holds secrets." }
        }))
        (part("Layers", &html! {
            p { "A group is published one config, or several as layers, from the base to the most specific. Maps merge; where two layers say different things, the lower one has its way, and the page " em { "What they come to" } " of the group shows each line with the layer that it comes from, and where layers contradict each other." }
            p { "A list takes the place of the one below it. Two kinds go on where the one below ends: " code { "service.extensions" } " always, and the receivers, processors and exporters of a pipeline with the tag " code { "!append" } ". What is there already isn't added a second time:" }
            pre.code { (APPEND) }
            p { "A key with nothing behind it, such as " code { "otlp:" } " or " code { "grpc:" } ", means " em { "with its defaults" } " where no layer below has it, and " em { "as below" } " where one has settings there: it never takes them away. Over a single value or a list it does take its place. (A collector that is given several files itself lets it replace settings, too.)" }
            p { "What a layer below has is taken away by the tag " code { "!remove" } " in the place of the value: a component, a pipeline, a whole section, or one setting, which then has the collector's default. A layer above may say something there again. The page of the group and that of the publication show what was removed, and by which line; where there is nothing to remove, they say that, too." }
            pre.code { (REMOVE) }
            p { "A config that is published alone is sent as it stands, comments included, unless it has variables or one of these tags. Of several layers the values are sent and no comments, in one order of keys. So a revision that changes only comments, the order or the way of writing may come to the same document: agents that run it are sent nothing." }
            p { "A layer is a config like any other, and may be just the lines that differ, like the one above: what a pipeline uses, and the other end of it, may stand in another layer. All of them together have to make a whole configuration when they are published; so has a config that is published alone, or to one agent." }
        }))
        (part("Variables and secrets", &html! {
            p { "A value may hold what differs from agent to agent. It is put in when something is published, for each agent of the group; nothing can be published while one of them has no such label, fact or secret." }
            dl.facts {
                @for (variable, what) in VARIABLES { div { dt { code { (variable) } } dd { (what) } } }
            }
            p { "Other " code { "${…}" } ", such as " code { "${env:HOME}" } ", is the collector's own and stays as it is." }
            p { "A " a href="/secrets" { "secret" } " is kept sealed, goes to the agents that need it, and is shown nowhere: pages, differences and the API have its variable in its place." }
            p { "A label, a fact or a secret that changes later changes nothing by itself. Overview and the group say " em { "Inputs changed" } ", and publishing again delivers it." }
        }))
        (part("Selectors and filters", &html! {
            p { "Requirements are separated by commas, and all must hold. A group may have several selectors: one that fits is enough. The filter of the list of agents takes the same, and plain words beside it." }
            dl.facts {
                @for (what, examples) in EXAMPLES {
                    div {
                        dt { (what) }
                        dd { @for (at, example) in examples.iter().enumerate() { @if at > 0 { ", " } code { (example) } } }
                    }
                }
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::config::lint::{Judged, lint};
    use crate::fleet::config::merge::{merge, misplaced_tags};
    use crate::fleet::config::yaml::{self, Limits};
    use crate::fleet::config::{Problem, variables};
    use crate::fleet::selector::Filter;

    #[test]
    fn what_is_shown_as_a_variable_is_one() {
        for (variable, _) in VARIABLES {
            let root = yaml::parse(format!("key: {variable}\n").as_bytes(), &Limits::default()).unwrap();
            assert_eq!(variables(&root).unwrap().len(), 1, "{variable}");
        }
    }

    #[test]
    fn what_is_shown_as_a_removal_is_one() {
        let below = "exporters: {debug: , otlp: {endpoint: a, headers: {x: y}}}\nservice: {pipelines: {traces: {exporters: [debug]}, logs: {exporters: [debug]}}}";
        let merged = merge(&[below.as_bytes(), REMOVE.as_bytes()], &Limits::default()).unwrap();
        assert!(merged.idle.is_empty());
        assert_eq!(
            merged.root.emit().text,
            "exporters:\n  otlp:\n    endpoint: a\nservice:\n  pipelines:\n    traces:\n      exporters:\n        - otlp\n"
        );
        let found = lint(REMOVE.as_bytes(), &Limits::default(), Judged::Layer);
        assert!(found.iter().all(Problem::is_incomplete), "{found:?}");
    }

    #[test]
    fn what_is_shown_as_an_addition_to_a_list_is_one() {
        let root = yaml::parse(APPEND.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(misplaced_tags(&root), []);
        let found = lint(APPEND.as_bytes(), &Limits::default(), Judged::Layer);
        assert!(
            found.iter().all(Problem::is_incomplete),
            "and can be saved: {found:?}"
        );
    }

    #[test]
    fn what_is_shown_as_a_requirement_is_one() {
        for example in EXAMPLES.iter().flat_map(|(_, examples)| *examples) {
            let filter = Filter::parse(example).unwrap();
            assert_eq!(filter.selector.requirements().len(), 1, "{example}");
        }
    }
}
