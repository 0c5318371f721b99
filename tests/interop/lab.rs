//! One server with a data folder of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::api::Api;
use crate::patience::{SOON, until};
use crate::peer::Group;

/// A running server, the operator at its side, and a folder for everything else.
pub(crate) struct Lab {
    pub(crate) api: Api,
    folder: TempDir,
    server: Option<Group>,
    port: u16,
    starts: usize,
    flags: Vec<String>,
}

impl Lab {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// A server with further flags.
    pub(crate) fn with(flags: &[&str]) -> Self {
        let folder = TempDir::with_prefix("muster-interop-").unwrap();
        let api = Api::new(&folder.path().join("data"));
        let mut lab = Self {
            api,
            folder,
            server: None,
            port: 0,
            starts: 0,
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
        };
        lab.start_server();
        lab
    }

    /// Starts the server, after the first time on the same port.
    pub(crate) fn start_server(&mut self) {
        self.starts += 1;
        let log = self.log_path();
        let output = fs::File::create(&log).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
        command
            .args([
                "serve",
                "--log-format",
                "json",
                "--log-level",
                "info,muster::admin_plane=warn,muster::agent_plane=debug,muster::app=debug",
            ])
            .args(["--admin-listen", "127.0.0.1:0", "--agent-listen"])
            .arg(format!("127.0.0.1:{}", self.port))
            .arg("--data")
            .arg(self.data())
            .args(&self.flags)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output);
        self.server = Some(Group::start(&mut command));
        let address = until("the server listens", SOON, || {
            let text = fs::read_to_string(&log).unwrap();
            let ended = self.server.as_mut().unwrap().has_ended();
            assert!(!ended, "the server ended:\n{text}");
            text.lines().find_map(listening)
        });
        self.port = address.rsplit(':').next().unwrap().parse().unwrap();
    }

    /// Stops the server as an operator does, and waits for its end.
    pub(crate) fn stop_server(&mut self) {
        self.end_server(Signal::TERM);
    }

    /// Ends the server as a power cut does.
    pub(crate) fn kill_server(&mut self) {
        self.end_server(Signal::KILL);
    }

    fn end_server(&mut self, signal: Signal) {
        let mut server = self.server.take().unwrap();
        server.signal(signal);
        until("the server has ended", LONGEST_STOP, || {
            server.has_ended().then_some(())
        });
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.data().join("ca.pem")
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Where agents connect, as `wss` or `https`.
    pub(crate) fn endpoint(&self, scheme: &str) -> String {
        format!("{scheme}://localhost:{}/v1/opamp", self.port)
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join(format!("server-{}.log", self.starts))
    }
}

const LONGEST_STOP: std::time::Duration = std::time::Duration::from_secs(40);

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for name in fs::read_dir(self.folder.path()).unwrap().flatten() {
                if name
                    .path()
                    .extension()
                    .is_some_and(|extension| extension == "log")
                {
                    let text = fs::read_to_string(name.path()).unwrap_or_default();
                    let lines: Vec<&str> = text.lines().collect();
                    let last = &lines[lines.len().saturating_sub(60)..];
                    println!("--- {}\n{}", name.path().display(), last.join("\n"));
                }
            }
        }
    }
}

/// The address of the agent plane, from the line of the log that says so.
fn listening(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    let fields = line.get("fields").unwrap_or(&line);
    let address = fields.get("agent_address")?;
    address.as_str().map(str::to_owned)
}
