//! A home of its own for each test, a server, and the real binary in an environment that is otherwise empty.
#![allow(dead_code)] // Each test file uses a part of it.

use kraube::core::provider::Provider;
use kraube::core::record::Credentials;
use kraube::core::secret::Secret;
use kraube::core::time::Timestamp;
use kraube_testserver::{Config, Login, Server};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(crate) const MINUTE: i64 = 60_000;

/// Of a server whose answer is under way for long enough to send a signal, on a busy machine too.
pub(crate) const LATENCY: Duration = Duration::from_secs(3);

pub(crate) struct World {
    pub(crate) server: Server,
    home: tempfile::TempDir,
    secrets: Vec<String>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> Self {
        let server = Server::spawn(config).expect("a free port");
        Self { server, home: tempfile::tempdir().expect("a temporary directory"), secrets: Vec::new() }
    }

    /// A login whose access token was obtained an hour ago and lives for so many milliseconds more.
    pub(crate) fn log_in(&mut self, left: i64) -> Login {
        self.log_in_at(left, &self.server.issuer())
    }

    /// The same, where the server is reached by another address.
    pub(crate) fn log_in_at(&mut self, left: i64, issuer: &str) -> Login {
        let login = self.server.issue_login();
        let client = Provider::demo(issuer).expect("an issuer").client().expect("a client id");
        let credentials = Credentials {
            binding: None,
            access_token: Secret::new(login.access_token.clone()),
            refresh_token: Some(Secret::new(login.refresh_token.clone())),
            expires_at: ahead(left),
            obtained_at: Some(ahead(-60 * MINUTE)),
            scope: Some("read write".into()),
            client: Some(client),
        };
        kraube::save_credentials(Some(&self.path()), &credentials).expect("the login is stored");
        self.secrets.extend([login.access_token.clone(), login.refresh_token.clone()]);
        login
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Where the command looks by itself.
    pub(crate) fn path(&self) -> PathBuf {
        self.home().join(".config").join("kraube").join("credentials.json")
    }

    /// A member of the stored record.
    pub(crate) fn stored(&self, name: &str) -> serde_json::Value {
        let bytes = std::fs::read(self.path()).expect("credentials are stored");
        let record: serde_json::Value = serde_json::from_slice(&bytes).expect("they are JSON");
        record[name].clone()
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kraube"));
        command
            .env_clear()
            .env("HOME", self.home())
            .env("USERPROFILE", self.home())
            .args(args)
            .current_dir(self.home());
        // Windows starts nothing without it.
        if let Some(root) = std::env::var_os("SystemRoot") {
            command.env("SystemRoot", root);
        }
        command
    }

    /// The same, with the signals as a terminal has them: the tests may have been started in the background, by a shell
    /// that ignores some for all below it.
    #[cfg(unix)]
    pub(crate) fn in_foreground(&self, args: &[&str]) -> Command {
        let plain = self.command(args);
        let mut command = Command::new("env");
        command.env_clear().arg("--default-signal=HUP,INT,TERM").arg(plain.get_program()).args(plain.get_args());
        command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?)))).current_dir(self.home());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Run {
        self.run_with(self.command(args), "")
    }

    /// Runs to the end with this on standard input.
    pub(crate) fn run_with(&self, command: Command, input: &str) -> Run {
        self.finish(start(command, input))
    }

    pub(crate) fn finish(&self, child: Child) -> Run {
        let Output { status, stdout, stderr } = child.wait_with_output().expect("it ends");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        let run = Run { stdout: text(stdout), stderr: text(stderr), code: status.code().expect("no signal") };
        assert!(!self.secrets.iter().any(|secret| run.stderr.contains(secret)), "a secret on stderr: {run:?}");
        run
    }
}

#[derive(Debug)]
#[must_use = "the exit code must be looked at"]
pub(crate) struct Run {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: i32,
}

impl Run {
    /// Ended with this code, said nothing on standard output and all of this on standard error.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, said: &[&str]) {
        assert_eq!((self.code, self.stdout.as_str()), (code, ""), "{self:?}");
        self.says(said);
        let line = self.stderr.lines().next().unwrap_or_default();
        assert!(line.starts_with("error: "), "{self:?}");
    }

    /// Ended well with this on standard output.
    #[track_caller]
    pub(crate) fn prints(&self, stdout: &str) {
        assert_eq!((self.code, self.stdout.as_str()), (0, stdout), "{self:?}");
    }

    #[track_caller]
    pub(crate) fn says(&self, said: &[&str]) {
        said.iter().for_each(|text| assert!(self.stderr.contains(text), "{text:?} is not in {self:?}"));
    }
}

pub(crate) fn start(mut command: Command, input: &str) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    // It may end without reading.
    let _ = stdin.write_all(input.as_bytes());
    child
}

pub(crate) fn ahead(millis: i64) -> Timestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64;
    Timestamp(now.saturating_add_signed(millis))
}

/// Ctrl-C.
#[cfg(unix)]
pub(crate) fn interrupt(child: &Child) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it lives");
}
