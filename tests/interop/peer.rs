//! Programs of others as child processes: each in a group of its own, which ends with the test.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use rustix::process::{Pid, Signal, kill_process_group};

/// A program that `build.sh` made.
pub(crate) fn program(name: &str) -> PathBuf {
    let folder = std::env::var_os("MUSTER_INTEROP_BIN")
        .expect("MUSTER_INTEROP_BIN has to name the folder that tests/interop/build.sh has filled");
    let path = Path::new(&folder).join(name);
    assert!(
        path.is_file(),
        "{} is missing: run tests/interop/build.sh",
        path.display()
    );
    path
}

/// A process with all that it starts.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) child: Child,
}

impl Group {
    pub(crate) fn start(command: &mut Command) -> Self {
        let child = command
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        Self { child }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The group outlives its first process where that left children behind.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}
