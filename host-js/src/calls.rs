//! The questions that no machine is needed for: one function each, by the name that JavaScript calls it.

use crate::input::{Object, Read, Wrong};
use crate::json::Json;
use crate::options;
use crate::write::{self, Cross, thrown};
use kraube_core::http::{Endpoint, Response};
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
pub(crate) fn call(name: &str, json: &str, bytes: Option<Vec<u8>>, now: Now) -> Result<String, String> {
    let given = Object::parse(json, "")?;
    match name {
        "begin" => begin(given, now),
        "receive" => receive(given, now),
        "status" => judge(given, bytes, now),
        "record" => record(given),
        "policy" => policy(given),
        "origin" => origin(given),
        "client" => client(given),
        "refreshRequest" => {
            let (client, token) = client_and_token(given)?;
            Ok(ok(&refresh_request(&client, &token)))
        }
        "revocationRequest" => {
            let (client, token) = client_and_token(given)?;
            Ok(ok(&revocation_request(&client, &token)))
        }
        "readAnswer" => answer(given, bytes, now),
        "readRevocation" => revocation(given, bytes),
        _ => Err(Wrong("there is no such call".into()).into()),
    }
}

fn begin(mut given: Object<'_>, now: Now) -> Result<String, String> {
    let provider = options::provider(&mut given)?;
    let redirect = redirect(&mut given)?;
    let entropy = entropy(&mut given)?;
    given.end()?;
    let begun = Login::begin(&provider, redirect, entropy);
    let (pending, url) = begun.map_err(|error| thrown(error.code(), &error))?;
    let saved = pending.save(now.wall).ok_or_else(|| Wrong("the login cannot be saved".into()))?;
    Ok(wrapped(|json| {
        json.open();
        json.text("pending", &String::from_utf8_lossy(saved.bytes()));
        json.text("url", url.as_str());
        json.text("redirectUri", pending.redirect_uri());
        json.close();
    }))
}

fn receive(mut given: Object<'_>, now: Now) -> Result<String, String> {
    let (pending, callback) = (given.text("pending"), given.object("callback"));
    let pending = given.need("pending", pending)?;
    let mut callback = given.need("callback", callback)?;
    given.end()?;
    let case = callback.text("type");
    let (name, query) = match case.as_deref() {
        Some("query") => ("query", true),
        Some("pasted") => ("text", false),
        _ => return Err(callback.wrong("type", "query or pasted").into()),
    };
    let text = callback.text(name);
    let text = callback.need(name, text)?;
    callback.end()?;
    let restored = Pending::restore(pending.as_bytes(), now.wall);
    let mut pending = restored.map_err(|error| thrown(error.code(), &error))?;
    let verdict = pending.receive(if query { Callback::Query(&text) } else { Callback::Pasted(&text) });
    Ok(wrapped(|json| write::verdict(verdict, json)))
}

fn judge(mut given: Object<'_>, bytes: Option<Vec<u8>>, now: Now) -> Result<String, String> {
    let (read, policy) = (given.object("read"), options::policy(&mut given)?);
    let read = given.need("read", read)?;
    given.end()?;
    Ok(ok(&status(options::found(read, bytes)?, &policy, now.wall)))
}

fn record(mut given: Object<'_>) -> Result<String, String> {
    let credentials = given.object("credentials");
    let credentials = options::credentials(given.need("credentials", credentials)?)?;
    given.end()?;
    let blob: Blob = credentials.to_blob();
    Ok(wrapped(|json| json.value(&String::from_utf8_lossy(blob.bytes()))))
}

fn policy(mut given: Object<'_>) -> Result<String, String> {
    let policy = options::policy(&mut given)?;
    given.end()?;
    Ok(ok(&policy))
}

fn origin(mut given: Object<'_>) -> Result<String, String> {
    let url = given.text("url");
    let url = given.need("url", url)?;
    given.end()?;
    let endpoint = Endpoint::parse(&url).map_err(|error| thrown("invalid_url", &error))?;
    Ok(wrapped(|json| json.value(endpoint.origin())))
}

fn client(mut given: Object<'_>) -> Result<String, String> {
    let provider = options::provider(&mut given)?;
    given.end()?;
    let client = provider.client().map_err(|error| thrown(error.code(), &error))?;
    Ok(ok(&client))
}

fn answer(mut given: Object<'_>, bytes: Option<Vec<u8>>, now: Now) -> Result<String, String> {
    let client = needed_client(&mut given)?;
    let response = response(given, bytes)?;
    Ok(ok(&read_answer(&client, &response, now)))
}

fn revocation(given: Object<'_>, bytes: Option<Vec<u8>>) -> Result<String, String> {
    let response = response(given, bytes)?;
    Ok(ok(&read_revocation(&response)))
}

fn response(mut given: Object<'_>, bytes: Option<Vec<u8>>) -> Read<Response> {
    let response = given.object("response");
    let response = given.need("response", response)?;
    given.end()?;
    options::response(response, bytes)
}

fn client_and_token(mut given: Object<'_>) -> Read<(Client, Secret)> {
    let client = needed_client(&mut given)?;
    let token = given.text("refreshToken");
    let token = given.need("refreshToken", token)?;
    given.end()?;
    Ok((client, Secret::new(token)))
}

fn needed_client(given: &mut Object<'_>) -> Read<Client> {
    let client = given.client("client");
    given.need("client", client)
}

fn redirect(given: &mut Object<'_>) -> Read<Redirect> {
    let redirect = given.object("redirect");
    let mut redirect = given.need("redirect", redirect)?;
    let (case, uri) = (redirect.text("type"), redirect.text("uri"));
    let read = match case.as_deref() {
        Some("manual") => Redirect::Manual,
        Some("page") => Redirect::Page { uri: redirect.need("uri", uri)? },
        Some("loopback") => Redirect::Loopback { uri: redirect.need("uri", uri)? },
        _ => return Err(redirect.wrong("type", "page, loopback or manual")),
    };
    redirect.end()?;
    Ok(read)
}

fn entropy(given: &mut Object<'_>) -> Read<Entropy> {
    let digits = given.text("entropy").map(Secret::new);
    let digits = given.need("entropy", digits)?;
    let wrong = || given.wrong("entropy", "128 hexadecimal digits");
    let digits = digits.expose().as_bytes();
    let mut bytes = [0; Entropy::LEN];
    if digits.len() != 2 * bytes.len() {
        return Err(wrong());
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16);
        *byte = (digit(0).ok_or_else(wrong)? << 4 | digit(1).ok_or_else(wrong)?) as u8;
    }
    Ok(Entropy::new(bytes))
}

fn ok(value: &dyn Cross) -> String {
    wrapped(|json| value.cross(json))
}

fn wrapped(write: impl FnOnce(&mut Json)) -> String {
    Json::of(|json| {
        json.open();
        json.name("ok");
        write(json);
        json.close();
    })
}
