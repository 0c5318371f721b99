//! Routes of pages and their forms.

use super::Row;
use crate::admin_plane::pages::{account, audit, configs, enrolment, groups, login, publish, setup, system};

pub(super) fn rows() -> Vec<Row> {
    [
        setup::handle::rows(),
        login::handle::rows(),
        account::handle::rows(),
        groups::handle::rows(),
        configs::handle::rows(),
        publish::handle::rows(),
        enrolment::handle::rows(),
        audit::handle::rows(),
        system::handle::rows(),
    ]
    .concat()
}
