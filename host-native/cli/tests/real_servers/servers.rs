//! The servers, each a process of its own: `oidc-provider` (npm), and `django-oauth-toolkit` (PyPI).

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

/// `oidc-provider`. Runs until it is dropped.
pub(crate) struct Oidc {
    _running: Running,
    pub(crate) issuer: String,
}

/// `django-oauth-toolkit`. Runs until it is dropped.
pub(crate) struct Toolkit {
    _running: Running,
    _database: tempfile::TempDir,
    pub(crate) issuer: String,
}

/// A script beside those of the JavaScript suites, which have the packages that it needs.
pub(crate) fn script(name: &str) -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../host-js/tests");
    let installed = tests.join("node_modules/oidc-provider").is_dir();
    assert!(installed, "oidc-provider is not here: run `npm ci --ignore-scripts --prefix host-js/tests`");
    tests.join("support").join(name)
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
        let (_running, issuer) = Running::start(&mut Self::command(settings), "apt-get install nodejs npm");
        Self { _running, issuer }
    }

    /// The client is known by a document alone, whose address comes back too.
    pub(crate) fn start_with_document(directory: &Path) -> (Self, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let certificate = directory.join("document.pem");
        std::fs::write(&certificate, made.cert.pem()).expect("written");
        let tls = serde_json::json!({ "cert": made.cert.pem(), "key": made.signing_key.serialize_pem() });
        let mut command = Self::command(&serde_json::json!({ "document": tls }));
        command.env("NODE_EXTRA_CA_CERTS", certificate);
        let (mut running, issuer) = Running::start(&mut command, "apt-get install nodejs npm");
        let mut address = String::new();
        running.1.read_line(&mut address).expect("a line");
        (Self { _running: running, issuer }, address.trim_end().to_owned())
    }

    fn command(settings: &Value) -> Command {
        let mut command = Command::new("node");
        command.arg(script("oidc-server.js")).arg(settings.to_string());
        command
    }

    /// The resource.
    pub(crate) fn userinfo(&self) -> String {
        format!("{}/me", self.issuer)
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

impl Toolkit {
    pub(crate) fn start() -> Self {
        let packages = python_packages();
        let how = format!(
            "python3 -m pip install --target {} -r host-native/cli/tests/real_servers/requirements.txt",
            packages.display()
        );
        assert!(packages.join("oauth2_provider").is_dir(), "django-oauth-toolkit is not here: run `{how}`");
        let database = tempfile::tempdir().expect("a temporary directory");
        let mut command = Command::new("python3");
        command
            .env("PYTHONPATH", &packages)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real_servers/toolkit_server.py"))
            .arg(database.path());
        let (_running, issuer) = Running::start(&mut command, "apt-get install python3 python3-pip");
        Self { _running, _database: database, issuer }
    }
}

/// `target/python/packages`, where `cargo xtask servers` installs them.
fn python_packages() -> PathBuf {
    let binary = Path::new(env!("CARGO_BIN_EXE_kraube"));
    binary.ancestors().nth(2).expect("a profile in a target").join("python/packages")
}

/// Its standard output stays open: a program that writes into a closed one ends.
struct Running(Child, BufReader<ChildStdout>);

impl Running {
    /// The server, and the issuer that it prints on its first line.
    fn start(command: &mut Command, install: &str) -> (Self, String) {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("{error}: run `{install}`"));
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let (mut running, mut issuer) = (Self(child, output), String::new());
        running.1.read_line(&mut issuer).expect("a line");
        assert!(issuer.starts_with("http"), "it does not start: {:?}", running.0.wait());
        (running, issuer.trim_end().to_owned())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The end of its standard input is the end of it; this is for one that hangs.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
