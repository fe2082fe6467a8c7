//! The questions that no machine is needed for: one function each, by the name that JavaScript calls it.

use crate::input::{Given, Read, misuse};
use crate::json::Json;
use crate::options;
use crate::write::{self, Cross, thrown};
use kraube_core::http::Endpoint;
use kraube_core::login::{Callback, Login, Pending, Redirect};
use kraube_core::machine::Blob;
use kraube_core::pkce::Entropy;
use kraube_core::provider::Client;
use kraube_core::revoke::{read_revocation, revocation_request};
use kraube_core::secret::Secret;
use kraube_core::status::status;
use kraube_core::time::Now;
use kraube_core::token::{read_answer, refresh_request};

/// `{"ok": ...}`; or, as the error, what JavaScript throws.
pub(crate) fn call(name: &str, json: &str, bytes: Option<Vec<u8>>, now: Now) -> Read<String> {
    let mut given = Given::parse(json);
    match name {
        "begin" => begin(given, now),
        "receive" => receive(given, now),
        "status" => {
            let (read, policy) = (given.open("read"), options::policy(&mut given));
            let read = if read { options::found(&mut given, "read.blob", "read.error", bytes) } else { None };
            Ok(ok(&status(given.end(read)?, &policy, now.wall)))
        }
        "record" => {
            let credentials = options::credentials(&mut given, "credentials");
            Ok(text(stored(&given.end(credentials)?.to_blob())))
        }
        "policy" => {
            let policy = options::policy(&mut given);
            Ok(ok(&given.end(Some(policy))?))
        }
        "origin" => {
            let url = given.needed("url");
            let endpoint = Endpoint::parse(&given.end(Some(url))?).map_err(|error| thrown("invalid_url", &error))?;
            Ok(text(endpoint.origin()))
        }
        "client" => {
            let provider = options::provider(&mut given);
            let client = given.end(provider)?.client().map_err(|error| thrown(error.code(), &error))?;
            Ok(ok(&client))
        }
        "refreshRequest" => {
            let (client, token) = client_and_token(given)?;
            Ok(ok(&refresh_request(&client, &token)))
        }
        "revocationRequest" => {
            let (client, token) = client_and_token(given)?;
            Ok(ok(&revocation_request(&client, &token)))
        }
        "readAnswer" => {
            let client = given.client("client");
            let response = options::response(&mut given, "response", bytes);
            let (client, response) = given.end(client.zip(response))?;
            Ok(ok(&read_answer(&client, &response, now)))
        }
        "readRevocation" => {
            let response = options::response(&mut given, "response", bytes);
            Ok(ok(&read_revocation(&given.end(response)?)))
        }
        _ => Err(misuse("there is no such call")),
    }
}

fn begin(mut given: Given<'_>, now: Now) -> Read<String> {
    let provider = options::provider(&mut given);
    let (redirect, entropy) = (redirect(&mut given), entropy(&mut given));
    let ((provider, redirect), entropy) = given.end(provider.zip(redirect).zip(entropy))?;
    let begun = Login::begin(&provider, redirect, entropy);
    let (pending, url) = begun.map_err(|error| thrown(error.code(), &error))?;
    let saved = pending.save(now.wall).ok_or_else(|| misuse("the login cannot be saved"))?;
    Ok(wrapped(&mut |json| {
        json.open();
        json.text("pending", stored(&saved));
        json.text("url", url.as_str());
        json.text("redirectUri", pending.redirect_uri());
        json.close();
    }))
}

fn receive(mut given: Given<'_>, now: Now) -> Read<String> {
    given.open("callback");
    let (pending, case) = (given.needed("pending"), given.needed("callback.type"));
    let query = case == "query";
    if !query && case != "pasted" {
        given.wrong("callback.type", "query or pasted");
    }
    let text = given.needed(if query { "callback.query" } else { "callback.text" });
    let (pending, text) = given.end(Some((pending, text)))?;
    let callback = if query { Callback::Query(&text) } else { Callback::Pasted(&text) };
    let restored = Pending::restore(pending.as_bytes(), now.wall);
    let mut verdict = Some(restored.map_err(|error| thrown(error.code(), &error))?.receive(callback));
    Ok(wrapped(&mut |json| verdict.take().into_iter().for_each(|verdict| write::verdict(verdict, json))))
}

fn client_and_token(mut given: Given<'_>) -> Read<(Client, Secret)> {
    let (client, token) = (given.client("client"), given.needed("refreshToken"));
    Ok((given.end(client)?, Secret::new(token)))
}

fn redirect(given: &mut Given<'_>) -> Option<Redirect> {
    given.open("redirect");
    let case = given.needed("redirect.type");
    match (case.as_str(), given.text("redirect.uri")) {
        ("manual", None) => Some(Redirect::Manual),
        ("page", Some(uri)) => Some(Redirect::Page { uri }),
        ("loopback", Some(uri)) => Some(Redirect::Loopback { uri }),
        _ => {
            given.wrong("redirect.type", "page or loopback with a uri, or manual");
            None
        }
    }
}

fn entropy(given: &mut Given<'_>) -> Option<Entropy> {
    let digits = Secret::new(given.needed("entropy"));
    let mut bytes = [0; Entropy::LEN];
    let mut rest = digits.expose().chars().map(|digit| digit.to_digit(16));
    for byte in &mut bytes {
        let pair = rest.next().flatten().zip(rest.next().flatten());
        let Some((high, low)) = pair else {
            given.wrong("entropy", "128 hexadecimal digits");
            break;
        };
        *byte = (high << 4 | low) as u8;
    }
    if rest.next().is_some() {
        given.wrong("entropy", "128 hexadecimal digits");
    }
    Some(Entropy::new(bytes))
}

/// The core writes UTF-8 alone.
pub(crate) fn stored(blob: &Blob) -> &str {
    str::from_utf8(blob.bytes()).unwrap_or_default()
}

fn ok(value: &dyn Cross) -> String {
    wrapped(&mut |json| value.cross(json))
}

fn text(text: &str) -> String {
    wrapped(&mut |json| json.value(text))
}

fn wrapped(write: &mut dyn FnMut(&mut Json)) -> String {
    Json::of(&mut |json| {
        json.open();
        json.name("ok");
        write(json);
        json.close();
    })
}
