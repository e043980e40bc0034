//! Collectors: what a PBX says becomes envelopes in the log, each once, in order, with secrets left out.
//!
//! [`decode`] frames bytes and [`encode`] writes envelopes, both pure; [`import`] reads files. This crate knows the outer
//! forms of AMI, CEL and queue_log; it must not know what a call is, and nobody asks it for one.

pub mod decode;
pub mod encode;
pub mod import;
