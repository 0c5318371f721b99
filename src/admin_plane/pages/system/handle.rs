//! The server itself, and the certificate that hosts have to trust.

use std::sync::atomic::Ordering;

use http::header::CONTENT_DISPOSITION;
use http::{HeaderValue, StatusCode};

use super::{SystemPage, system};
use crate::admin_plane::call::{Call, View, done};
use crate::admin_plane::failure::Outcome;
use crate::admin_plane::pages::handle::Stage;
use crate::admin_plane::pages::layout::Nav;
use crate::admin_plane::pages::scene::bytes;
use crate::admin_plane::routes::Row;
use crate::admin_plane::text;
use crate::auth::permission::Permission;
use crate::fleet::time::Timestamp;

pub(in crate::admin_plane) fn rows() -> Vec<Row> {
    vec![
        Row::page("/system", Permission::ManageSystem, show).heavy(),
        Row::form("/system/compact", Permission::ManageSystem, compact),
        Row::page("/ca.pem", Permission::ViewFleet, ca_pem),
    ]
}

async fn show(call: Call) -> Outcome {
    let site = &call.plane.site;
    let view = SystemPage {
        state: call.app().server_state(&call.actor).await?,
        site: site.name.clone(),
        data_folder: site.data_folder.display().to_string(),
        names: names(&call),
        agent_port: site.agent_port,
        ca_fingerprint: site.ca_fingerprint.pairs(),
        ca_expires: site.ca_expires,
        certificate_expires: Timestamp(site.certificate_ends.load(Ordering::Relaxed)),
        given_expires: call.app().given_certificate().map(|given| given.expires),
    };
    let stage = Stage::of(&call);
    let body = system(&view, &stage.scene());
    Ok(call.page(
        StatusCode::OK,
        View {
            title: "System",
            active: Some(Nav::System),
            body,
            ..View::default()
        },
    ))
}

async fn compact(call: Call) -> Outcome {
    let done_with = call.app().compact(&call.actor).await?;
    let (before, after) = (bytes(done_with.before_bytes), bytes(done_with.after_bytes));
    Ok(done(
        "/system#store",
        &format!("The store was compacted: it had {before} and has {after}."),
    ))
}

/// The names and addresses that the admin plane answers to.
fn names(call: &Call) -> Vec<String> {
    let site = &call.plane.site;
    let mut names: Vec<String> = site.names.iter().chain(&site.wildcards).cloned().collect();
    if let Some(given) = call.app().given_certificate() {
        let addresses = given.names.addresses().iter().map(ToString::to_string);
        let given = given.names.dns().iter().cloned().chain(addresses);
        names.extend(given.filter(|name| !names.contains(name)).collect::<Vec<_>>());
    }
    names
}

async fn ca_pem(call: Call) -> Outcome {
    let mut response = text(
        StatusCode::OK,
        "application/x-pem-file",
        call.plane.site.ca_pem.clone(),
    );
    let name = HeaderValue::from_static("attachment; filename=\"muster-ca.pem\"");
    response.headers_mut().insert(CONTENT_DISPOSITION, name);
    Ok(response)
}
