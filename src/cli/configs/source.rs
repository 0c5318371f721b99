//! Where a content comes from: a file, standard input, named files, or a starter of the server's library.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::super::session::{Session, wrong};
use crate::app::configs::{StarterDetail, too_large};
use crate::fleet::config::{ConfigFile, Content};

/// The content.
#[derive(clap::Args, Debug)]
pub(super) struct Source {
    /// The YAML file; - for standard input
    #[arg(long, short, value_name = "FILE", required_unless_present_any = ["entries", "starter"])]
    file: Option<PathBuf>,
    /// An entry that agents of other kinds take under this name; several times for several
    #[arg(long = "entry", value_name = "NAME=FILE", conflicts_with = "file", value_parser = entry)]
    entries: Vec<(String, PathBuf)>,
    /// A starter, as `muster configs starters` lists them
    #[arg(long, value_name = "NAME", conflicts_with_all = ["file", "entries"])]
    starter: Option<String>,
}

fn entry(text: &str) -> Result<(String, PathBuf), String> {
    let (name, file) = text
        .split_once('=')
        .ok_or("an entry is written NAME=FILE, such as app.toml=./app.toml")?;
    Ok((name.to_owned(), PathBuf::from(file)))
}

impl Source {
    /// What to call it where something is wrong in it.
    pub(super) fn name(&self) -> String {
        match (&self.file, &self.starter) {
            (Some(file), _) if file == Path::new("-") => "standard input".to_owned(),
            (Some(file), _) => file.display().to_string(),
            (None, Some(starter)) => starter.clone(),
            (None, None) => "entries".to_owned(),
        }
    }

    /// Reads it.
    pub(super) async fn read(&self, session: &Session<'_>) -> anyhow::Result<Content> {
        let Some(name) = &self.starter else {
            let content = self.read_files()?;
            // The server says so too, but reads no more than a part of what is far too large.
            return match too_large(&content) {
                Some(why) => Err(wrong(format!("{}: {why}", self.name())).into()),
                None => Ok(content),
            };
        };
        let found: StarterDetail = session.get(&super::starter(name)).await?;
        Ok(found.content)
    }

    fn read_files(&self) -> anyhow::Result<Content> {
        if let Some(file) = &self.file {
            let bytes = if file == Path::new("-") {
                let mut bytes = Vec::new();
                std::io::stdin()
                    .read_to_end(&mut bytes)
                    .context("cannot read standard input")?;
                bytes
            } else {
                read(file)?
            };
            let yaml =
                String::from_utf8(bytes).map_err(|_| wrong(format!("{} is not UTF-8 text", self.name())))?;
            return Ok(Content::Yaml(yaml));
        }
        let mut files = BTreeMap::new();
        for (name, file) in &self.entries {
            let entry = ConfigFile {
                body: read(file)?,
                ..ConfigFile::default()
            };
            if files.insert(name.clone(), entry).is_some() {
                return Err(wrong(format!("there are two entries {name:?}")).into());
            }
        }
        Ok(Content::Files(files))
    }
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_keep_their_names_and_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        std::fs::write(&file, b"\xff=").unwrap();
        let source = Source {
            file: None,
            starter: None,
            entries: vec![entry(&format!("app.bin={}", file.display())).unwrap()],
        };
        let Content::Files(files) = source.read_files().unwrap() else {
            panic!("not files")
        };
        assert_eq!(files["app.bin"].body, b"\xff=");
        assert!(entry("app.bin").is_err());
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let source = Source {
            file: Some("/nowhere/x.yaml".into()),
            entries: Vec::new(),
            starter: None,
        };
        assert_eq!(
            source.read_files().unwrap_err().to_string(),
            "cannot read /nowhere/x.yaml"
        );
    }
}
