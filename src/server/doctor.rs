//! A look at a data folder that no server has: what is wrong with it, and what to do.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::{data_folder, store_settings};
use crate::app::survey::survey;
use crate::app::vault::SealKey;
use crate::fleet::time::Timestamp;
use crate::pki::{Authority, ServerCertificate};
use crate::settings::Settings;
use crate::store::{AuditVerdict, OpenError, Rehearsal, Store};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Well,
    /// Worth a look.
    Warning,
    /// Wrong.
    Wrong,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What.
    pub subject: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What was found.
    pub found: String,
    /// What to do; empty where there is nothing to do.
    pub advice: String,
}

/// The findings as they come.
#[derive(Debug, Default)]
struct Chart(Vec<Finding>);

impl Chart {
    fn well(&mut self, subject: &'static str, found: impl Into<String>) {
        self.note(subject, Level::Well, found, "");
    }

    fn warn(&mut self, subject: &'static str, found: impl Into<String>, advice: impl Into<String>) {
        self.note(subject, Level::Warning, found, advice);
    }

    fn wrong(&mut self, subject: &'static str, found: impl Into<String>, advice: impl Into<String>) {
        self.note(subject, Level::Wrong, found, advice);
    }

    fn note(
        &mut self,
        subject: &'static str,
        level: Level,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.0.push(Finding {
            subject,
            level,
            found: found.into(),
            advice: advice.into(),
        });
    }
}

/// Certificates that end sooner are worth a look.
const ENDS_SOON: Duration = Duration::from_hours(30 * 24);
/// A clock that is behind the last act by more is wrong.
const BEHIND: Duration = Duration::from_mins(10);
/// No server ran before this: 2024-01-01.
const EARLIEST: Timestamp = Timestamp::from_seconds(1_704_067_200);

/// Looks at the data folder of `settings`. Changes nothing in it; a copy of the store lies there meanwhile.
#[must_use]
pub fn examine(settings: &Settings, now: Timestamp) -> Vec<Finding> {
    let mut chart = Chart::default();
    let folder = &settings.data;
    if !folder.is_dir() {
        let advice = "Name the folder with --data, or start the server, which makes it.";
        chart.wrong(
            "folder",
            format!("there is no folder {}", folder.display()),
            advice,
        );
        return chart.0;
    }
    look_at_permissions(&mut chart, folder);
    let key = look_at_keys(&mut chart, folder);
    look_at_certificates(&mut chart, settings, now);
    look_at_room(&mut chart, settings);
    if now < EARLIEST {
        chart.wrong(
            "clock",
            "the machine's clock is far behind",
            "Set it: certificates and tokens depend on it.",
        );
    }
    match Store::rehearse(folder, &store_settings(settings), now) {
        Ok(rehearsal) => look_at_store(&mut chart, &rehearsal, key.as_ref(), now),
        Err(error) => tell_of_opening(&mut chart, &error),
    }
    chart.0
}

fn look_at_permissions(chart: &mut Chart, folder: &Path) {
    let mut open = Vec::new();
    let mut foreign = Vec::new();
    let owner = fs::metadata(folder).map(|metadata| metadata.uid());
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let inside = entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.metadata()));
    let all = std::iter::once((".".to_owned(), fs::metadata(folder))).chain(inside);
    for (name, metadata) in all {
        let Ok(metadata) = metadata else { continue };
        let private = name == "."
            || Path::new(&name)
                .extension()
                .is_some_and(|end| end == "key" || end == "redb");
        if private && metadata.permissions().mode() & 0o077 != 0 {
            open.push(name.clone());
        }
        if owner.as_ref().is_ok_and(|owner| *owner != metadata.uid()) {
            foreign.push(name);
        }
    }
    if !open.is_empty() {
        let found = format!("others on this machine may read or write {}", open.join(", "));
        chart.wrong("permissions", found, "chmod 700 the folder and 600 the files.");
    } else if !foreign.is_empty() {
        let found = format!("{} belong to somebody else than the folder", foreign.join(", "));
        chart.wrong(
            "permissions",
            found,
            "chown them to the user that runs the server.",
        );
    } else {
        chart.well("permissions", "the folder and its keys are its owner's alone");
    }
}

