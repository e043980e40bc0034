//! Collectors: what a PBX says becomes envelopes in the log, each once, in order, with secrets left out.
//!
//! [`decode`] frames bytes and [`encode`] writes envelopes, both pure; [`ami`] collects from a living PBX, [`import`] from
//! files, and [`playback`] plays a recorded PBX. This crate knows the outer forms of AMI, CEL and queue_log; it must not
//! know what a call is.

pub mod ami;
pub mod decode;
pub mod encode;
pub mod import;
pub mod playback;
