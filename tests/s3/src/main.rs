//! An S3 server for tests: objects in a folder, signatures checked, and faults when it is told.
//!
//! `s3-server FOLDER KEY SECRET` prints its address. Each line on its stdin is a [`Mood`], which is printed again when it is
//! so. It ends with its stdin. s3s-fs looks and writes in two steps; here nobody comes between them, so that a conditional
//! put is what S3 says it is: atomic.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::http::{Request, Response};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, HttpError};
use s3s_fs::FileSystem;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{RwLock, watch};

/// What it does with requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    /// Answers them.
    Serve,
    /// Has no open port.
    Refuse,
    /// Says 503 SlowDown.
    Busy,
    /// Says 500 InternalError.
    Fail,
    /// Takes them, and never answers.
    Hang,
    /// Does the next commit of a Delta table and says 500; after that it answers.
    Forget,
}

const MOODS: [(&str, Mood); 6] = [
    ("serve", Mood::Serve),
    ("refuse", Mood::Refuse),
    ("busy", Mood::Busy),
    ("fail", Mood::Fail),
    ("hang", Mood::Hang),
    ("forget", Mood::Forget),
];

struct Server {
    objects: S3Service,
    /// Held by those who write, each alone.
    order: RwLock<()>,
    mood: Mutex<Mood>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, folder, key, secret] = arguments.as_slice() else { return Err("FOLDER KEY SECRET".into()) };
    let files = FileSystem::new(folder).map_err(|e| format!("{folder}: {e:?}"))?;
    let mut service = S3ServiceBuilder::new(files);
    service.set_auth(SimpleAuth::from_single(key.as_str(), secret.as_str()));
    let (order, mood) = (RwLock::new(()), Mutex::new(Mood::Serve));
    let server = Arc::new(Server { objects: service.build(), order, mood });
    let mut listener = TcpListener::bind((own_address(), 0)).await?;
    let address = listener.local_addr()?;
    println!("{address}");
    let (closed, _) = watch::channel(());
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                drop(tokio::spawn(serve(Arc::clone(&server), accepted?.0, closed.subscribe())));
            }
            line = lines.next_line() => {
                let Some(line) = line? else { return Ok(()) };
                let known = MOODS.iter().find(|(name, _)| *name == line);
                let (_, mood) = known.ok_or_else(|| format!("no mood: {line}"))?;
                *server.mood.lock().unwrap_or_else(PoisonError::into_inner) = *mood;
                if *mood == Mood::Refuse {
                    drop(listener);
                    closed.send_replace(());
                    println!("{line}");
                    listener = opened_again(&mut lines, address, &server).await?;
                } else {
                    println!("{line}");
                }
            }
        }
    }
}

/// Waits until it is told to serve again.
async fn opened_again(
    lines: &mut tokio::io::Lines<BufReader<tokio::io::Stdin>>,
    address: SocketAddr,
    server: &Server,
) -> std::io::Result<TcpListener> {
    while let Some(line) = lines.next_line().await? {
        if line == "serve" {
            *server.mood.lock().unwrap_or_else(PoisonError::into_inner) = Mood::Serve;
            let listener = TcpListener::bind(address).await?;
            println!("{line}");
            return Ok(listener);
        }
    }
    std::process::exit(0)
}

/// An address of this machine that no other process uses, so that its port is still free after it was closed.
fn own_address() -> std::net::Ipv4Addr {
    let [_, a, b, c] = std::process::id().to_be_bytes();
    std::net::Ipv4Addr::new(127, a.max(1), b, c.clamp(1, 254))
}

/// One connection, until either side ends it or the port is closed.
async fn serve(server: Arc<Server>, stream: TcpStream, mut closed: watch::Receiver<()>) {
    let service = service_fn(move |request| answer(Arc::clone(&server), request));
    let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        // Whoever asked sees what became of it.
        _ = connection => {}
        _ = closed.changed() => {}
    }
}

async fn answer(server: Arc<Server>, request: Request<Incoming>) -> Result<Response<Body>, HttpError> {
    let mood = *server.mood.lock().unwrap_or_else(PoisonError::into_inner);
    let reads = matches!(request.method().as_str(), "GET" | "HEAD");
    let commits = !reads && request.uri().path().contains("/_delta_log/") && request.uri().path().ends_with(".json");
    match mood {
        Mood::Busy => return Ok(refusal(503, "SlowDown")),
        Mood::Fail | Mood::Refuse => return Ok(refusal(500, "InternalError")),
        Mood::Hang => {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            return Ok(refusal(500, "InternalError"));
        }
        Mood::Serve | Mood::Forget => {}
    }
    // Whole, since a connection that is answered before its request was read cannot be used again.
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return Ok(refusal(400, "IncompleteBody")) };
    let request = Request::from_parts(head, Body::from(body.to_bytes()));
    if reads {
        let _shared = server.order.read().await;
        return server.objects.call(request).await;
    }
    let _alone = server.order.write().await;
    let done = server.objects.call(request).await;
    if mood == Mood::Forget && commits {
        *server.mood.lock().unwrap_or_else(PoisonError::into_inner) = Mood::Serve;
        return Ok(refusal(500, "InternalError"));
    }
    done
}

fn refusal(status: u16, code: &str) -> Response<Body> {
    let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code></Error>");
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = hyper::http::StatusCode::from_u16(status).unwrap_or_default();
    response
}