/// The key that seals secrets, where it is there.
fn look_at_keys(chart: &mut Chart, folder: &Path) -> Option<SealKey> {
    let mut bad = Vec::new();
    for name in [data_folder::HASH_KEY, data_folder::SEAL_KEY] {
        match fs::read(folder.join(name)) {
            Ok(bytes) if bytes.len() == 32 => {}
            Ok(bytes) => bad.push(format!("{name} has {} bytes instead of 32", bytes.len())),
            Err(error) => bad.push(format!("{name} can't be read: {error}")),
        }
    }
    if bad.is_empty() {
        chart.well("keys", "hash.key and seal.key are there");
    } else {
        let advice = "Put them back from where keys are kept. A start makes those that are missing anew: secrets are lost \
                      then, and agents are offered their configuration once more.";
        chart.wrong("keys", bad.join("; "), advice);
    }
    let bytes = fs::read(folder.join(data_folder::SEAL_KEY)).ok()?;
    Some(SealKey(bytes.try_into().ok()?))
}

fn look_at_certificates(chart: &mut Chart, settings: &Settings, now: Timestamp) {
    let folder = &settings.data;
    let there = |name: &str| folder.join(name).exists();
    if there("ca.pem") && there("ca.key") {
        match Authority::load_or_create(folder, &settings.site_name, now) {
            Ok(authority) => tell_of_end(
                chart,
                "authority",
                authority.expires(),
                now,
                "All hosts trust it by its fingerprint: plan to enrol them again.",
            ),
            Err(error) => chart.wrong(
                "authority",
                chain(&error),
                "Put ca.key and ca.pem back from a backup.",
            ),
        }
    } else {
        let found = "ca.pem or ca.key is missing";
        chart.wrong(
            "authority",
            found,
            "Put both back from a backup: a new authority is trusted by no host.",
        );
    }
    let (certificate, key) = (folder.join("server.pem"), folder.join("server.key"));
    if certificate.exists() || key.exists() {
        match ServerCertificate::from_files(&certificate, &key, now) {
            Ok(own) => tell_of_end(
                chart,
                "certificate",
                own.expires(),
                now,
                "The server renews it at its start.",
            ),
            Err(error) => chart.warn(
                "certificate",
                chain(&error),
                "The server makes a new one at its start.",
            ),
        }
    }
    if let Some(tls) = &settings.admin_plane.tls {
        let advice = "Put a new one in its place.";
        match ServerCertificate::from_files(&tls.certificate, &tls.key, now) {
            Ok(given) => tell_of_end(chart, "given certificate", given.expires(), now, advice),
            Err(error) => chart.wrong("given certificate", chain(&error), advice),
        }
    }
}

fn tell_of_end(chart: &mut Chart, subject: &'static str, ends: Timestamp, now: Timestamp, advice: &str) {
    let days = ends.since(now).as_secs() / 86_400;
    if ends <= now {
        chart.wrong(subject, "it has ended", advice);
    } else if ends.since(now) < ENDS_SOON {
        chart.warn(subject, format!("it ends in {days} days"), advice);
    } else {
        chart.well(subject, format!("it is valid for {days} days"));
    }
}

fn look_at_room(chart: &mut Chart, settings: &Settings) {
    let quota = settings.disk.quota.map(|quota| quota.0);
    let room = crate::store::Room::of(&settings.data, settings.disk.low_water.0, quota);
    let free = room.free_bytes.unwrap_or_default() >> 20;
    match room.shortage() {
        Some(short) => chart.wrong(
            "room",
            format!("nothing would be changed for want of room: {short}"),
            "Delete what isn't needed beside the store, give the disk more, or change disk.low_water or disk.quota.",
        ),
        None => chart.well("room", format!("{free} MiB are left on the disk")),
    }
}

