//! `muster man`.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;

use super::output::Output;
use crate::admin_plane::pages::help::VerbHelp;

/// Every verb with what it prints as its help, in the order of `muster help`.
#[must_use]
pub fn verbs() -> Vec<VerbHelp> {
    let mut command = super::command();
    command.build();
    let mut found = Vec::new();
    for verb in command.get_subcommands() {
        describe(verb, "", &mut found);
    }
    found
}

/// A verb that only holds others is described by them.
fn describe(verb: &clap::Command, before: &str, found: &mut Vec<VerbHelp>) {
    let name = format!("{before}{}", verb.get_name());
    if verb.get_name() == "help" {
        return;
    }
    if verb.has_subcommands() {
        for below in verb.get_subcommands() {
            describe(below, &format!("{name} "), found);
        }
        return;
    }
    found.push(VerbHelp {
        about: verb.get_about().map(ToString::to_string).unwrap_or_default(),
        help: verb.clone().render_long_help().to_string(),
        name,
    });
}

/// Print the manual page, or write those of all verbs into a folder
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  muster man | man -l -")]
pub(super) struct Args {
    /// Write one page per verb into this folder
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(self, output: &mut Output) -> anyhow::Result<()> {
        if let Some(folder) = self.folder {
            fs::create_dir_all(&folder)
                .with_context(|| format!("cannot make the folder {}", folder.display()))?;
            return clap_mangen::generate_to(super::command(), &folder)
                .with_context(|| format!("cannot write manual pages into {}", folder.display()));
        }
        let mut page = Vec::new();
        clap_mangen::Man::new(super::command()).render(&mut page)?;
        output.raw(&page)
    }
}
