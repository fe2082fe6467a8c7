//! `kraube demo`: the main job on real parts, with no account. Many processes live on one login at an authorization
//! server that is embedded here; some are killed in the middle of a refresh; the server keeps the books.

mod fleet;
mod login;
mod report;
mod serve;
mod show;
mod tally;
mod view;
mod worker;

use kraube::core::time::Millis;
use kraube_testserver::Files;
use report::Report;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

/// See it work: real processes, a server of its own, no account
///
/// Many processes live on one login, and some are killed in the middle of a refresh. Each refresh token works once at
/// the server, which counts what it sees; at the end that is held against the promise.
#[derive(clap::Args, Debug)]
pub(crate) struct DemoArgs {
    /// How many processes share the login
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(2..=512))]
    processes: u16,
    /// For how long they are kept busy
    #[arg(long, value_name = "SECONDS", default_value_t = 12, value_parser = clap::value_parser!(u16).range(1..=3600))]
    seconds: u16,
    /// A server that forgives nothing: a kill between spent and stored ends the login, and is reported as such
    #[arg(long)]
    strict: bool,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
    /// Only run the server, to log in against
    #[arg(long, conflicts_with_all = ["processes", "seconds", "json"])]
    serve: bool,
    /// The port of the server; a free one by default
    #[arg(long, value_name = "PORT", default_value_t = 0, requires = "serve")]
    port: u16,
    /// Serve the files of a folder too, for a page under test; may be repeated
    #[arg(long, value_name = "PATH=FOLDER", value_parser = serve::parse_files, requires = "serve")]
    files: Vec<Files>,
    /// Let programs on this machine change what the server does, at /control
    #[arg(long, requires = "serve")]
    control: bool,
    /// One of the processes, which calls this resource
    #[arg(long, value_name = "URL", hide = true)]
    worker: Option<String>,
    /// That process rejects this many of its tokens, each as soon as it has it
    #[arg(long, value_name = "N", hide = true, requires = "worker")]
    reject: Option<u32>,
}

/// The life of an access token at the embedded server: half of it is over when kraube refreshes.
const LIFE: Millis = Millis::from_secs(2);
/// How long the server forgives a repetition with the previous refresh token, if it does.
const GRACE: Duration = Duration::from_secs(10);
/// The server holds back its answer for this long after it has spent the refresh token: the time to kill somebody.
const LATENCY: Duration = Duration::from_millis(80);

/// Runs it. The exit code is a failure where the promise was broken.
pub(crate) fn run(args: &DemoArgs) -> ExitCode {
    if let Some(resource) = &args.worker {
        return worker::run(resource, args.reject);
    }
    let done = if args.serve { serve::run(args) } else { show::run(args) };
    done.unwrap_or_else(|problem| {
        let _ = writeln!(std::io::stderr(), "error: {problem}");
        ExitCode::FAILURE
    })
}

/// What the demo waits for.
enum Signal {
    /// A process said something.
    Report { id: u64, report: Report },
    /// A process printed something that is not a report.
    Remark { id: u64, line: String },
    /// A process ended.
    Ended { id: u64 },
    /// Something happened at the server.
    Server(kraube_testserver::Event),
    /// Ctrl-C.
    Interrupted,
}

/// Acts at Ctrl-C and the other requests to end.
fn on_interrupt(act: impl FnMut() + Send + 'static) -> Result<(), String> {
    ctrlc::set_handler(act).map_err(|error| format!("signals cannot be handled: {error}"))
}
