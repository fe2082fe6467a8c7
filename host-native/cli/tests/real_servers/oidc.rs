//! `oidc-provider`, as a process of its own.

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Runs until it is dropped.
pub(crate) struct Oidc {
    child: Child,
    pub(crate) issuer: String,
}

/// What has happened at the server.
#[derive(Debug)]
pub(crate) struct Counts {
    pub(crate) requests: u64,
    pub(crate) rotations: u64,
    pub(crate) refused: Vec<String>,
}

impl Oidc {
    /// The settings are those of `oidc-server.js`.
    pub(crate) fn start(settings: &Value) -> Self {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../host-js/tests");
        let installed = tests.join("node_modules/oidc-provider").is_dir();
        assert!(installed, "oidc-provider is not here: run `npm ci --ignore-scripts --prefix host-js/tests`");
        let mut child = Command::new("node")
            .arg(tests.join("support/oidc-server.js"))
            .arg(settings.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{error}: run `apt-get install nodejs npm`"));
        let mut issuer = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut issuer).expect("a line");
        assert!(issuer.starts_with("http"), "oidc-provider does not start: {:?}", child.wait());
        Self { child, issuer: issuer.trim_end().to_owned() }
    }

    pub(crate) fn counts(&self) -> Counts {
        let text = ureq::get(format!("{}/counts", self.issuer)).call().expect("it lives").into_body().read_to_string();
        let counts: Value = serde_json::from_str(&text.expect("text")).expect("JSON");
        let number = |name: &str| counts[name].as_u64().expect("a number");
        let refused = counts["refused"].as_array().expect("a list").iter();
        let refused = refused.map(|error| error.as_str().expect("a code").to_owned()).collect();
        Counts { requests: number("requests"), rotations: number("rotations"), refused }
    }
}

impl Drop for Oidc {
    fn drop(&mut self) {
        // The end of its standard input is the end of it; this is for one that hangs.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
