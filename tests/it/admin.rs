//! The admin plane over real sockets, with the real use cases on a store in memory.

mod audited;
mod authorization;
mod events;
mod fleet;
mod guards;
mod openapi;
mod publishing;
mod rows;
pub(crate) mod site;
mod uploads;
mod walk;
