//! Breaking the glass: what whoever owns the data folder does to accounts while no server runs. Audited like everything
//! else, as the operator of the host.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;

use super::{Act, Promote, ResetPassword};
use crate::app::accounts::{AccountAct, Accounts};
use crate::app::audit::Audit;
use crate::app::clock::Clock;
use crate::app::tasks::Tasks;
use crate::auth::actor::{Actor, Via};
use crate::auth::password::Password;
use crate::auth::permission::Role;
use crate::cli::output::{Output, OutputArgs};
use crate::fleet::time::Timestamp;
use crate::store::Store;

/// Opens the accounts in a data folder, and does `act`.
pub(super) async fn run(
    folder: &Path,
    act: Act,
    shape: OutputArgs,
    output: &mut Output,
) -> anyhow::Result<()> {
    let file = folder.join("store.redb");
    anyhow::ensure!(
        file.is_file(),
        "there is no store in {}; name the server's data folder with --data",
        folder.display()
    );
    let clock = Clock::system();
    let store = Store::open(folder, &crate::store::Settings::default(), clock.now())
        .context("can't open the store; where the server runs, leave out --offline")?;
    let tasks = Tasks::new();
    let audit = Audit::new(store.clone(), clock.clone(), tasks.clone());
    let accounts = Accounts::load(store.clone(), clock, tasks.clone(), audit)?;
    let done = act_on(&accounts, act, shape, output).await;
    let ended = tasks.shutdown(Duration::from_mins(1)).await;
    tokio::task::spawn_blocking(move || store.close()).await?;
    done?;
    ended.map_err(|unfinished| anyhow::anyhow!("the change was cut short: {unfinished:?}"))?;
    Ok(())
}

async fn act_on(accounts: &Accounts, act: Act, shape: OutputArgs, output: &mut Output) -> anyhow::Result<()> {
    let actor = operator();
    match act {
        Act::Promote(Promote { name, .. }) => {
            let account = accounts.named(&actor, &name)?;
            if account.role != Role::Admin {
                let act = AccountAct::SetRole { role: Role::Admin };
                accounts.manage(&actor, &name, act).await?;
            }
            if account.disabled_at.is_some() {
                accounts.manage(&actor, &name, AccountAct::Enable).await?;
            }
            output.value(shape, &json!({"name": name}), |_| format!("{name} is an admin"))
        }
        Act::ResetPassword(args) => reset(accounts, &actor, &args, shape, output).await,
        Act::List
        | Act::Create(_)
        | Act::Role { .. }
        | Act::Disable { .. }
        | Act::Enable { .. }
        | Act::Unlock { .. }
        | Act::EndSessions { .. }
        | Act::Delete(_) => anyhow::bail!("this takes a server that runs"),
    }
}

async fn reset(
    accounts: &Accounts,
    actor: &Actor,
    args: &ResetPassword,
    shape: OutputArgs,
    output: &mut Output,
) -> anyhow::Result<()> {
    let new = args.new_password()?;
    let password = Password::new(&new.text);
    accounts.reset_password(actor, &args.name, &password).await?;
    output.value(shape, &args.answer(&new), |_| args.words(&new))
}

/// Whoever can open the store.
fn operator() -> Actor {
    let uid = rustix::process::geteuid().as_raw();
    Actor {
        name: format!("uid {uid} on this host, offline"),
        via: Via::LocalSocket { uid },
        role: Role::Admin,
        address: None,
        proven_at: Timestamp::EPOCH,
    }
}
