//! What every online verb has: a client of the server, and a way to print what it answers.

use std::path::PathBuf;

use form_urlencoded::Serializer;
use http::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::client::{Client, ClientArgs, ClientError, Refusal};
use super::columns::Column;
use super::output::{Output, OutputArgs};
use crate::observability::plain::plain;
use crate::settings::Environment;

/// Which server is asked, and how its answer is printed.
#[derive(clap::Args, Debug)]
pub(super) struct Reach {
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    client: ClientArgs,
}

/// An online verb at work.
#[derive(Debug)]
pub(super) struct Session<'a> {
    pub(super) client: Client,
    pub(super) output: &'a mut Output,
    pub(super) shape: OutputArgs,
}

impl Reach {
    /// The data folder of the server on this machine; `None` when another server is named.
    pub(super) fn data_folder(&self, environment: &Environment) -> Option<PathBuf> {
        self.client.data_folder(environment)
    }

    /// How answers are printed.
    pub(super) fn shape(&self) -> OutputArgs {
        self.output
    }

    /// Reads the flags; nothing is sent yet.
    pub(super) fn open<'a>(
        &self,
        environment: &Environment,
        output: &'a mut Output,
    ) -> Result<Session<'a>, ClientError> {
        Ok(Session {
            client: Client::new(&self.client, environment)?,
            output,
            shape: self.output,
        })
    }
}

impl Session<'_> {
    /// Reads the resource at `path`.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.client.get(path).await
    }

    /// Sends `body`; `Value::Null` comes back where there is nothing to say.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<T, ClientError> {
        self.client.post(path, body).await
    }

    /// The same, for what may take long.
    pub(super) async fn post_patiently<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<T, ClientError> {
        self.client.patient().post(path, body).await
    }

    /// Deletes the resource at `path`.
    pub(super) async fn delete(&self, path: &str) -> Result<Value, ClientError> {
        self.client
            .change(Method::DELETE, path, &serde_json::json!({}), None)
            .await
    }

    /// Prints a listing. One of nothing is told in the words of `none`: beside the output, where that goes into a pipe.
    pub(super) fn list(&mut self, rows: &[Value], columns: &[Column], none: &str) -> anyhow::Result<()> {
        if rows.is_empty() && !self.shape.json {
            return self.output.nothing(none);
        }
        let headings: Vec<_> = columns.iter().map(|column| column.heading).collect();
        self.output.table(self.shape, &headings, rows, |row| {
            columns.iter().map(|column| column.of(row)).collect()
        })
    }

    /// Prints an answer: as JSON where asked, else in these words.
    pub(super) fn say(
        &mut self,
        answer: &impl Serialize,
        words: impl FnOnce() -> String,
    ) -> anyhow::Result<()> {
        self.output.value(self.shape, answer, |_| words())
    }

    /// Prints one thing, a line for each field that it has.
    pub(super) fn card(&mut self, value: &Value, lines: &[Column]) -> anyhow::Result<()> {
        self.say(value, || card(value, lines))
    }

    /// Prints a text of others: as it is into files and pipes, and without what steers a terminal into one.
    pub(super) fn document(&mut self, text: &str) -> anyhow::Result<()> {
        if !self.output.is_terminal() {
            return self.output.raw(text.as_bytes());
        }
        for line in text.lines() {
            // A tab is the one control character that belongs into a document.
            let line: Vec<_> = line.split('\t').map(plain).collect();
            self.output.line(&line.join("\t"))?;
        }
        Ok(())
    }
}

/// One thing, a line for each field that it has.
pub(super) fn card(value: &Value, lines: &[Column]) -> String {
    let shown: Vec<_> = lines
        .iter()
        .map(|line| (line.heading, plain(&line.of(value))))
        .filter(|(_, text)| !text.is_empty())
        .collect();
    let width = shown.iter().map(|(heading, _)| heading.len()).max();
    let width = width.unwrap_or_default();
    shown
        .iter()
        .map(|(heading, text)| format!("{heading:width$}  {text}"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// `path` with a query of these fields.
pub(super) fn with_query<'a>(path: &str, fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut query = Serializer::new(String::new());
    query.extend_pairs(fields);
    format!("{path}?{}", query.finish())
}

/// What nobody has, said as the server says it.
pub(super) fn not_found(why: String) -> ClientError {
    ClientError::Refused(Refusal {
        status: StatusCode::NOT_FOUND,
        why,
        fields: Vec::new(),
    })
}

/// Arguments that make no sense together with what the server has.
pub(super) fn wrong(why: impl Into<String>) -> ClientError {
    ClientError::Arguments(why.into())
}

/// The one of `rows` whose `id` begins with `start`.
pub(super) fn by_id<'a>(rows: &'a [Value], start: &str, word: &str) -> Result<&'a Value, ClientError> {
    let start = start.replace('-', "").to_ascii_lowercase();
    let id = |row: &&Value| super::columns::text_at(row, "/id").starts_with(&start);
    let mut found = rows.iter().filter(id);
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => Err(wrong(format!(
            "several {word}s have ids that begin with {start:?}; write more of it"
        ))),
        (None, _) => Err(not_found(format!("There is no {word} {start:?}."))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::columns::field;
    use super::*;

    #[test]
    fn a_card_aligns_what_it_has_and_leaves_out_the_rest() {
        let value = json!({"name": "edge\n", "note": "", "agents": 3});
        let lines = [
            field("Name", "/name"),
            field("Note", "/note"),
            field("Agents", "/agents"),
        ];
        assert_eq!(card(&value, &lines), "Name    edge\\n\nAgents  3");
    }

    #[test]
    fn queries_are_escaped() {
        assert_eq!(
            with_query("/a", [("filter", "x=1 & y"), ("all", "")]),
            "/a?filter=x%3D1+%26+y&all="
        );
    }

    #[test]
    fn an_id_may_be_shortened_while_it_is_clear() {
        let rows = [json!({"id": "abc1"}), json!({"id": "abd2"})];
        assert_eq!(by_id(&rows, "ABC", "token").unwrap()["id"], "abc1");
        assert!(matches!(
            by_id(&rows, "ab", "token"),
            Err(ClientError::Arguments(_))
        ));
        assert!(matches!(by_id(&rows, "x", "token"), Err(ClientError::Refused(_))));
    }
}
