//! An HTTP client that survives a 401: it takes the token from kraube, and where the resource rejects it, says so and
//! asks once more.
//!
//!     cargo run --example client -- https://api.example.org/resource
//!
//! The credentials are the ones of the command: `KRAUBE_CREDENTIALS_PATH`, or the default path.
#![allow(clippy::print_stdout, reason = "a program for a terminal")]

use kraube::TokenSource;
use reqwest::{Client, Response, StatusCode};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("name the URL of a resource")?;
    let source = TokenSource::from_file(None)?;
    // Which cryptography reqwest uses is the program's choice; kraube's own client does not depend on it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::new();

    let response = get(&client, &source, &url).await?;
    println!("{}", response.status());
    println!("{}", response.text().await?);
    Ok(())
}

/// One retry: a second 401 is the resource's answer, not a matter of the token's age.
async fn get(client: &Client, source: &TokenSource, url: &str) -> Result<Response, Box<dyn std::error::Error>> {
    let token = source.token().await?;
    let response = client.get(url).bearer_auth(token.expose()).send().await?;
    if response.status() != StatusCode::UNAUTHORIZED {
        return Ok(response);
    }
    source.reject(&token);
    let token = source.token().await?;
    Ok(client.get(url).bearer_auth(token.expose()).send().await?)
}
