//! A component that calls a protected resource. It imports `kraube:auth/tokens`, and knows nothing of logins, refresh
//! tokens, files or locks.
//!
//! ```sh
//! cargo xtask wasi
//! kraube-wasi run target/wasi/app.wasm https://api.example.org/resource
//! ```
#![cfg(target_family = "wasm")]
#![allow(missing_docs, unsafe_code, clippy::all, reason = "bindings are generated here")]

use kraube::auth::tokens::{self, Options};
use kraube::auth::types::{Error, Problem};
use std::io::Write as _;
use wasip2::cli::{environment, stderr, stdout};
use wasip2::http::outgoing_handler;
use wasip2::http::types::{Fields, OutgoingRequest, Scheme};
use wasip2::io::streams::StreamError;

wit_bindgen::generate!({
    path: "wit",
    inline: "
        package example:app;
        world app {
            import kraube:auth/tokens@0.1.0;
        }
    ",
    world: "example:app/app",
    generate_all,
});

struct App;

wasip2::cli::command::export!(App);

impl wasip2::exports::cli::run::Guest for App {
    fn run() -> Result<(), ()> {
        let arguments = environment::get_arguments();
        let Some(url) = arguments.get(1) else {
            let _ = writeln!(stderr::get_stderr(), "usage: app URL");
            return Err(());
        };
        match call(url) {
            Ok(body) => stdout::get_stdout().write_all(&body).map_err(drop),
            Err(problem) => {
                let _ = writeln!(stderr::get_stderr(), "error: {problem}");
                Err(())
            }
        }
    }
}

/// One call, and a second one with another token where the first was answered with 401.
fn call(url: &str) -> Result<Vec<u8>, String> {
    let token = token()?;
    let (status, body) = get(url, &token)?;
    if status != 401 {
        return answered(status, body);
    }
    tokens::reject(&token);
    let (status, body) = get(url, &self::token()?)?;
    answered(status, body)
}

fn token() -> Result<String, String> {
    let token = tokens::get_token(Options { min_valid: 0 });
    token.map(|token| token.value).map_err(|error| {
        let (Error::LoginRequired(problem)
        | Error::Unavailable(problem)
        | Error::Uncertain(problem)
        | Error::AccountChanged(problem)
        | Error::Unsaved(problem)
        | Error::Invalid(problem)
        | Error::Misuse(problem)) = error;
        let Problem { code, message, hint, .. } = problem;
        format!("{message} ({code})\nhint: {}", hint.unwrap_or_default())
    })
}

fn answered(status: u16, body: Vec<u8>) -> Result<Vec<u8>, String> {
    if status == 200 { Ok(body) } else { Err(format!("the resource answered {status}")) }
}

fn get(url: &str, token: &str) -> Result<(u16, Vec<u8>), String> {
    let (scheme, rest) = url.split_once("://").ok_or("the URL has no scheme")?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let authorization = format!("Bearer {token}").into_bytes();
    let headers = Fields::from_list(&[("authorization".into(), authorization)]).map_err(|e| e.to_string())?;
    let request = OutgoingRequest::new(headers);
    let usable = request.set_scheme(Some(if scheme == "http" { &Scheme::Http } else { &Scheme::Https })).is_ok()
        && request.set_authority(Some(authority)).is_ok()
        && request.set_path_with_query(Some(path)).is_ok();
    if !usable {
        return Err("the URL cannot be used".into());
    }
    let answer = outgoing_handler::handle(request, None).map_err(|error| error.to_string())?;
    answer.subscribe().block();
    let response = match answer.get() {
        Some(Ok(Ok(response))) => response,
        Some(Ok(Err(error))) => return Err(error.to_string()),
        _ => return Err("the host gave no answer".into()),
    };
    let body = response.consume().map_err(|()| "the answer has no body")?;
    let stream = body.stream().map_err(|()| "the answer has no body")?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(64 * 1024) {
            Ok(chunk) => bytes.extend(chunk),
            Err(StreamError::Closed) => return Ok((response.status(), bytes)),
            Err(error) => return Err(error.to_string()),
        }
    }
}
