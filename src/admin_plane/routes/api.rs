//! Routes of the API. Acts name the least permission that one of their kind takes; the use case asks for its own.

use http::Method;

use super::{Access, Face, Row};
use crate::admin_plane::api::{
    account, agents, audit, configs, enrolment, groups, rollouts, secrets, system,
};
use crate::admin_plane::openapi;
use crate::auth::permission::Permission::{
    Approve, EditConfigs, EditGroups, EnrolAgents, ManageAccounts, ManageSecrets, ManageSystem,
    OperateAgents, OwnAccount, Publish, RevokeAgents, ViewAudit, ViewEffectiveConfig, ViewFleet,
};

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PATCH: Method = Method::PATCH;
const DELETE: Method = Method::DELETE;

pub(super) fn rows() -> Vec<Row> {
    let mut rows = vec![
        Row::known(
            GET,
            "/api/v1/openapi.json",
            Face::Api,
            Access::SignedIn,
            openapi::document,
        ),
        Row::api(
            GET,
            "/api/v1/overview",
            ViewFleet,
            "How all stands",
            system::overview,
        ),
        Row::api(
            GET,
            "/api/v1/system",
            ViewFleet,
            "What this server is",
            system::system,
        ),
        Row::api(
            GET,
            "/api/v1/system/store",
            ManageSystem,
            "The room that the store has, its tables, and records that can't be read",
            system::store,
        )
        .heavy(),
        Row::api(
            POST,
            "/api/v1/system/store/compact",
            ManageSystem,
            "Copy the store into a file that takes no more than it needs; changes wait meanwhile",
            system::compact,
        )
        .heavy(),
        Row::api(
            POST,
            "/api/v1/system/release",
            Publish,
            "Offer again, after everything was held",
            system::release,
        ),
        Row::api(
            POST,
            "/api/v1/setup-token",
            Access::Local,
            "Make a link for the first account",
            system::setup_token,
        ),
        Row::api(
            GET,
            "/api/v1/audit",
            ViewAudit,
            "The audit log, a page at a time",
            audit::page,
        ),
        Row::api(
            GET,
            "/api/v1/audit/verify",
            ViewAudit,
            "Verify the chain of the audit log",
            audit::verify,
        )
        .heavy(),
    ];
    rows.extend(of_agents());
    rows.extend(of_groups());
    rows.extend(of_configs());
    rows.extend(of_rollouts());
    rows.extend(of_secrets());
    rows.extend(of_enrolment());
    rows.extend(of_own_account());
    rows.extend(of_accounts());
    rows
}

fn of_rollouts() -> [Row; 4] {
    [
        Row::api(
            GET,
            "/api/v1/rollouts",
            ViewFleet,
            "List rollouts, newest first",
            rollouts::list,
        ),
        Row::api(
            GET,
            "/api/v1/rollouts/{id}",
            ViewFleet,
            "One rollout with its stages, gates and agents",
            rollouts::one,
        ),
        Row::api(
            POST,
            "/api/v1/rollouts/{id}/acts",
            Publish,
            "Pause, resume, promote, roll back or abort a rollout, or retry agents",
            rollouts::act,
        ),
        Row::api(
            POST,
            "/api/v1/rollouts/{id}/decisions",
            Approve,
            "Approve, reject or withdraw what waits for approval",
            rollouts::decide,
        ),
    ]
}

fn of_agents() -> [Row; 12] {
    [
        Row::api(GET, "/api/v1/agents", ViewFleet, "List agents", agents::list),
        Row::api(
            POST,
            "/api/v1/agents/acts",
            OperateAgents,
            "Act on many agents",
            agents::act_on_many,
        )
        .with_content(),
        Row::api(
            GET,
            "/api/v1/agents/{id}",
            ViewFleet,
            "One agent, whole",
            agents::one,
        ),
        Row::api(
            POST,
            "/api/v1/agents/{id}/acts",
            OperateAgents,
            "Act on an agent",
            agents::act,
        ),
        Row::api(
            GET,
            "/api/v1/agents/{id}/messages",
            ViewEffectiveConfig,
            "The custom messages that wait for an agent, and the last that it sent",
            agents::messages,
        ),
        Row::api(
            GET,
            "/api/v1/agents/{id}/timeline",
            ViewFleet,
            "What happened to an agent",
            agents::timeline,
        ),
        Row::api(
            GET,
            "/api/v1/agents/{id}/configuration",
            ViewFleet,
            "What an agent is to run, what it says about that, and what it runs",
            agents::configuration,
        ),
        Row::api(
            GET,
            "/api/v1/agents/{id}/effective-config",
            ViewEffectiveConfig,
            "What an agent runs",
            agents::effective,
        ),
        Row::api(
            GET,
            "/api/v1/agents/{id}/identity",
            ViewFleet,
            "How an agent got in: its credentials, and where the exchange of one stands",
            agents::identity,
        ),
        Row::api(
            GET,
            "/api/v1/agents/{id}/components",
            ViewFleet,
            "What an agent is built from",
            agents::components,
        ),
        Row::api(
            POST,
            "/api/v1/agents/{id}/publish",
            Publish,
            "Give one agent a configuration of its own",
            agents::publish,
        ),
        Row::api(
            POST,
            "/api/v1/agents/{id}/adopt",
            EditConfigs,
            "Keep what an agent runs as a config",
            agents::adopt,
        )
        .repeatable(),
    ]
}

