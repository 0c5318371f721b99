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

pub(super) fn page() -> Markup {
    html! {
        (part("Configs", &html! {
            p { "A " a href="/configs" { "config" } " is a name with revisions. A revision never changes: saving makes the next one, and saving what is there already makes none. Two people who edit at once don't overwrite each other: the second is shown what the first saved." }
            p { "A revision is checked when it is saved: YAML that can't be read, pipelines that name what isn't there and parts that nothing uses are told with line and column. Saving reaches nobody; publishing does." }
        }))
        (part("Groups", &html! {
            p { "Every agent is in one " a href="/groups" { "group" } ", or in none and then sent nothing. Which one is decided in this order: a pin that an operator set, the group of its token, the selectors over labels, the selectors over facts. Among groups that fit equally the priority decides, then the name." }
            p { "A group is published one config, or several as layers, from the base to the most specific: what a later one says takes the place of what an earlier one said." }
            p { "A selector over labels decides by itself. One over facts, which are what an agent says of itself, only proposes a group, and somebody confirms it; a group can be set to take newcomers by their facts." }
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
    use crate::fleet::selector::Filter;

    #[test]
    fn what_is_shown_as_a_requirement_is_one() {
        for example in EXAMPLES.iter().flat_map(|(_, examples)| *examples) {
            let filter = Filter::parse(example).unwrap();
            assert_eq!(filter.selector.requirements().len(), 1, "{example}");
        }
    }
}
