//! What the operating system says about this process. Nothing where it doesn't say.

use std::fs;

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::BYTES;

pub(super) fn register(registry: &mut Registry) {
    if let Some(bytes) = resident_bytes() {
        let gauge: Gauge = Gauge::default();
        gauge.set(bytes);
        registry.register_with_unit("process_resident_memory", "Memory that is in use", BYTES, gauge);
    }
    if let Some(files) = open_files() {
        let gauge: Gauge = Gauge::default();
        gauge.set(files);
        registry.register("process_open_fds", "Open files and sockets", gauge);
    }
}

fn resident_bytes() -> Option<i64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

fn open_files() -> Option<i64> {
    i64::try_from(fs::read_dir("/proc/self/fd").ok()?.count()).ok()
}
