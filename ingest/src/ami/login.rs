//! The beginning of a connection: banner, login, and the first question for the PBX's time.
//!
//! Events may come as soon as the login is accepted, so every byte read here goes to the journal too.
//! Facts: Asterisk `main/manager.c`, functions `authenticate` and `action_login`.

use std::fmt::Write as _;

use bytes::{Bytes, BytesMut};
use calltide_schemas::Micros;
use md5::{Digest as _, Md5};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::connect::Duplex;
use super::{AmiConfig, Auth, ConnectError};
use crate::decode::ami::{FrameKind, Framer, Item};
use crate::decode::time::epoch;

/// The question for the PBX's time; its answer is a heartbeat.
pub(super) const PING: &[u8] = b"Action: Ping\r\nActionID: calltide-ping\r\n\r\n";

/// What the beginning told.
#[derive(Debug)]
pub(super) struct Greeting {
    /// The version in the banner.
    pub(super) version: String,
    /// The PBX's time, if it says it.
    pub(super) pbx_time: Option<Micros>,
    /// Everything that was read.
    pub(super) bytes: Bytes,
}

/// The answer to an action.
struct Answer {
    success: bool,
    message: String,
    challenge: String,
    timestamp: Option<Micros>,
}

struct Talk<'a> {
    config: &'a AmiConfig,
    wire: &'a mut dyn Duplex,
    framer: Framer,
    bytes: BytesMut,
    version: String,
}

pub(super) async fn login(config: &AmiConfig, wire: &mut dyn Duplex) -> Result<Greeting, ConnectError> {
    for (what, text) in [("username", &config.username), ("secret", &config.secret.0)] {
        if text.contains(['\r', '\n']) {
            return Err(ConnectError::LineBreak { pbx: config.pbx.clone(), what });
        }
    }
    let (framer, bytes, version) = (Framer::default(), BytesMut::new(), String::new());
    let mut talk = Talk { config, wire, framer, bytes, version };
    let proof = match config.auth {
        Auth::Plain => format!("Secret: {}", config.secret.0),
        Auth::Challenge => {
            let answer = talk.ask("Action: Challenge\r\nAuthType: MD5\r\n").await?;
            talk.must_succeed(&answer)?;
            let key = challenge_key(&answer.challenge, &config.secret.0);
            format!("AuthType: MD5\r\nKey: {key}")
        }
    };
    let answer = talk.ask(&format!("Action: Login\r\nUsername: {}\r\n{proof}\r\n", config.username)).await?;
    talk.must_succeed(&answer)?;
    // Events come from here on and are not said again, so whatever becomes of this question, they are kept.
    let patience = config.read_deadline / 4;
    let answer = timeout(patience, talk.ask("Action: Ping\r\n")).await;
    let pbx_time = answer.ok().and_then(Result::ok).and_then(|answer| answer.timestamp);
    Ok(Greeting { version: talk.version, pbx_time, bytes: talk.bytes.freeze() })
}

/// The proof of a secret: the MD5 of challenge and secret, in lower-case hexadecimal digits, as Asterisk compares it.
pub(crate) fn challenge_key(challenge: &str, secret: &str) -> String {
    let digest = Md5::new().chain_update(challenge).chain_update(secret).finalize();
    digest.iter().fold(String::with_capacity(32), |mut key, byte| {
        // Writing to a String can't fail.
        let _ = write!(key, "{byte:02x}");
        key
    })
}

impl Talk<'_> {
    async fn ask(&mut self, action: &str) -> Result<Answer, ConnectError> {
        let id = format!("calltide-{}", self.bytes.len());
        let action = format!("{action}ActionID: {id}\r\n\r\n");
        self.wire.write_all(action.as_bytes()).await.map_err(|source| self.broken(source))?;
        loop {
            if let Some(answer) = self.answer(&id)? {
                return Ok(answer);
            }
            let before = self.bytes.len();
            self.bytes.reserve(4096);
            let read = self.wire.read_buf(&mut self.bytes).await.map_err(|source| self.broken(source))?;
            if read == 0 {
                return Err(ConnectError::Closed { address: self.config.address() });
            }
            self.framer.push(&self.bytes[before..]);
            let begin = &self.bytes[..self.bytes.len().min(9)];
            if !b"Asterisk ".starts_with(begin) {
                let began = String::from_utf8_lossy(&self.bytes[..self.bytes.len().min(40)]).into_owned();
                return Err(ConnectError::NotAsterisk { address: self.config.address(), began });
            }
        }
    }

    fn answer(&mut self, id: &str) -> Result<Option<Answer>, ConnectError> {
        while let Some(item) = self.framer.next() {
            match item {
                Item::Banner { version } => self.version = String::from_utf8_lossy(version).into_owned(),
                Item::Frame(frame) if frame.kind == FrameKind::Response => {
                    let text = |name| frame.header(name).map(|v| String::from_utf8_lossy(v).into_owned());
                    // Some refusals come without the id.
                    if frame.header("ActionID").is_none_or(|known| known == id.as_bytes()) {
                        return Ok(Some(Answer {
                            success: frame.title() == b"Success",
                            message: text("Message").unwrap_or_default(),
                            challenge: text("Challenge").unwrap_or_default(),
                            timestamp: frame.header("Timestamp").and_then(epoch),
                        }));
                    }
                }
                Item::Frame(_) | Item::Garbage(_) => {}
            }
        }
        Ok(None)
    }

    fn must_succeed(&self, answer: &Answer) -> Result<(), ConnectError> {
        if answer.success {
            return Ok(());
        }
        Err(ConnectError::Refused {
            address: self.config.address(),
            username: self.config.username.clone(),
            message: answer.message.clone(),
        })
    }

    fn broken(&self, source: std::io::Error) -> ConnectError {
        ConnectError::Unreachable { address: self.config.address(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_the_md5_of_challenge_and_secret() {
        // md5("123456" + "abc") by coreutils: printf 123456abc | md5sum
        assert_eq!(challenge_key("123456", "abc"), "df10ef8509dc176d733d59549e7dbfaf");
    }
}
