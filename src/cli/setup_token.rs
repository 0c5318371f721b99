//! `muster setup-token`: a new one-time link for the first account.

use std::path::PathBuf;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::client::Client;
use super::output::{Output, OutputArgs};
use crate::settings::Environment;

/// Make a new one-time link to set up the first account
///
/// Works on the server's own machine, as long as no account exists. The link before becomes worthless.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    output: OutputArgs,
    /// The data folder of the server [default: ./muster-data]
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
}

/// The answer of `POST /api/v1/setup-token`.
#[derive(Debug, Deserialize, Serialize)]
struct SetupLink {
    /// The page that takes the token, with it.
    url: String,
    /// When it ends to work, RFC 3339.
    expires: String,
}

impl Args {
    pub(super) async fn run(self, environment: &Environment, output: &mut Output) -> anyhow::Result<()> {
        let client = Client::local(self.data.as_deref(), environment);
        let link: SetupLink = client
            .post("/api/v1/setup-token", &())
            .await
            .context("cannot make a setup link")?;
        output.value(self.output, &link, |link| {
            format!(
                "Open this link to set up the first account, before {}:\n\n  {}\n",
                link.expires, link.url
            )
        })
    }
}