fn look_at_store(chart: &mut Chart, rehearsal: &Rehearsal, key: Option<&SealKey>, now: Timestamp) {
    chart.well("lock", "no server has the folder");
    if rehearsal.steps.is_empty() {
        chart.well(
            "schema",
            format!("{}, which this program writes", rehearsal.schema),
        );
    } else {
        let found = format!(
            "{}; this program writes {} and migrates it at the start: {}",
            rehearsal.schema,
            rehearsal.known,
            rehearsal.steps.join("; ")
        );
        chart.warn("schema", found, "`muster upgrade --check` says what that takes.");
    }
    let Some(store) = rehearsal.store() else { return };
    let restore = "Restore a backup, or make what they were again. The server starts all the same and leaves them as they are.";
    let surveyed = match survey(store, key) {
        Ok(surveyed) => surveyed,
        Err(error) => return chart.wrong("records", chain(&error), restore),
    };
    let unreadable = store.unreadable();
    if unreadable.is_empty() {
        let found = format!(
            "{} of them, of {} agents, as they were written",
            surveyed.records, surveyed.agents
        );
        chart.well("records", found);
    }
    for row in unreadable.iter().take(50) {
        let found = format!("{} {}: {}", row.table, row.key, row.why);
        chart.wrong("records", found, restore);
    }
    if key.is_some() && surveyed.opened < surveyed.sealed {
        let found = format!(
            "{} of {} don't open with seal.key",
            surveyed.sealed - surveyed.opened,
            surveyed.sealed
        );
        chart.wrong(
            "secrets",
            found,
            "Put the seal.key back that they were sealed with, or set them again.",
        );
    } else {
        chart.well("secrets", format!("all {} open with seal.key", surveyed.sealed));
    }
    match store.verify_audit() {
        Ok(AuditVerdict::Intact { records, .. }) => {
            chart.well("audit", format!("{records} records, one chain"));
        }
        Ok(AuditVerdict::Broken { number, .. }) => {
            let found = format!("the chain breaks at record {number}");
            chart.wrong(
                "audit",
                found,
                "Compare with a backup: records were changed, lost or damaged.",
            );
        }
        Err(error) => chart.wrong("audit", chain(&error), restore),
    }
    let behind = surveyed.last_act.filter(|last| last.since(now) > BEHIND);
    if behind.is_some() || store.founded_at().since(now) > BEHIND {
        let found = "the machine's clock is behind the last act in the audit log";
        chart.wrong(
            "clock",
            found,
            "Set it: certificates, tokens and holds end by it.",
        );
    } else {
        chart.well("clock", "not behind the last act");
    }
}

fn tell_of_opening(chart: &mut Chart, error: &OpenError) {
    match error {
        OpenError::InUse { holder, .. } => chart.warn(
            "lock",
            format!("the folder is in use by {holder}; the store was not looked at"),
            "Stop the server to look at all of it, or see System on its pages.",
        ),
        OpenError::Newer { .. } => chart.wrong(
            "schema",
            chain(error),
            "Use the newer version, or restore a backup of before.",
        ),
        OpenError::NetworkFolder { .. } => chart.wrong("folder", chain(error), ""),
        OpenError::File { .. }
        | OpenError::Database(_)
        | OpenError::Storage(_)
        | OpenError::Damaged(_)
        | OpenError::Randomness
        | OpenError::Thread(_) => {
            chart.wrong(
                "store",
                chain(error),
                "Keep the file, and restore a backup into an empty folder.",
            );
        }
    }
}

/// An error with what is behind it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(found) = cause {
        text.push_str(": ");
        text.push_str(&found.to_string());
        cause = found.source();
    }
    text
}
