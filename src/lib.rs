//! Muster: the fleet appliance for telemetry agents.
//!
//! One binary that manages agents over OpAMP and carries its own store, certificate authority, pages and API.
//! The modules, in the order in which they may know each other:
//!
//! - **rules** (pure: no clock, no I/O): [`fleet`], the wire [`opamp`], who may do what [`auth`];
//! - **resources**: [`pki`], [`store`];
//! - **use cases**: [`app`], the one door to memory and store;
//! - **faces**: [`http`] (what both planes share), [`agent_plane`], [`admin_plane`], [`cli`];
//! - **clients**: [`simulator`], many agents for rehearsals and measurements;
//! - **composition**: [`settings`], [`observability`], [`server`].
//!
//! `tests/it/architecture.rs` holds the table of who may import whom.

pub mod admin_plane;
pub mod agent_plane;
pub mod app;
pub mod auth;
pub mod cli;
pub mod fleet;
pub mod http;
pub mod observability;
pub mod opamp;
pub mod pki;
pub mod server;
pub mod settings;
pub mod simulator;
pub mod store;

/// Connections that come and go leave holes: with the system's allocator a quarter more memory stays taken for each.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
