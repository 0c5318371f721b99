//! `muster export`: the server's configs, groups and labels as a folder of files.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::json;

use super::output::{Output, note};
use super::session::Reach;
use super::tree::{self, MARK, Present};
use crate::settings::Environment;

/// Write configs, groups, and agents' names and labels into a folder of files
///
/// Made for reading, for version control, and for `muster apply`. The same state gives the same files, byte for byte. No
/// secret is in them. What is no longer on the server keeps its file until --prune.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
The folder:
  configs/NAME.yaml  the newest content of a collector config
  configs/NAME.toml  what it is for; the entries of a config of files, whose bodies lie in configs/NAME/
  groups/NAME.toml   selectors, priority, layers and what else a group is
  agents.toml        names and labels that operators gave to agents

Examples:
  muster export fleet && git -C fleet diff
  muster export fleet --prune && git -C fleet commit -am 'as it is'")]
pub(super) struct Args {
    /// The folder; made when it isn't there
    folder: PathBuf,
    /// Remove files of configs and groups that are no longer on the server
    #[arg(long)]
    prune: bool,
    #[command(flatten)]
    reach: Reach,
}

impl Args {
    pub(super) async fn run(self, environment: &Environment, output: &mut Output) -> anyhow::Result<()> {
        let mut session = self.reach.open(environment, output)?;
        let folder = &self.folder;
        ours(folder)?;
        let files = tree::files(&Present::ask(&session).await?)?;
        let mut changed = 0_usize;
        for (path, body) in &files {
            changed += usize::from(put(&folder.join(path), body)?);
        }
        let written: BTreeSet<_> = files.keys().cloned().collect();
        let mut stale = Vec::new();
        for part in ["configs", "groups"] {
            collect(folder, Path::new(part), &mut stale)?;
        }
        stale.retain(|path| !written.contains(path));
        for path in &stale {
            if self.prune {
                let path = folder.join(path);
                fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
            } else {
                note(&format!(
                    "{} is not on the server any more; --prune removes it",
                    path.display()
                ));
            }
        }
        let removed = if self.prune { stale.len() } else { 0 };
        let told = json!({"folder": folder, "files": files.len(), "changed": changed, "removed": removed});
        session.say(&told, || {
            format!(
                "{}: {} files, {changed} of them changed, {removed} removed",
                folder.display(),
                files.len()
            )
        })
    }
}

/// Refuses a folder that holds something else.
fn ours(folder: &Path) -> anyhow::Result<()> {
    if !folder.exists() || folder.join(MARK).exists() {
        return Ok(());
    }
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let name = entry?.file_name();
        let shown = name.to_string_lossy();
        // A repository that was just made, and its notes.
        if !shown.starts_with('.') && !shown.ends_with(".md") {
            anyhow::bail!(
                "{} holds {shown}, and no {MARK} that would make it a folder of an export; name another",
                folder.display()
            );
        }
    }
    Ok(())
}

/// Writes a file unless it has this content already.
fn put(path: &Path, body: &[u8]) -> anyhow::Result<bool> {
    if fs::read(path).is_ok_and(|present| present == body) {
        return Ok(false);
    }
    let written = path
        .parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| fs::write(path, body));
    written.with_context(|| format!("cannot write {}", path.display()))?;
    Ok(true)
}

/// The files under a part that an export may have written, relative to the folder.
fn collect(folder: &Path, part: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let path = folder.join(part);
    if !path.is_dir() {
        return Ok(());
    }
    let mut entries: Vec<_> = fs::read_dir(&path)
        .and_then(Iterator::collect::<Result<_, _>>)
        .with_context(|| format!("cannot read {}", path.display()))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        let shown = name.to_string_lossy();
        let inner = part.join(&name);
        if entry.file_type()?.is_dir() {
            collect(folder, &inner, found)?;
        } else if !shown.starts_with('.') && !shown.ends_with(".md") {
            found.push(inner);
        }
    }
    Ok(())
}
