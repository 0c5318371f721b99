//! What a real collector says of a configuration: an optional program, run as a child for each check.
//!
//! The child gets nothing of ours: no environment, no input, an empty folder that is removed after, limits on processor
//! time, memory and files, a deadline, and, where the server runs as root, another user. The document that it is shown has
//! no secrets and no references that it would resolve here (see [`complaint`]).
//!
//! That it can't be asked (missing, hung, killed, busy) is shown and never stops anybody: the hook is an addition to our
//! own checks, and a broken program on the server must not keep an operator from mending a fleet.

use std::fs::{self, DirBuilder, File};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, geteuid, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;

use super::configs::is_complete;
use super::error::Error;
use super::randomness::random;
use crate::fleet::config::complaint::{self, Complaint, STAND_IN, STAND_INS, Shown, UNVALIDATED};
use crate::fleet::config::lint::Judged;
use crate::fleet::config::yaml::{self, Limits};
use crate::fleet::config::{Content, Position, Problem};

/// How many checks run or wait; who comes then isn't kept waiting.
const QUEUE: usize = 8;
/// The most bytes that are kept of what the program writes.
const OUTPUT_BYTES: u64 = 64 * 1024;
/// Limits itself and becomes the program: no core, files of at most 1 MiB (blocks of 512 bytes), 2 GiB of memory to write
/// to (not of addresses, of which Go reserves plenty), and as many seconds of a processor as it may take in all. A shell
/// does it, since limits are set by a process for itself, and the crate has no unsafe code. A limit that is lower stays.
const LIMITED: &str =
    "{ ulimit -c 0; ulimit -f 2048; ulimit -d 2097152; ulimit -t \"$MUSTER_SECONDS\"; } 2>/dev/null
unset MUSTER_SECONDS PWD
exec \"$0\" \"$@\"";
/// The variable that tells the shell the seconds.
const SECONDS: &str = "MUSTER_SECONDS";
/// How a shell ends when it can't become the program.
const NOT_STARTED: [i32; 2] = [126, 127];
/// What a program in Go is asked to keep to, so that it collects garbage before it is refused memory.
const MEMORY_WISH: &str = "512MiB";
/// Whom it runs as when we are root: nobody.
const NOBODY: u32 = 65_534;

/// Which program is asked, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A collector: a program that understands `validate --config FILE`.
    pub collector: PathBuf,
    /// How long one check may take, with its wait for others.
    pub timeout: Duration,
}

/// Asks the program, one check at a time.
#[derive(Debug)]
pub(super) struct Validator {
    settings: Settings,
    turn: Semaphore,
    places: Semaphore,
}

/// Why a configuration could not be validated.
#[derive(Debug, thiserror::Error)]
enum Unvalidated {
    #[error("too many checks are waiting; try again")]
    Busy,
    #[error("with all that aliases repeat it is too large")]
    TooLarge,
    #[error("{0} can't be started: {1}")]
    Start(String, String),
    #[error("its working folder can't be made: {0}")]
    Folder(#[source] std::io::Error),
    #[error("the collector gave no answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    #[error("the collector ended with {0} and said nothing of the configuration")]
    Crashed(String),
}

impl Validator {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            turn: Semaphore::new(1),
            places: Semaphore::new(QUEUE),
        }
    }

    /// What the collector finds in a content that our own checks accept. Only documents of collectors are shown to it.
    pub(super) async fn check(&self, content: &Content) -> Vec<Problem> {
        let Content::Yaml(text) = content else {
            return Vec::new();
        };
        let Ok(root) = yaml::parse(text.as_bytes(), &Limits::default()) else {
            return Vec::new();
        };
        let limit = self.settings.timeout;
        let asked = async {
            let shown = complaint::shown(&root).ok_or(Unvalidated::TooLarge)?;
            self.ask(&shown).await
        };
        let asked = tokio::time::timeout(limit, asked).await;
        match asked.unwrap_or(Err(Unvalidated::TimedOut(limit))) {
            Ok(runs) => complaint::judged(&runs, &root),
            Err(why) => {
                tracing::warn!(error = %why, "a configuration could not be validated by the collector");
                vec![Problem::warning(Position::START, format!("{UNVALIDATED}: {why}"))]
            }
        }
    }

    /// What it says with each stand-in; nothing when it accepts the document with one of them.
    async fn ask(&self, shown: &Shown) -> Result<Vec<Vec<Complaint>>, Unvalidated> {
        let _place = self.places.try_acquire().map_err(|_| Unvalidated::Busy)?;
        let _turn = self.turn.acquire().await.map_err(|_| Unvalidated::Busy)?;
        let stand_ins = if shown.open {
            STAND_INS.as_slice()
        } else {
            STAND_INS.get(..1).unwrap_or_default()
        };
        let mut runs = Vec::new();
        for stand_in in stand_ins {
            let found = self.run(&shown.text, stand_in).await?;
            if found.is_empty() {
                return Ok(Vec::new());
            }
            runs.push(found);
        }
        Ok(runs)
    }

    /// Runs the program once; no complaint means that it accepts.
    async fn run(&self, text: &str, stand_in: &str) -> Result<Vec<Complaint>, Unvalidated> {
        let program = self.settings.collector.display().to_string();
        let folder = Folder::make(text).map_err(Unvalidated::Folder)?;
        let running = Running::start(&self.settings, &folder, stand_in);
        let mut running = running.map_err(|error| Unvalidated::Start(program.clone(), error.to_string()))?;
        let (status, output) = running
            .end()
            .await
            .map_err(|error| Unvalidated::Crashed(error.to_string()))?;
        if status.success() {
            return Ok(Vec::new());
        }
        if status.code().is_some_and(|code| NOT_STARTED.contains(&code)) {
            return Err(Unvalidated::Start(
                program,
                "it is missing, or may not be run".to_owned(),
            ));
        }
        let output = output.replace(&folder.0.display().to_string(), "");
        let found = complaint::complaints(&output);
        // Not a verdict on the configuration: it broke, it was killed, or it is no collector.
        let broke = [
            "panic:",
            "fatal error:",
            "unknown command",
            "unknown flag",
            "flag provided but not defined",
        ];
        if status.code().is_none() || found.is_empty() || broke.iter().any(|words| output.contains(words)) {
            return Err(Unvalidated::Crashed(status.to_string()));
        }
        Ok(found)
    }
}