fn of_groups() -> [Row; 12] {
    [
        Row::api(GET, "/api/v1/groups", ViewFleet, "List groups", groups::list),
        Row::api(POST, "/api/v1/groups", EditGroups, "Make a group", groups::create).repeatable(),
        Row::api(
            GET,
            "/api/v1/groups/{name}",
            ViewFleet,
            "One group with what was published to it",
            groups::one,
        ),
        Row::api(
            PATCH,
            "/api/v1/groups/{name}",
            EditGroups,
            "Change a group",
            groups::edit,
        )
        .versioned(),
        Row::api(
            DELETE,
            "/api/v1/groups/{name}",
            EditGroups,
            "Delete a group",
            groups::delete,
        )
        .versioned(),
        Row::api(
            GET,
            "/api/v1/groups/{name}/impact",
            ViewFleet,
            "What a publication would do",
            groups::impact,
        )
        .heavy(),
        Row::api(
            GET,
            "/api/v1/groups/{name}/moves",
            ViewFleet,
            "The agents of a group that have something else than it has, since they came into it",
            groups::moves,
        ),
        Row::api(
            GET,
            "/api/v1/groups/{name}/rendered",
            ViewFleet,
            "What layers come to",
            groups::rendered,
        )
        .heavy(),
        Row::api(
            POST,
            "/api/v1/groups/{name}/publish",
            Publish,
            "Publish a revision to a group",
            groups::publish,
        )
        .versioned(),
        Row::api(
            POST,
            "/api/v1/groups/{name}/withdraw",
            Publish,
            "Withdraw what is published",
            groups::withdraw,
        )
        .versioned(),
        Row::api(
            POST,
            "/api/v1/groups/{name}/hold",
            OperateAgents,
            "Hold what a group publishes",
            groups::hold,
        )
        .versioned(),
        Row::api(
            POST,
            "/api/v1/groups/{name}/release",
            Publish,
            "Offer again what a group publishes",
            groups::release,
        )
        .versioned(),
    ]
}

fn of_configs() -> [Row; 11] {
    [
        Row::api(GET, "/api/v1/configs", ViewFleet, "List configs", configs::list),
        Row::api(
            POST,
            "/api/v1/configs",
            EditConfigs,
            "Make a config",
            configs::create,
        )
        .repeatable()
        .with_content(),
        Row::api(
            GET,
            "/api/v1/configs/{name}",
            ViewFleet,
            "One config with its newest content",
            configs::one,
        ),
        Row::api(
            PATCH,
            "/api/v1/configs/{name}",
            EditConfigs,
            "Change what is said of a config",
            configs::edit,
        )
        .versioned(),
        Row::api(
            DELETE,
            "/api/v1/configs/{name}",
            EditConfigs,
            "Delete a config",
            configs::delete,
        )
        .versioned(),
        Row::api(
            POST,
            "/api/v1/configs/{name}/revisions",
            EditConfigs,
            "Save a revision",
            configs::save,
        )
        .repeatable()
        .with_content(),
        Row::api(
            GET,
            "/api/v1/configs/{name}/revisions/{number}",
            ViewFleet,
            "One revision",
            configs::revision,
        ),
        Row::api(
            GET,
            "/api/v1/configs/{name}/diff",
            ViewFleet,
            "What differs between revisions",
            configs::diff,
        ),
        // Beside the configs: any word can be a config's name.
        Row::api(
            POST,
            "/api/v1/config-check",
            EditConfigs,
            "Check a content",
            configs::check,
        )
        .with_content(),
        Row::api(
            GET,
            "/api/v1/starters",
            ViewFleet,
            "List configs to begin with",
            configs::starters,
        ),
        Row::api(
            GET,
            "/api/v1/starters/{name}",
            ViewFleet,
            "One config to begin with",
            configs::starter,
        ),
    ]
}

