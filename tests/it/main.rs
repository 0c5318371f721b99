//! Integration tests and laws, one binary, a file per capability.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test that can't go on fails"
)]

mod abuse;
mod accounts;
mod admin;
mod api_tokens;
mod approvals;
mod architecture;
mod arrivals;
mod as_files;
mod audit;
mod canary;
mod certificates;
mod clean_up;
mod command_line;
mod configs;
mod conformance;
mod disk;
mod doctor;
mod drift;
mod failure_cases;
mod fleet_pages;
mod fuzz_corpus;
mod gallery;
mod groups;
mod handed_out;
mod harness;
mod help;
mod http;
mod identity_matrix;
mod interrupted;
mod joining;
mod labelling;
mod laws;
mod layers;
mod login;
mod opamp_bytes;
mod opamp_examples;
mod opamp_schema;
mod own_word;
mod pages_of_intent;
mod pages_of_people;
mod people;
mod pki;
mod poison;
mod publish;
mod rendering;
mod revoking;
mod rollout_laws;
mod rollouts;
mod selectors;
mod sessions;
mod setup;
mod simulator;
mod store;
mod users;
mod validation;
mod verbs;
mod websocket;
