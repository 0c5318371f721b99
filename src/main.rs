//! The `muster` program: parse the arguments, run the verb, end with its exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    muster::cli::run()
}
