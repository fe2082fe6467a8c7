//! One exchange over `wasi:http`, and what is known where it failed.

use kraube_core::http::{Request, Response, SendError, SendErrorKind};
use wasip2::clocks::monotonic_clock;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
};
use wasip2::io::poll::{Pollable, poll};
use wasip2::io::streams::{OutputStream, StreamError};

const SECOND: u64 = 1_000_000_000;
/// Name resolution, connection and TLS handshake take no longer.
const CONNECT: u64 = 5 * SECOND;
/// A whole exchange takes no longer. It bounds how long a lock is held.
const TOTAL: u64 = 15 * SECOND;
/// How much of an answer is read at once.
const CHUNK: u64 = 64 * 1024;

/// Sends the request, once, and waits for the answer.
pub(super) fn send(request: &Request) -> Result<Response, SendError> {
    let end = Deadline(monotonic_clock::subscribe_duration(TOTAL));
    let outgoing = outgoing(request).map_err(|()| not_sent("the request cannot be made"))?;
    let body = outgoing.body().map_err(|()| not_sent("the request cannot be made"))?;
    let options = RequestOptions::new();
    // Hosts need not know these; the deadline holds in any case.
    let _ = options.set_connect_timeout(Some(CONNECT));
    let _ = options.set_first_byte_timeout(Some(TOTAL));
    let _ = options.set_between_bytes_timeout(Some(TOTAL));
    let answer = outgoing_handler::handle(outgoing, Some(options)).map_err(|error| failed(&error))?;
    write(body, request.body.expose().as_bytes(), &end)?;
    end.wait(&answer.subscribe())?;
    match answer.get() {
        Some(Ok(Ok(response))) => read(&response, &end),
        Some(Ok(Err(error))) => Err(failed(&error)),
        Some(Err(())) | None => Err(maybe_sent("the host gave no answer")),
    }
}

/// The end of the whole exchange.
struct Deadline(Pollable);

impl Deadline {
    fn wait(&self, ready: &Pollable) -> Result<(), SendError> {
        if poll(&[ready, &self.0]).contains(&0) {
            return Ok(());
        }
        let detail = format!("no complete answer within {} s", TOTAL / SECOND);
        Err(SendError { kind: SendErrorKind::TimedOut, detail })
    }
}

fn outgoing(request: &Request) -> Result<OutgoingRequest, ()> {
    let header = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_owned());
    let headers = Fields::from_list(&[
        header("accept", Request::ACCEPT),
        header("content-type", request.content_type),
        header("content-length", &request.body.expose().len().to_string()),
        header("user-agent", concat!("kraube/", env!("CARGO_PKG_VERSION"))),
    ])
    .map_err(drop)?;
    let outgoing = OutgoingRequest::new(headers);
    let origin = request.url.origin();
    let (scheme, authority) = origin.split_once("://").ok_or(())?;
    let path = &request.url.as_str()[origin.len()..];
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    outgoing.set_method(&Method::Post)?;
    outgoing.set_scheme(Some(if scheme == "http" { &Scheme::Http } else { &Scheme::Https }))?;
    outgoing.set_authority(Some(authority))?;
    outgoing.set_path_with_query(Some(&path))?;
    Ok(outgoing)
}

/// Where the connection fails the stream ends; the answer says why.
fn write(body: OutgoingBody, bytes: &[u8], end: &Deadline) -> Result<(), SendError> {
    let whole = {
        let stream = body.write().map_err(|()| maybe_sent("the host takes no body"))?;
        write_all(&stream, bytes, end)?
    };
    if whole {
        // An error here is one of the answer too.
        let _ = OutgoingBody::finish(body, None);
    }
    Ok(())
}

/// Whether all of it was taken.
fn write_all(stream: &OutputStream, mut bytes: &[u8], end: &Deadline) -> Result<bool, SendError> {
    while !bytes.is_empty() {
        end.wait(&stream.subscribe())?;
        let Ok(room) = stream.check_write() else { return Ok(false) };
        let (now, later) = bytes.split_at(bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX)));
        if stream.write(now).is_err() {
            return Ok(false);
        }
        bytes = later;
    }
    if stream.flush().is_err() {
        return Ok(false);
    }
    end.wait(&stream.subscribe())?;
    Ok(stream.check_write().is_ok())
}

/// One byte more than the limit is kept, so that the core can tell a body that was cut.
fn read(response: &IncomingResponse, end: &Deadline) -> Result<Response, SendError> {
    let headers = response.headers();
    let header = |name: &str| headers.get(name).into_iter().next().and_then(|value| String::from_utf8(value).ok());
    let (content_type, retry_after) = (header("content-type"), header("retry-after"));
    let body = response.consume().map_err(|()| maybe_sent("the host gave no body"))?;
    let body = read_all(&body, end)?;
    Ok(Response::new(response.status(), content_type, retry_after, body))
}

fn read_all(body: &IncomingBody, end: &Deadline) -> Result<Vec<u8>, SendError> {
    let stream = body.stream().map_err(|()| maybe_sent("the host gave no body"))?;
    let mut bytes = Vec::with_capacity(16 * 1024);
    while bytes.len() <= Response::MAX_BODY {
        end.wait(&stream.subscribe())?;
        match stream.read(CHUNK) {
            Ok(chunk) => {
                let room = Response::MAX_BODY + 1 - bytes.len();
                bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
            }
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(_)) => return Err(maybe_sent("the answer was cut off")),
        }
    }
    Ok(bytes)
}

/// Only what ends before the first byte of the request is known as not sent.
fn failed(error: &ErrorCode) -> SendError {
    let kind = match error {
        ErrorCode::DnsTimeout
        | ErrorCode::DnsError(_)
        | ErrorCode::DestinationNotFound
        | ErrorCode::DestinationUnavailable
        | ErrorCode::DestinationIpProhibited
        | ErrorCode::DestinationIpUnroutable
        | ErrorCode::ConnectionRefused
        | ErrorCode::ConnectionTimeout
        | ErrorCode::ConnectionLimitReached
        | ErrorCode::TlsCertificateError
        | ErrorCode::HttpRequestDenied
        | ErrorCode::HttpRequestMethodInvalid
        | ErrorCode::HttpRequestUriInvalid
        | ErrorCode::HttpRequestUriTooLong => SendErrorKind::NotSent,
        ErrorCode::ConnectionReadTimeout | ErrorCode::ConnectionWriteTimeout | ErrorCode::HttpResponseTimeout => {
            SendErrorKind::TimedOut
        }
        _ => SendErrorKind::MaybeSent,
    };
    SendError { kind, detail: format!("{error:?}") }
}

fn not_sent(detail: &str) -> SendError {
    SendError { kind: SendErrorKind::NotSent, detail: detail.to_owned() }
}

fn maybe_sent(detail: &str) -> SendError {
    SendError { kind: SendErrorKind::MaybeSent, detail: detail.to_owned() }
}