/// A folder with the document alone in it, gone when dropped.
struct Folder(PathBuf);

impl Folder {
    fn make(text: &str) -> std::io::Result<Self> {
        let random: [u8; 16] = random().map_err(|error| std::io::Error::other(error.to_string()))?;
        let name = format!("muster-validate-{:032x}", u128::from_be_bytes(random));
        let folder = Self(std::env::temp_dir().join(name));
        DirBuilder::new().mode(0o700).create(&folder.0)?;
        let mut file = File::create_new(folder.document())?;
        file.write_all(text.as_bytes())?;
        if geteuid().is_root() {
            chown(folder.document(), Some(NOBODY), Some(NOBODY))?;
            chown(&folder.0, Some(NOBODY), Some(NOBODY))?;
        }
        Ok(folder)
    }

    fn document(&self) -> PathBuf {
        self.0.join("config.yaml")
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(error = %error, folder = %self.0.display(), "a working folder can't be removed");
        }
    }
}

/// The program at work; it and whatever it started end when dropped.
struct Running {
    child: Child,
    group: Option<Pid>,
}

impl Running {
    fn start(settings: &Settings, folder: &Folder, stand_in: &str) -> std::io::Result<Self> {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", LIMITED])
            .arg(&settings.collector)
            .args(["validate", "--config"])
            .arg(folder.document())
            .current_dir(folder.path())
            .env_clear()
            .env(STAND_IN, stand_in)
            .env(SECONDS, settings.timeout.as_secs().max(1).to_string())
            .env("HOME", folder.path())
            .env("TMPDIR", folder.path())
            .env("GOMEMLIMIT", MEMORY_WISH)
            .env("GOMAXPROCS", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        if geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        let child = command.spawn()?;
        let group = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        Ok(Self { child, group })
    }

    /// Waits for its end; the status, and what it wrote.
    async fn end(&mut self) -> std::io::Result<(std::process::ExitStatus, String)> {
        let (stdout, stderr) = (self.child.stdout.take(), self.child.stderr.take());
        let (status, out, err) = tokio::join!(self.child.wait(), written(stdout), written(stderr));
        let text = if err.trim().is_empty() { out } else { err };
        Ok((status?, text))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            // Nothing left to end is what is wished for.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// The beginning of what is written into a pipe, which is read to its end.
async fn written(pipe: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut pipe) = pipe else {
        return String::new();
    };
    let mut bytes = Vec::new();
    if (&mut pipe)
        .take(OUTPUT_BYTES)
        .read_to_end(&mut bytes)
        .await
        .is_ok()
    {
        let _ = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl super::intentions::Intentions {
    /// What our own checks and the collector find in a content that somebody asks about.
    ///
    /// # Errors
    /// When the actor may not edit configs.
    pub async fn check(
        &self,
        actor: &crate::auth::actor::Actor,
        content: &Content,
        judged: Judged,
    ) -> Result<Vec<Problem>, Error> {
        actor.may(crate::auth::permission::Permission::EditConfigs)?;
        let mut problems = super::configs::check(content, judged);
        if !problems.iter().any(Problem::is_error) && !content.is_blank() {
            problems.extend(self.asked(content).await);
            problems.sort();
        }
        Ok(problems)
    }

    /// What the collector finds, where one is set; an error when it refuses the content.
    ///
    /// # Errors
    /// [`Error::Problems`].
    pub(super) async fn validated(&self, content: &Content) -> Result<Vec<Problem>, Error> {
        let (errors, warnings): (Vec<_>, Vec<_>) =
            self.asked(content).await.into_iter().partition(Problem::is_error);
        if errors.is_empty() {
            Ok(warnings)
        } else {
            Err(Error::Problems(errors))
        }
    }

    async fn asked(&self, content: &Content) -> Vec<Problem> {
        match &self.validator {
            // A layer that needs others is looked at with them, when they are published.
            Some(validator) if !content.is_blank() && is_complete(content) => validator.check(content).await,
            Some(_) | None => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
