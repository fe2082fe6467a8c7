//! The user's own provider profiles, and the authorization request that is made of one.

use crate::{endpoint, fit_for_display};
use kraube::provider;
use kraube_core::login::{BeginError, Login, Redirect};
use kraube_core::pkce::Entropy;
use kraube_core::provider::Provider;
use std::collections::BTreeSet;

pub(crate) const WORDS: &[&str] = &[
    "[[provider]]\n",
    "name = \"work\"\n",
    "issuer = \"https://id.example\"\n",
    "authorization_endpoint = \"https://id.example/authorize?tenant=1\"\n",
    "token_endpoint = \"https://id.example/token\"\n",
    "client_id = \"an id\"\n",
    "scopes = [\"a\", \"b c\", \"&state=\"]\n",
    "body = \"json\"\n",
    "expects_iss = true\n",
    "[provider.authorization_parameters]\n",
    "code_challenge_method = \"plain\"\n",
    "audience = \"é&=#\"\n",
    "[provider.redirect]\nhost = \"localhost\"\nports = [1, 2]\npath = \"/x\"\n",
    "[client_ids]\nwork = \"another id\"\n",
    "\"",
    "=",
    "\n",
    "\u{0}",
];

pub(crate) fn check(input: &[u8]) {
    thread_local! {
        // Where there is one: a file is written for each input.
        static DIR: tempfile::TempDir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("room");
    }
    DIR.with(|dir| {
        let credentials = dir.path().join("credentials.json");
        std::fs::write(dir.path().join(provider::FILE), input).expect("room");
        match provider::find("work", Some(&credentials), None) {
            Ok(found) => usable(&found),
            Err(error) => {
                let text = error.to_string();
                assert!(!text.contains(['\n', '\r', '\u{1b}']), "{text:?} is more than a line");
            }
        }
        // A built-in profile is there whatever else the file says, unless the file cannot be read.
        match provider::find(provider::DEFAULT, Some(&credentials), Some("id".to_owned())) {
            Ok(found) => assert!(found.client().is_ok()),
            Err(error) => assert_eq!(error.code(), "providers_file"),
        }
    });
}

fn usable(provider: &Provider) {
    let endpoints =
        [Some(&provider.authorization_endpoint), Some(&provider.token_endpoint), provider.revocation_endpoint.as_ref()];
    endpoints.into_iter().flatten().for_each(|url| endpoint::check(url.as_str().as_bytes()));
    let uri = provider.redirect.uri(([127, 0, 0, 1], 1).into());
    let begun = Login::begin(provider, Redirect::Loopback { uri: uri.clone() }, Entropy::new([7; Entropy::LEN]));
    let (_, url) = match begun {
        Ok(begun) => begun,
        Err(error) => {
            let needless = matches!(error, BeginError::MissingClientId(_))
                && provider.client_id.as_ref().is_some_and(|id| !id.trim().is_empty());
            return assert!(!needless, "{error}");
        }
    };
    let (address, query) = url.as_str().split_once('?').expect("it has parameters");
    assert!(provider.authorization_endpoint.as_str().starts_with(address), "{url}");
    assert!(fit_for_display(url.as_str()) && !url.as_str().contains([' ', '#']), "{url}");
    let mut names = BTreeSet::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        assert!(names.insert(name.clone().into_owned()), "{name} is sent twice: {url}");
        let wanted = match &*name {
            "response_type" => "code",
            "code_challenge_method" => "S256",
            "redirect_uri" => &uri,
            _ => continue,
        };
        assert_eq!(value, wanted, "{url}");
    }
    for name in ["response_type", "client_id", "redirect_uri", "state", "code_challenge", "code_challenge_method"] {
        assert!(names.contains(name), "{name} is not sent: {url}");
    }
    assert!(provider.redirect.path.starts_with('/'), "the redirect path is relative");
}
