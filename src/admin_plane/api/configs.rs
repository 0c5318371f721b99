//! Configs and their revisions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Answer, Given, Nothing};
use crate::admin_plane::call::Call;
use crate::app::configs::{self, ConfigEdit, NewConfig, NewRevision, StarterDetail};
use crate::app::intentions::{ConfigDetail, ConfigSummary, RevisionContent, Saved};
use crate::fleet::config::lint::Judged;
use crate::fleet::config::{Content, Diff, Problem, StarterSummary};

/// All configs.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::admin_plane) struct Configs {
    /// In the order of their names.
    configs: Vec<ConfigSummary>,
}

pub(in crate::admin_plane) async fn list(call: Call, _: Nothing, _: Nothing) -> Given<Configs> {
    Ok(Answer::ok(Configs {
        configs: call.app().intentions.configs(&call.actor)?,
    }))
}

pub(in crate::admin_plane) async fn one(call: Call, _: Nothing, _: Nothing) -> Given<ConfigDetail> {
    let (intentions, name) = (&call.app().intentions, call.param("name"));
    // The tag first: what was changed in between is then changed under another tag.
    let tag = intentions.config_tag(&call.actor, name)?;
    Ok(Answer::ok(intentions.config(&call.actor, name)?).at_revision(tag))
}

pub(in crate::admin_plane) async fn create(call: Call, _: Nothing, new: NewConfig) -> Given<Saved> {
    let saved = call.app().intentions.create_config(&call.actor, new).await?;
    let location = format!("/api/v1/configs/{}", saved.revision.config);
    let tag = tag_of(&call, saved.revision.config.as_str());
    Ok(Answer::created(saved, location).at_revision(tag))
}

pub(in crate::admin_plane) async fn save(call: Call, _: Nothing, new: NewRevision) -> Given<Saved> {
    let name = call.param("name");
    let saved = call
        .app()
        .intentions
        .save_revision(&call.actor, name, new)
        .await?;
    let number = saved.revision.number;
    let location = format!("/api/v1/configs/{name}/revisions/{number}");
    let answer = if saved.created {
        Answer::created(saved, location)
    } else {
        Answer::ok(saved)
    };
    Ok(answer.at_revision(tag_of(&call, name)))
}

/// The entity tag of a config that was changed just now; 0, which none has, when it is gone again.
fn tag_of(call: &Call, name: &str) -> u64 {
    let tag = call.app().intentions.config_tag(&call.actor, name);
    tag.unwrap_or_default()
}

pub(in crate::admin_plane) async fn edit(call: Call, _: Nothing, edit: ConfigEdit) -> Given<ConfigDetail> {
    let (intentions, name) = (&call.app().intentions, call.param("name"));
    let expected = call.if_match()?;
    intentions.edit_config(&call.actor, name, edit, expected).await?;
    let tag = intentions.config_tag(&call.actor, name)?;
    Ok(Answer::ok(intentions.config(&call.actor, name)?).at_revision(tag))
}

pub(in crate::admin_plane) async fn delete(call: Call, _: Nothing, _: Nothing) -> Given<()> {
    let app = call.app();
    app.intentions
        .delete_config(&call.actor, call.param("name"), call.if_match()?, &app.fleet())
        .await?;
    Ok(Answer::done())
}

pub(in crate::admin_plane) async fn revision(call: Call, _: Nothing, _: Nothing) -> Given<RevisionContent> {
    let number: u64 = call.parse("number")?;
    let found = call
        .app()
        .intentions
        .revision(&call.actor, call.param("name"), number)?;
    Ok(Answer::ok(found))
}

/// Two revisions.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::admin_plane) struct FromTo {
    /// The number of the one before.
    from: u64,
    /// The number of the one after.
    to: u64,
}

pub(in crate::admin_plane) async fn diff(call: Call, query: FromTo, _: Nothing) -> Given<Diff> {
    let found = call
        .app()
        .intentions
        .diff(&call.actor, call.param("name"), query.from, query.to)?;
    Ok(Answer::ok(found))
}

/// What a check finds.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::admin_plane) struct Findings {
    /// By line and column.
    problems: Vec<Problem>,
}

/// As what a content is checked.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::admin_plane) struct CheckedAs {
    /// `layer`, as saving does, when it isn't given: what other layers have to bring is then only told. `whole`, as
    /// publishing does: then that is an error.
    #[serde(rename = "as")]
    judged: Judged,
}

pub(in crate::admin_plane) async fn check(call: Call, query: CheckedAs, content: Content) -> Given<Findings> {
    let intentions = &call.app().intentions;
    Ok(Answer::ok(Findings {
        problems: intentions.check(&call.actor, &content, query.judged).await?,
    }))
}

/// Configs to begin with.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::admin_plane) struct Starters {
    /// The one that most people need first.
    starters: Vec<StarterSummary>,
}

pub(in crate::admin_plane) async fn starters(call: Call, _: Nothing, _: Nothing) -> Given<Starters> {
    Ok(Answer::ok(Starters {
        starters: configs::starters(&call.actor)?,
    }))
}

pub(in crate::admin_plane) async fn starter(call: Call, _: Nothing, _: Nothing) -> Given<StarterDetail> {
    Ok(Answer::ok(configs::starter(&call.actor, call.param("name"))?))
}
