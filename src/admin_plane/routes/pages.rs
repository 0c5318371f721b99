//! Routes of pages and their forms.

use super::Row;
use crate::admin_plane::pages::{
    account, add_agents, agent, agents, audit, configs, enrolment, groups, help, login, overview, publish,
    rollouts, secrets, setup, system, users,
};

pub(super) fn rows() -> Vec<Row> {
    [
        overview::handle::rows(),
        agents::handle::rows(),
        agent::handle::rows(),
        add_agents::handle::rows(),
        setup::handle::rows(),
        login::handle::rows(),
        account::handle::rows(),
        groups::handle::rows(),
        configs::handle::rows(),
        secrets::handle::rows(),
        publish::handle::rows(),
        rollouts::handle::rows(),
        enrolment::handle::rows(),
        users::handle::rows(),
        audit::handle::rows(),
        system::handle::rows(),
        help::handle::rows(),
    ]
    .concat()
}
