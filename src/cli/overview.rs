//! `muster overview`: how all stands.

use serde_json::Value;

use super::columns::{Column, field, list_at, number_at, text_at};
use super::output::Output;
use super::session::{Reach, card};
use crate::observability::plain::plain;
use crate::settings::Environment;

/// Show how all stands: agents by condition, and what needs attention, worst first
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    reach: Reach,
}

const CARD: [Column; 7] = [
    field("Down", "/agents/down"),
    field("Degraded", "/agents/degraded"),
    field("Unknown", "/agents/unknown"),
    field("Applying", "/agents/in_progress"),
    field("Healthy", "/agents/healthy"),
    field("Groups", "/groups"),
    field("Configs", "/configs"),
];

impl Args {
    pub(super) async fn run(self, environment: &Environment, output: &mut Output) -> anyhow::Result<()> {
        let mut session = self.reach.open(environment, output)?;
        let found: Value = session.get("/api/v1/overview").await?;
        session.say(&found, || {
            let mut lines = vec![card(&found, &CARD)];
            let troubles = list_at(&found, "/troubles");
            if !troubles.is_empty() {
                lines.push("\nNeeds attention".to_owned());
            }
            lines.extend(troubles.iter().map(told));
            lines.join("\n")
        })
    }
}

/// One trouble on a line: what it is, where, how many agents or which, and the words of the first.
fn told(trouble: &Value) -> String {
    let of = |pointer| plain(text_at(trouble, pointer));
    let agents = match number_at(trouble, "/agents/count") {
        0 => String::new(),
        1 => of("/agents/first/1"),
        many => format!("{many} agents"),
    };
    let parts = [
        of("/trouble").replace('_', " "),
        of("/group"),
        agents,
        of("/error"),
        of("/reason"),
    ];
    let said: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    format!("  {}", said.join("  "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_trouble_is_one_line() {
        let offline =
            json!({"trouble": "offline", "group": "edge", "agents": {"count": 3, "first": ["0", "web-1"]}});
        assert_eq!(told(&offline), "  offline  edge  3 agents");
        let refused = json!({
            "trouble": "refused", "group": "edge", "error": "no exporter x\nat all",
            "agents": {"count": 1, "first": ["0", "web-1"]},
        });
        assert!(told(&refused).starts_with("  refused  edge  web-1  no exporter x"));
        assert!(!told(&refused).contains('\n'));
        let silent =
            json!({"trouble": "tokens_expiring", "tokens": 2, "agents": {"count": 0, "first": null}});
        assert_eq!(told(&silent), "  tokens expiring");
    }
}
