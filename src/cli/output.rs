//! What verbs print: tables on a terminal, tab-separated lines in a pipe, JSON where asked. The only place that writes
//! to standard output and standard error.

use std::io::{self, IsTerminal, Write};

use anyhow::Context as _;
use comfy_table::{ContentArrangement, Table};
use serde::Serialize;

use crate::observability::plain::plain;

/// How a verb prints its result.
#[derive(clap::Args, Clone, Copy, Debug, Default)]
pub struct OutputArgs {
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
}

/// Where a verb prints to.
#[derive(Debug)]
pub struct Output {
    sink: Sink,
    terminal: bool,
    /// What a person answers in tests, the last one first.
    #[cfg(test)]
    pub(super) answers: Vec<String>,
}

#[derive(Debug)]
enum Sink {
    Stdout(io::Stdout),
    #[cfg(test)]
    Captured(Vec<u8>),
}

impl Output {
    /// The standard output of this process.
    #[must_use]
    pub fn stdout() -> Self {
        let stdout = io::stdout();
        Self {
            terminal: stdout.is_terminal(),
            sink: Sink::Stdout(stdout),
            #[cfg(test)]
            answers: Vec::new(),
        }
    }

    /// Whether a person reads it.
    #[must_use]
    pub const fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Asks the person at the terminal, beside the output; `None` when nobody is there to answer.
    ///
    /// # Errors
    /// The terminal can't be read or written.
    pub fn ask(&mut self, question: &str) -> anyhow::Result<Option<String>> {
        #[cfg(test)]
        if matches!(self.sink, Sink::Captured(_)) {
            return Ok(self.answers.pop());
        }
        let (stdin, mut stderr) = (io::stdin(), io::stderr());
        if !stdin.is_terminal() || !stderr.is_terminal() {
            return Ok(None);
        }
        stderr
            .write_all(question.as_bytes())
            .and_then(|()| stderr.flush())
            .context("cannot ask")?;
        let mut answer = String::new();
        stdin.read_line(&mut answer).context("cannot read the answer")?;
        Ok(Some(answer))
    }

    /// Prints a listing: with headings on a terminal, one tab-separated line per row in a pipe, or a JSON array.
    ///
    /// # Errors
    /// Standard output is closed or full.
    pub fn table<T: Serialize>(
        &mut self,
        args: OutputArgs,
        headings: &[&str],
        rows: &[T],
        cells: impl Fn(&T) -> Vec<String>,
    ) -> anyhow::Result<()> {
        if args.json {
            return self.json(&rows);
        }
        let cells = rows
            .iter()
            .map(|row| cells(row).iter().map(|cell| plain(cell)).collect::<Vec<_>>());
        if self.terminal {
            let mut table = Table::new();
            table
                .load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY)
                .set_content_arrangement(ContentArrangement::Dynamic)
                .set_header(headings)
                .add_rows(cells);
            self.line(&table.to_string())
        } else {
            let lines: String = cells.map(|cells| cells.join("\t") + "\n").collect();
            self.raw(lines.as_bytes())
        }
    }

    /// Prints one result as `text` says, or as JSON.
    ///
    /// # Errors
    /// Standard output is closed or full.
    pub fn value<T: Serialize>(
        &mut self,
        args: OutputArgs,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> anyhow::Result<()> {
        if args.json {
            self.json(value)
        } else {
            self.line(&text(value))
        }
    }

    /// Prints a text of our own and ends the line. Texts of others go through [`plain`] first.
    ///
    /// # Errors
    /// Standard output is closed or full.
    pub fn line(&mut self, text: &str) -> anyhow::Result<()> {
        self.raw(format!("{text}\n").as_bytes())
    }

    /// Says why a listing is empty: to who reads it, and beside the output where nobody does.
    ///
    /// # Errors
    /// Standard output is closed or full.
    pub(super) fn nothing(&mut self, why: &str) -> anyhow::Result<()> {
        if self.terminal {
            return self.line(why);
        }
        note(why);
        Ok(())
    }

    /// Prints bytes as they are.
    ///
    /// # Errors
    /// Standard output is closed or full.
    pub fn raw(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        match &mut self.sink {
            Sink::Stdout(stdout) => stdout.write_all(bytes).and_then(|()| stdout.flush()),
            #[cfg(test)]
            Sink::Captured(captured) => captured.write_all(bytes),
        }
        .context("cannot write to standard output")
    }

    fn json<T: Serialize>(&mut self, value: &T) -> anyhow::Result<()> {
        self.line(&serde_json::to_string_pretty(value)?)
    }
}

