//! Faults as bytes on the wire, or as their absence.

use crate::config::FaultKind;
use crate::routes::Answer;
use crate::server::{Socket, Takeover};
use axum::body::{Body, Bytes, HttpBody};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use hyper::body::Frame;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::time::{Sleep, sleep};

pub(crate) async fn commit(kind: FaultKind, answer: Answer, socket: Socket) -> Response<Body> {
    match kind {
        FaultKind::Answer { status, headers, body } => {
            let mut builder = Response::builder().status(status);
            for (name, value) in headers {
                builder = builder.header(name, value);
            }
            // What HTTP cannot express is the test's own mistake; it shows as a status of its own.
            builder.body(Body::from(body)).unwrap_or_else(|_| StatusCode::IM_A_TEAPOT.into_response())
        }
        FaultKind::Reset => socket.take(Takeover::Reset).await,
        FaultKind::Truncated => {
            let body = answer.body.to_string();
            let head = format!(
                "HTTP/1.1 {}\r\ncontent-type: application/json\r\naccess-control-allow-origin: *\r\ncontent-length: {}\r\n\r\n",
                answer.status,
                body.len()
            );
            let half = body.as_bytes().get(..body.len() / 2).unwrap_or_default();
            socket.take(Takeover::Last([head.as_bytes(), half].concat())).await
        }
        FaultKind::SlowBody(time) => {
            let mut rest = Bytes::from(answer.body.to_string());
            let half = rest.split_to(rest.len() / 2);
            let body = Body::new(Slow { half: Some(half), time: Box::pin(sleep(time)), rest: Some(rest) });
            (answer.status, [(CONTENT_TYPE, "application/json")], body).into_response()
        }
        FaultKind::Hang => std::future::pending().await,
        FaultKind::HugeBody(size) => {
            let [head, tail] = [r#"{"token_type":"Bearer","access_token":""#, r#""}"#].map(Bytes::from);
            let body = Body::new(Huge { head: Some(head), left: size, tail: Some(tail) });
            (StatusCode::OK, [(CONTENT_TYPE, "application/json")], body).into_response()
        }
    }
}

struct Slow {
    half: Option<Bytes>,
    time: Pin<Box<Sleep>>,
    rest: Option<Bytes>,
}

impl HttpBody for Slow {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(half) = self.half.take() {
            return Poll::Ready(Some(Ok(Frame::data(half))));
        }
        if self.rest.is_some() {
            ready!(self.time.as_mut().poll(cx));
        }
        Poll::Ready(self.rest.take().map(|rest| Ok(Frame::data(rest))))
    }
}

struct Huge {
    head: Option<Bytes>,
    left: u64,
    tail: Option<Bytes>,
}

impl HttpBody for Huge {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        static FILL: [u8; 16384] = [b'a'; 16384];
        if let Some(head) = self.head.take() {
            return Poll::Ready(Some(Ok(Frame::data(head))));
        }
        let size = self.left.min(FILL.len() as u64);
        self.left -= size;
        let fill = FILL.get(..size as usize).unwrap_or_default();
        let data = if fill.is_empty() { self.tail.take() } else { Some(Bytes::from_static(fill)) };
        Poll::Ready(data.map(|data| Ok(Frame::data(data))))
    }
}
