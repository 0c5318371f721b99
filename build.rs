//! Makes Rust of the OpAMP schema in `proto/`, without a Protobuf compiler on the machine.

use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=proto");
    // A build script learns where it may write from nowhere else.
    #[expect(
        clippy::disallowed_methods,
        reason = "cargo speaks to build scripts through the environment"
    )]
    let out = std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?;

    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_source_info(true).include_imports(true);
    compiler.open_file("opamp/v1/opamp.proto")?;
    // The descriptors are what a test compares with the specification's tables.
    std::fs::write(
        Path::new(&out).join("opamp.bin"),
        compiler.encode_file_descriptor_set(),
    )?;
    prost_build::Config::new()
        // Maps in one order on every run, so that equal messages are equal bytes.
        .btree_map(["."])
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
