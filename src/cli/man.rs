//! `muster man`.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;

use super::output::Output;

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
