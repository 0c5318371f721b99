//! Simulated agents: many real OpAMP clients in one process, against a server over TLS.
//!
//! For rehearsals ("what happens to my fleet when this configuration fails on every twentieth host?") and for
//! measurements. An agent is a state machine without I/O ([`Agent`]: what happened in, what it does out); [`life`](self)
//! drives it over a WebSocket or by polling; a [`Simulation`] holds all of them and the [`Figures`] that they write.
//!
//! This is a client: it uses `fleet`'s values, the client's side of `opamp`, `http` and `pki`, tasks and clock of `app`,
//! and nothing of a server's state.

mod agent;
mod behaviour;
mod figures;
mod latencies;
mod life;
mod link;
mod memory;
mod polling;
mod profile;
mod simulation;
mod socket;
mod target;

pub use agent::{Act, Agent, Event, Happening, Heartbeats, Kind};
pub use behaviour::{Behaviour, Mix, MixError, Temper};
pub use figures::{Counts, Figures};
pub use latencies::Latency;
pub use link::LinkError;
pub use memory::{KeptAgent, Memory, MemoryError};
pub use profile::{Profile, Running};
pub use simulation::{Plan, Simulation, SimulationError, TransportChoice};
pub use target::{Sources, Target, TargetError};
