//! Collectors: what a PBX says becomes envelopes in the log, each once, in order, with secrets left out.
//!
//! [`decode`] frames bytes and [`encode`] writes envelopes, both pure; [`ami`] collects from a living PBX, [`follow`] from
//! the files that it writes, [`import`] from those it wrote, [`forward`] takes what was collected to the centre, and [`playback`] plays a recorded PBX. This crate knows the outer forms of AMI, CEL and queue_log; it must not
//! know what a call is.

pub mod ami;
mod backoff;
pub mod decode;
pub mod encode;
pub mod follow;
pub mod forward;
pub mod import;
mod logfile;
pub mod playback;
