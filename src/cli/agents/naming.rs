//! Which agent a person means: by id, by the beginning of its id, or by a name that is its alone.

use serde_json::Value;

use super::super::columns::text_at;
use super::super::session::{Session, not_found, wrong};
use super::matching;
use crate::fleet::ids::AgentId;

/// An agent that was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Named {
    /// Its id.
    pub(in crate::cli) id: String,
    /// What people call it, or what was typed.
    pub(in crate::cli) name: String,
}

/// How many agents are looked at for one name.
const LOOKED_AT: usize = 1_000;

/// The agent that `text` names.
///
/// # Errors
/// When none or several are named so, or the server can't be asked.
pub(in crate::cli) async fn resolve(session: &Session<'_>, text: &str) -> anyhow::Result<Named> {
    if let Ok(id) = text.parse::<AgentId>() {
        return Ok(Named {
            id: id.to_string(),
            name: text.to_owned(),
        });
    }
    let filter = quoted(text).ok_or_else(|| wrong(format!("{text:?} is no name of an agent")))?;
    let found = matching(session, &filter, LOOKED_AT, &[("archived", "true")]).await?;
    choose(&found.agents, text)
}

/// A filter that searches for just this text; `None` for a text that no filter takes.
pub(in crate::cli) fn quoted(text: &str) -> Option<String> {
    if text.is_empty() || text.contains(char::is_control) {
        return None;
    }
    Some(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}

/// Chooses among agents in whose names or ids `text` occurs: the name first, then the beginning of an id.
fn choose(agents: &[Value], text: &str) -> anyhow::Result<Named> {
    let called: Vec<_> = agents
        .iter()
        .filter(|agent| text_at(agent, "/name") == text)
        .collect();
    let start = text.to_ascii_lowercase();
    let begins: Vec<_> = agents
        .iter()
        .filter(|agent| text_at(agent, "/id").starts_with(&start))
        .collect();
    let found = if called.is_empty() { begins } else { called };
    match found.as_slice() {
        [one] => Ok(Named {
            id: text_at(one, "/id").to_owned(),
            name: text_at(one, "/name").to_owned(),
        }),
        [] => Err(not_found(format!("There is no agent {text:?}.")).into()),
        [..] => {
            let ids: Vec<_> = found.iter().take(5).map(|agent| text_at(agent, "/id")).collect();
            let why = format!(
                "{text:?} names {} agents; use an id, such as\n{}",
                found.len(),
                ids.join("\n")
            );
            Err(wrong(why).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn chosen(text: &str) -> Result<String, String> {
        let agents = [
            json!({"id": "0190aa", "name": "web-1"}),
            json!({"id": "0190ab", "name": "web-11"}),
            json!({"id": "01f0cc", "name": "db"}),
            json!({"id": "0200dd", "name": "db"}),
            json!({"id": "beef00", "name": "0190"}),
        ];
        choose(&agents, text)
            .map(|named| named.id)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_name_that_is_one_agents_alone_wins_over_beginnings() {
        assert_eq!(chosen("web-1").unwrap(), "0190aa");
        assert_eq!(chosen("0190").unwrap(), "beef00");
        assert_eq!(chosen("01F0").unwrap(), "01f0cc");
    }

    #[test]
    fn what_is_not_clear_is_said_and_never_guessed() {
        assert!(chosen("db").unwrap_err().contains("names 2 agents"));
        assert!(chosen("019").unwrap_err().contains("0190ab"));
        assert_eq!(chosen("web").unwrap_err(), "There is no agent \"web\".");
    }

    #[test]
    fn any_name_can_be_searched_for() {
        use crate::fleet::selector::Filter;
        let name = r#"a "b" \ = , (c)"#;
        let filter = Filter::parse(&quoted(name).unwrap()).unwrap();
        assert_eq!(filter.words, [name]);
        assert_eq!(quoted("a\nb"), None);
    }
}
