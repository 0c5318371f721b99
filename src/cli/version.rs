//! `muster version`.

use super::output::{Output, OutputArgs};

/// Show the version of this program
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(serde::Serialize)]
struct Build {
    version: &'static str,
    os: &'static str,
    arch: &'static str,
}

impl Args {
    pub(super) fn run(self, output: &mut Output) -> anyhow::Result<()> {
        let build = Build {
            version: env!("CARGO_PKG_VERSION"),
            os: std::env::consts::OS,
            arch: std::env::consts::ARCH,
        };
        output.value(self.output, &build, |it| {
            format!("muster {} ({} {})", it.version, it.os, it.arch)
        })
    }
}
