//! `kraube login`: log in and store the credentials.

use super::read_secret;
use crate::exit::{Code, Failed};
use crate::process;
use crate::ui;
use kraube::core::login::Redirect;
use kraube::core::provider::Provider;
use kraube::login::{Event, Instructions, LoggedIn, LoginError, LoginOptions};
use kraube::provider::Source;
use qrcode::render::unicode::Dense1x2;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// Log in, for every process on this machine
///
/// Opens the browser and waits for it; the code, or the address of the page that the browser ended on, can be pasted as
/// well, whichever comes first. A login needs a client id of your own: one that you registered at the provider.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to log in: claude, demo, or a name in providers.toml beside the credentials
    #[arg(long, value_name = "NAME", default_value = kraube::provider::DEFAULT)]
    provider: String,
    /// Log in at the server with this issuer identifier; its endpoints come from its metadata
    #[arg(long, value_name = "URL", conflicts_with = "provider")]
    issuer: Option<String>,
    /// Log in for this resource, such as an MCP server, at the server that it names
    #[arg(long, value_name = "URL", conflicts_with_all = ["provider", "issuer"])]
    resource: Option<String>,
    /// The client id of your application at the provider [env: KRAUBE_CLIENT_ID]
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// Bind the tokens to a key, where the server or the resource wants that (DPoP, RFC 9449)
    #[arg(long)]
    dpop: bool,
    /// Ask for this scope instead of the provider's usual ones; can be repeated
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,
    /// Store the credentials here; the same as --credentials
    #[arg(long, value_name = "PATH", conflicts_with = "credentials")]
    out: Option<PathBuf>,
    /// Open no browser: show the address, and read what you paste
    #[arg(long)]
    manual: bool,
    /// Open no browser, but wait for one on this machine
    #[arg(long, conflicts_with = "manual")]
    no_browser: bool,
    /// Show a code to type in on another machine, where the server offers that (RFC 8628)
    #[arg(long, conflicts_with_all = ["manual", "no_browser", "start", "finish"])]
    device: bool,
    /// Print the address and end; `--finish` goes on from there within ten minutes
    #[arg(long, conflicts_with_all = ["manual", "no_browser", "finish"])]
    start: bool,
    /// Read the code, or the address of the page that the browser ended on, from standard input
    #[arg(long, conflicts_with_all = ["manual", "no_browser", "provider", "issuer", "resource", "client_id", "scope", "dpop"])]
    finish: bool,
}

/// A code that is being exchanged is spent, whether or not anybody waits for its answer.
static EXCHANGING: AtomicBool = AtomicBool::new(false);