fn of_secrets() -> [Row; 3] {
    [
        Row::api(GET, "/api/v1/secrets", ViewFleet, "List secrets", secrets::list),
        Row::api(
            POST,
            "/api/v1/secrets/{name}",
            ManageSecrets,
            "Set a secret",
            secrets::set,
        ),
        Row::api(
            DELETE,
            "/api/v1/secrets/{name}",
            ManageSecrets,
            "Delete a secret",
            secrets::delete,
        ),
    ]
}

fn of_enrolment() -> [Row; 7] {
    [
        Row::api(
            GET,
            "/api/v1/enrolment-tokens",
            EnrolAgents,
            "List enrolment tokens",
            enrolment::tokens,
        ),
        Row::api(
            POST,
            "/api/v1/enrolment-tokens",
            EnrolAgents,
            "Make an enrolment token",
            enrolment::create,
        )
        .repeatable(),
        Row::api(
            DELETE,
            "/api/v1/enrolment-tokens/{id}",
            EnrolAgents,
            "Withdraw an enrolment token",
            enrolment::withdraw,
        ),
        Row::api(
            GET,
            "/api/v1/waiting-agents",
            ViewFleet,
            "List agents that wait for a decision, and whom they look like",
            enrolment::waiting,
        ),
        Row::api(
            GET,
            "/api/v1/credentials",
            EnrolAgents,
            "List agents' credentials",
            enrolment::credentials,
        ),
        Row::api(
            POST,
            "/api/v1/credentials/{id}/revoke",
            RevokeAgents,
            "Revoke a credential for good",
            enrolment::revoke,
        ),
        Row::api(
            POST,
            "/api/v1/credentials/{id}/release",
            RevokeAgents,
            "Accept a quarantined credential",
            enrolment::release,
        ),
    ]
}

fn of_own_account() -> [Row; 9] {
    [
        Row::api(GET, "/api/v1/account", OwnAccount, "Who asks", account::me),
        Row::api(
            POST,
            "/api/v1/account/password",
            OwnAccount,
            "Change one's own password",
            account::change_password,
        ),
        Row::api(
            POST,
            "/api/v1/account/prove",
            OwnAccount,
            "Give one's password once more, as dangerous acts ask",
            account::prove,
        ),
        Row::api(
            GET,
            "/api/v1/account/sessions",
            OwnAccount,
            "List one's own sessions",
            account::sessions,
        ),
        Row::api(
            DELETE,
            "/api/v1/account/sessions",
            OwnAccount,
            "End all other sessions",
            account::end_others,
        ),
        Row::api(
            DELETE,
            "/api/v1/account/sessions/{id}",
            OwnAccount,
            "End a session",
            account::end_session,
        ),
        Row::api(
            GET,
            "/api/v1/account/tokens",
            OwnAccount,
            "List one's own API tokens",
            account::tokens,
        ),
        Row::api(
            POST,
            "/api/v1/account/tokens",
            OwnAccount,
            "Make an API token",
            account::create_token,
        )
        .repeatable(),
        Row::api(
            DELETE,
            "/api/v1/account/tokens/{name}",
            OwnAccount,
            "Revoke an API token",
            account::revoke_token,
        ),
    ]
}

fn of_accounts() -> [Row; 9] {
    [
        Row::api(
            GET,
            "/api/v1/accounts",
            ManageAccounts,
            "List accounts",
            account::list,
        ),
        Row::api(
            POST,
            "/api/v1/accounts",
            ManageAccounts,
            "Make an account",
            account::create,
        )
        .repeatable(),
        Row::api(
            GET,
            "/api/v1/accounts/{name}",
            ManageAccounts,
            "One account",
            account::one,
        ),
        Row::api(
            DELETE,
            "/api/v1/accounts/{name}",
            ManageAccounts,
            "Delete an account",
            account::delete,
        ),
        Row::api(
            POST,
            "/api/v1/accounts/{name}/acts",
            ManageAccounts,
            "Change the role of an account, disable, enable or unlock it, or end its sessions",
            account::act,
        ),
        Row::api(
            POST,
            "/api/v1/accounts/{name}/password",
            ManageAccounts,
            "Set a password",
            account::reset_password,
        ),
        Row::api(
            GET,
            "/api/v1/accounts/{name}/sessions",
            ManageAccounts,
            "List the sessions of an account",
            account::sessions_of,
        ),
        Row::api(
            GET,
            "/api/v1/accounts/{name}/tokens",
            ManageAccounts,
            "List the API tokens of an account",
            account::tokens_of,
        ),
        Row::api(
            DELETE,
            "/api/v1/accounts/{name}/tokens/{token}",
            ManageAccounts,
            "Revoke an API token of an account",
            account::revoke_token_of,
        ),
    ]
}
