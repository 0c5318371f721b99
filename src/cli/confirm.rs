//! Asking before something is done that is hard to undo. Nobody is there to be asked in scripts: there flags say it.

use super::output::Output;
use super::session::wrong;

/// Says beforehand that it is meant.
#[derive(clap::Args, Clone, Copy, Debug, Default)]
pub(super) struct Yes {
    /// Do it without asking
    #[arg(long, short)]
    pub(super) yes: bool,
}

impl Yes {
    /// Asks `question`, which a person answers with yes or no.
    ///
    /// # Errors
    /// When they say no, or nobody is there to be asked.
    pub(super) fn ask(self, output: &mut Output, question: &str) -> anyhow::Result<()> {
        if self.yes {
            return Ok(());
        }
        let answer = output.ask(&format!("{question} [y/N] "))?;
        match answer.as_deref().map(str::trim) {
            None => Err(wrong(format!("{question} Add --yes: nobody is here to be asked.")).into()),
            Some("y" | "Y" | "yes" | "Yes") => Ok(()),
            Some(_) => anyhow::bail!("nothing was done"),
        }
    }

    /// Asks for the number of agents that something is done to.
    ///
    /// # Errors
    /// When another number is typed, or nobody is there to be asked.
    pub(super) fn ask_count(self, output: &mut Output, what: &str, count: u64) -> anyhow::Result<()> {
        if self.yes {
            return Ok(());
        }
        let typed = output.ask(&format!("{what} Type {count} to go on: "))?;
        let typed = typed.ok_or_else(|| wrong(format!("{what} Add --yes: nobody is here to be asked.")))?;
        if typed.trim().parse() == Ok(count) {
            Ok(())
        } else {
            anyhow::bail!("that is not {count}: nothing was done")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::client::ClientError;
    use super::*;

    fn count(typed: Option<&str>, yes: bool) -> anyhow::Result<()> {
        let mut output = Output::captured(true);
        output.answers.extend(typed.map(str::to_owned));
        Yes { yes }.ask_count(&mut output, "It takes 12 agents.", 12)
    }

    #[test]
    fn only_the_right_number_goes_on() {
        count(Some("12\n"), false).unwrap();
        count(None, true).unwrap();
        assert_eq!(
            count(Some("1\n"), false).unwrap_err().to_string(),
            "that is not 12: nothing was done"
        );
    }

    #[test]
    fn a_script_must_say_that_it_is_meant() {
        let error = count(None, false).unwrap_err();
        assert!(matches!(
            error.downcast_ref::<ClientError>(),
            Some(ClientError::Arguments(_))
        ));
        let mut output = Output::captured(false);
        output.answers.push("n\n".to_owned());
        let no = Yes::default().ask(&mut output, "Delete it?").unwrap_err();
        assert_eq!(no.to_string(), "nothing was done");
    }
}