pub(crate) fn run(args: &Args, credentials: Option<&Path>) -> Result<Code, Failed> {
    process::end_when_not(|| EXCHANGING.load(Ordering::SeqCst));
    let path = match (args.out.as_deref(), credentials) {
        // What stands before the word `login` is not seen by the rules of the options behind it.
        (Some(_), Some(_)) => {
            let advice = "--out names the file of the credentials, and so does --credentials or --profile";
            return Err(Failed::new(Code::Usage, advice).hint("give one of them"));
        }
        (out, credentials) => out.or(credentials),
    };
    if args.finish {
        let pasted = read_secret("the code, or the address of the page that the browser ended on")?;
        EXCHANGING.store(true, Ordering::SeqCst);
        return done(&kraube::login::finish(path, pasted.expose())?);
    }
    let provider = provider(args, path)?;
    if args.start {
        return start(&provider, path);
    }
    if args.device {
        return done(&kraube::login::device(&provider, path, &mut |event: Event<'_>| show(event, false))?);
    }
    let paste = args.manual || io::stdin().is_terminal();
    let options = LoginOptions {
        path: path.map(Path::to_owned),
        browser: !args.manual && !args.no_browser,
        paste: paste.then(|| Box::new(io::stdin()) as Box<dyn Read + Send>),
        ..LoginOptions::default()
    };
    done(&kraube::login(&provider, options, &mut |event: Event<'_>| show(event, paste))?)
}

fn provider(args: &Args, path: Option<&Path>) -> Result<Provider, Failed> {
    let client_id = args.client_id.clone();
    let found = match (&args.issuer, &args.resource) {
        (Some(issuer), _) => kraube::provider::discover(Source::Issuer(issuer), path, client_id),
        (None, Some(resource)) => kraube::provider::discover(Source::Resource(resource), path, client_id),
        (None, None) => kraube::provider::find(&args.provider, path, client_id),
    };
    let mut provider = found.map_err(|error| Failed::of((&error).into(), &error))?;
    provider.dpop = provider.dpop.or(args.dpop);
    if !args.scope.is_empty() {
        provider.scopes.clone_from(&args.scope);
    }
    kraube::provider::identify(provider, path).map_err(|error| Failed::of((&error).into(), &error))
}

fn start(provider: &Provider, path: Option<&Path>) -> Result<Code, Failed> {
    let (url, _) = kraube::login::start(provider, path)?;
    ui::print(|out| writeln!(out, "{url}"))?;
    ui::say("");
    ui::hint(
        "open the address, agree, and give the code, or the address of the last page, to `kraube login --finish` on \
         its standard input, within ten minutes",
    );
    Ok(Code::Ok)
}

fn show(event: Event<'_>, paste: bool) {
    match event {
        Event::OpenThis { url, redirect } => {
            ui::say("Log in at this address:\n");
            ui::say(url);
            ui::say("");
            match (redirect, paste) {
                (Redirect::Manual, _) => ui::say("Then paste the code that you are shown:"),
                (_, true) => ui::say(
                    "Waiting for the browser. Where it runs on another machine, the page that it\n\
                     ends on cannot be loaded: copy its address from the address bar to here.",
                ),
                (_, false) => ui::say("Waiting for the browser."),
            }
        }
        Event::EnterCode { instructions } => enter_code(instructions),
        Event::BrowserFailed { why } => ui::warn(&format!("no browser was opened: {why}")),
        Event::Ignored(reason) => ui::warn(&format!("ignored, and still waiting: {reason}")),
        Event::Received => ui::say("The answer is here; exchanging the code."),
        Event::Exchanging => EXCHANGING.store(true, Ordering::SeqCst),
        Event::Pending => EXCHANGING.store(false, Ordering::SeqCst),
        Event::Listening { .. } | Event::BrowserOpened | _ => {}
    }
}

fn enter_code(instructions: &Instructions) {
    ui::say("On another machine, open this address:\n");
    ui::say(&instructions.verification_uri);
    ui::say("\nand type in this code:\n");
    ui::say(format_args!("  {}", instructions.user_code));
    let address = instructions.verification_uri_complete.as_ref().unwrap_or(&instructions.verification_uri);
    if io::stderr().is_terminal()
        && let Ok(code) = qrcode::QrCode::new(address.as_str())
    {
        // Light on dark, as most terminals are.
        let picture = code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build();
        ui::say(format_args!("\nor scan this:\n\n{picture}"));
    }
    ui::say("\nWaiting for your decision there.");
}

fn done(LoggedIn { credentials, path, .. }: &LoggedIn) -> Result<Code, Failed> {
    // Without a full stop, so that the path can be picked with a double click.
    ui::say(format_args!("Logged in. The credentials are in {}", ui::plain(&path.display().to_string())));
    ui::say(format_args!(
        "The access token lives until {} ({}).",
        ui::date(credentials.expires_at),
        ui::relative(credentials.expires_at)
    ));
    ui::say(match credentials.refresh_token {
        Some(_) => "It is refreshed when it is due.",
        None => "The server gave no refresh token, so log in again then.",
    });
    ui::say("`kraube token` prints it, and `kraube exec` runs a program with it.");
    Ok(Code::Ok)
}

impl From<LoginError> for Failed {
    fn from(error: LoginError) -> Self {
        let failed = Self::of((&error).into(), &error);
        let hint = match error.code() {
            "nothing_pending" => Some("begin one with `kraube login --start`"),
            "missing_client_id" => Some("without an application and an account, `kraube demo` shows how it works"),
            _ => error.hint(),
        };
        hint.into_iter().fold(failed, Self::hint)
    }
}
