//! Takes connections, and lets none of them take part for ever: a head that does not come, a reader that does not read and
//! connections beyond a number end or wait.
//!
//! HTTP/1.1; what is before it on the way may speak more. It must not know what is asked.

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Sleep, sleep};
use tower::ServiceExt as _;

use super::ServeError;

/// What connections may take.
#[derive(Debug, Clone, Copy)]
pub struct ServeLimits {
    /// Most connections at once; more wait in the system's queue.
    pub connections_max: usize,
    /// How long the head of a request may take, or a connection do nothing.
    pub head_patience: Duration,
    /// How long a reader may take for the next mebibyte of an answer that waits for it.
    pub send_patience: Duration,
}

impl Default for ServeLimits {
    /// 512 connections, 15 s, 30 s.
    fn default() -> Self {
        let (head_patience, send_patience) = (Duration::from_secs(15), Duration::from_secs(30));
        Self { connections_max: 512, head_patience, send_patience }
    }
}

/// A reader that takes less than this in the time that it has is as good as one that takes nothing: an answer holds memory.
/// With the usual 30 s that is 35 kB/s.
const SENT_AT_LEAST: usize = 1 << 20;

/// Between tries when connections cannot be taken, e.g. since all file descriptors are in use.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `shutdown` is ready and the requests in hand are answered.
///
/// # Errors
/// When the listener's address is not a loopback one, or the socket fails.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    serve_within(ServeLimits::default(), listener, router, shutdown).await
}

/// The same within other limits.
///
/// # Errors
/// As for [`serve`].
pub async fn serve_within(
    limits: ServeLimits,
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() {
        return Err(ServeError::NotLoopback { address });
    }
    take(limits, listener, router, shutdown).await;
    Ok(())
}

/// Serves whoever comes: of [`health_router`](super::health_router), which tells nothing of calls.
pub async fn serve_anybody(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()> + Send + 'static) {
    take(ServeLimits::default(), listener, router, shutdown).await;
}

async fn take(
    limits: ServeLimits,
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) {
    let places = Arc::new(Semaphore::new(limits.connections_max));
    let (stop, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            biased;
            () = shutdown.as_mut() => break,
            // Those that ended are forgotten.
            Some(_) = connections.join_next() => continue,
            next = next => next,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (router, stopping) = (router.clone(), stopping.clone());
                connections.spawn(async move {
                    let _place = place;
                    talk((stream, peer), router, limits, stopping).await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    stop.send_replace(true);
    while connections.join_next().await.is_some() {}
}

async fn talk(
    (stream, peer): (TcpStream, SocketAddr),
    router: Router,
    limits: ServeLimits,
    mut stopping: watch::Receiver<bool>,
) {
    let service = router.map_request(move |request: hyper::Request<hyper::body::Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        request
    });
    let mut protocol = http1::Builder::new();
    protocol.timer(TokioTimer::new()).header_read_timeout(limits.head_patience);
    let stream = TokioIo::new(Patient { stream, patience: limits.send_patience, stalled: None, sent: 0 });
    let mut connection = pin!(protocol.serve_connection(stream, TowerToHyperService::new(service)));
    let told = async {
        let _ = stopping.wait_for(|stopping| *stopping).await;
    };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = told => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// A stream whose reader may take a break, but not a long one, nor many short ones.
struct Patient {
    stream: TcpStream,
    patience: Duration,
    /// Runs since the reader was first waited for.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Bytes that it has taken since then.
    sent: usize,
}

impl Patient {
    /// What came of an attempt to send: when too little was taken for too long, an error.
    fn sent(&mut self, cx: &mut Context<'_>, sent: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = sent {
            self.sent += bytes;
            if self.sent >= SENT_AT_LEAST {
                self.stalled = None;
            }
        }
        if sent.is_ready() { sent } else { self.wait(cx).map(Err) }
    }

    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| {
            self.sent = 0;
            Box::pin(sleep(patience))
        });
        stalled.as_mut().poll(cx).map(|()| io::ErrorKind::TimedOut.into())
    }
}

impl AsyncRead for Patient {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        // Another request: its answer has a time of its own. While one is being sent, no more than a buffer is read.
        if buf.filled().len() > before {
            self.stalled = None;
        }
        read
    }
}

impl AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.sent(cx, sent)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.sent(cx, sent)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A socket has nothing of its own to send.
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
