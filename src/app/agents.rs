//! Agents: what operators see of them and do to them.

mod acts;
mod configuration;
mod identity;
mod list;
mod origins;
mod standing;
mod suspend;
mod view;

pub(super) use acts::AT_ONCE;
pub(in crate::app) use acts::given_name;
pub use acts::{AgentAct, BulkResult};
pub use configuration::{AgentConfiguration, Said, Wanted};
pub use identity::{AgentIdentity, Rotation};
pub use list::{AgentPage, AgentQuery, AgentSort, Tally};
pub use origins::Origins;
pub use standing::OwnStanding;
pub use view::{AgentDetail, AgentSummary, ComponentsView, ConfigStanding, EffectiveView, TimelineView};
