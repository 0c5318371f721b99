//! `muster completions`.

use clap_complete::Shell;

use super::output::Output;

/// Print a script that teaches a shell to complete verbs and flags
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  muster completions bash > /etc/bash_completion.d/muster")]
pub(super) struct Args {
    /// The shell that will read it
    shell: Shell,
}

impl Args {
    pub(super) fn run(self, output: &mut Output) -> anyhow::Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut super::command(), "muster", &mut script);
        output.raw(&script)
    }
}
