//! `calltide check --running`: whether the process of this configuration answers and is ready, e.g. for a container's health.
//!
//! Asks `/readyz` at `[http] listen`, in a few seconds or not at all. Needs nothing but this program, since an image has
//! nothing else. What being ready means is each role's matter.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use crate::errors::{Exit, Failure, Result};
use crate::output;

/// For connecting and for each read: somebody waits, and will ask again.
const PATIENCE: Duration = Duration::from_secs(3);
/// More than the answer has.
const ANSWER_BYTES: u64 = 16 << 10;

/// Asks, and says so if it is ready.
pub(super) fn ask(listen: &str) -> Result<()> {
    let failed = |e: &dyn std::error::Error| {
        Failure::new(Exit::Failed, format!("nothing answers at {listen}"))
            .because(e)
            .hint("start it, or give the [http] listen that it was started with")
    };
    let address = listen.to_socket_addrs().map_err(|e| failed(&e))?.next();
    let address = reachable(address.ok_or_else(|| Failure::new(Exit::Usage, format!("{listen} is no address")))?);
    let answer = exchange(address).map_err(|e| failed(&e))?;
    match status_and_reason(&answer) {
        Some((200, _)) => output::data(b"ready\n"),
        Some((_, reason)) => Err(Failure::new(Exit::Failed, format!("not ready: {reason}"))),
        None => Err(Failure::new(Exit::Failed, format!("another program answers at {listen}"))),
    }
}

/// Where somebody who listens at any address is reached from the same machine.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn exchange(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// The status and the last line of an answer, which says why.
fn status_and_reason(answer: &str) -> Option<(u16, &str)> {
    let status = answer.strip_prefix("HTTP/1.1 ")?.split(' ').next()?.parse().ok()?;
    Some((status, answer.trim_end().lines().next_back().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::net::TcpListener;

    use super::*;

    fn asked(answer: &'static [u8]) -> Result<()> {
        let listener = TcpListener::bind("0.0.0.0:0").unwrap();
        let listen = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let read = stream.read(&mut request).unwrap();
            stream.write_all(answer).unwrap();
            String::from_utf8_lossy(&request[..read]).into_owned()
        });
        let told = ask(&listen);
        assert!(server.join().unwrap().starts_with("GET /readyz HTTP/1.1\r\nHost: localhost\r\n"));
        told
    }

    #[test]
    fn who_is_ready_is_told_from_who_is_not() {
        assert!(asked(b"HTTP/1.1 200 OK\r\n\r\nok\n").is_ok());
        let told = asked(b"HTTP/1.1 503 Service Unavailable\r\n\r\nnot at work yet\n").unwrap_err().to_string();
        assert!(told.contains("not ready: not at work yet"), "{told}");
        let told = asked(b"220 mail\r\n").unwrap_err().to_string();
        assert!(told.contains("another program"), "{told}");
    }

    #[test]
    fn nobody_there_is_an_error() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let failure = ask(&free).unwrap_err();
        assert_eq!(failure.exit, Exit::Failed);
        assert!(failure.to_string().contains("nothing answers"), "{failure}");
    }
}
