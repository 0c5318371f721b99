//! What OpAMP asks of a server, duty by duty, from outside: the number in a test's name is the duty's.

pub(crate) use s03_http::gzip;
pub(crate) use table::tests;

mod s01_transports;
mod s02_websocket;
mod s03_http;
mod s04_exchange;
mod s05_uid;
mod s06_capabilities;
mod s07_heartbeats;
mod s08_disconnect;
mod s09_offers;
mod s09_remote_config;
mod s10_effective_config;
mod s11_health;
mod s13_connection;
mod s13_rotation;
mod s14_custom;
mod s15_components;
mod s16_commands;
mod s17_errors;
mod s18_security;
mod s19_interop;
mod table;
mod traps;
mod whole_server;
