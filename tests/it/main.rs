//! Integration tests and laws, one binary, a file per capability.