/// Prints a failure and what caused it, as one block on standard error.
pub fn report(error: &anyhow::Error) {
    // There is nobody left to tell when standard error is closed.
    let _ = io::stderr().write_all(block(error).as_bytes());
}

/// Says something beside the output, for people: what goes on while a verb waits.
pub fn note(text: &str) {
    // Nobody to tell is no failure.
    let _ = writeln!(io::stderr(), "{}", plain(text));
}

fn block(error: &anyhow::Error) -> String {
    let mut causes = error.chain().map(ToString::to_string);
    let mut block = format!(
        "error: {}\n",
        indent(&causes.next().unwrap_or_default(), "       ")
    );
    let mut said = block.clone();
    for cause in causes {
        // Some errors repeat their cause in their own text.
        if !said.contains(&cause) {
            for part in ["  because: ", &indent(&cause, "           "), "\n"] {
                block.push_str(part);
            }
            said.push_str(&cause);
        }
    }
    block
}

/// Makes each line plain, and aligns the lines after the first.
fn indent(text: &str, margin: &str) -> String {
    text.lines()
        .map(plain)
        .collect::<Vec<_>>()
        .join(&format!("\n{margin}"))
}

#[cfg(test)]
impl Output {
    pub(super) const fn captured(terminal: bool) -> Self {
        Self {
            sink: Sink::Captured(Vec::new()),
            terminal,
            answers: Vec::new(),
        }
    }

    pub(super) fn text(&self) -> &str {
        match &self.sink {
            Sink::Captured(captured) => std::str::from_utf8(captured).unwrap(),
            Sink::Stdout(_) => panic!("not captured"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Row {
        name: &'static str,
        agents: u32,
    }

    const ROWS: [Row; 2] = [
        Row {
            name: "edge",
            agents: 12,
        },
        Row {
            name: "evil\n\u{1b}[2J",
            agents: 0,
        },
    ];

    fn print(terminal: bool, json: bool) -> String {
        let mut output = Output::captured(terminal);
        let cells = |row: &Row| vec![row.name.to_owned(), row.agents.to_string()];
        output
            .table(OutputArgs { json }, &["GROUP", "AGENTS"], &ROWS, cells)
            .unwrap();
        output.text().to_owned()
    }

    #[test]
    fn a_pipe_gets_one_tab_separated_line_per_row_without_headings() {
        assert_eq!(print(false, false), "edge\t12\nevil\\n\\u{1b}[2J\t0\n");
    }

    #[test]
    fn a_terminal_gets_headings_and_nothing_that_steers_it() {
        let table = print(true, false);
        assert!(table.contains("GROUP") && table.contains("edge"), "{table}");
        assert!(!table.contains('\u{1b}'), "{table:?}");
    }

    #[test]
    fn json_is_the_same_everywhere() {
        assert_eq!(print(true, true), print(false, true));
        let rows: serde_json::Value = serde_json::from_str(&print(false, true)).unwrap();
        assert_eq!(rows[0]["agents"], 12);
    }

    #[test]
    fn a_failure_is_one_block_that_says_each_cause_once() {
        let error = anyhow::anyhow!("connection refused")
            .context("cannot reach the server: connection refused")
            .context("cannot list agents\nof group edge");
        assert_eq!(
            block(&error),
            "error: cannot list agents\n       of group edge\n  because: cannot reach the server: connection refused\n"
        );
    }
}
