//! Opening the browser (RFC 8252 section 4.1). It never holds the login up, and no shell sees the URL.

use kraube_core::login::AuthorizationUrl;
use std::ffi::OsString;

/// Why no browser is tried here, and what to do instead.
pub(super) fn unavailable() -> Option<&'static str> {
    judge(|name| std::env::var_os(name))
}

/// Opens the URL on a thread of its own, since finding the browser asks other programs and a text browser stays.
pub(super) fn open(url: &AuthorizationUrl, report: impl FnOnce(Result<(), String>) + Send + 'static) {
    let url = url.as_str().to_owned();
    let opening = move || {
        // The browser's output is dropped: standard output belongs to the program. The URL is one argument that begins
        // with http, and the feature `hardened` refuses other schemes.
        let opened = webbrowser::open(&url);
        report(opened.map_err(|error| error.to_string()));
    };
    // Without a thread there is no report, and the URL is still there to be opened by hand.
    drop(std::thread::Builder::new().name("kraube-browser".into()).spawn(opening));
}

const SSH: &str = "this is an SSH session, whose browser runs elsewhere: paste the answer here, or forward the port of the \
                   redirect URI (ssh -L PORT:localhost:PORT)";
const NO_DISPLAY: &str = "there is no display here: open the URL on another machine and paste the answer, or name a \
                          browser in BROWSER";
const TEXT: &str = "BROWSER names a text browser, which would take this terminal: open the URL elsewhere";

fn judge(var: impl Fn(&str) -> Option<OsString>) -> Option<&'static str> {
    let set = |name| var(name).is_some_and(|value| !value.is_empty());
    // Also within SSH: editors that work remotely set it to a command that opens the browser of their own machine.
    if cfg!(not(any(windows, target_os = "macos"))) && set("BROWSER") {
        let named = var("BROWSER").unwrap_or_default();
        return named.to_str().is_some_and(is_text_browser).then_some(TEXT);
    }
    let display = set("DISPLAY") || set("WAYLAND_DISPLAY");
    let needs_display = cfg!(not(any(windows, target_os = "macos"))) && !set("WSL_DISTRO_NAME");
    match display {
        true => None,
        false if set("SSH_CONNECTION") => Some(SSH),
        false => needs_display.then_some(NO_DISPLAY),
    }
}

/// Whether the first command in `BROWSER` is one that is run in the foreground.
fn is_text_browser(commands: &str) -> bool {
    const NAMES: [&str; 8] = ["lynx", "links", "links2", "elinks", "w3m", "eww", "www-browser", "curl"];
    let command = commands.split([':', ' ']).next().unwrap_or_default();
    NAMES.contains(&command.rsplit('/').next().unwrap_or_default())
}

#[cfg(all(test, unix, not(target_os = "macos")))]
mod tests {
    use super::*;

    fn with(vars: &[(&str, &str)]) -> Option<&'static str> {
        judge(|name| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value)))
    }

    #[test]
    fn a_browser_is_tried_only_where_the_person_can_see_it() {
        let (ssh, display) = (("SSH_CONNECTION", "10.0.0.1 1 10.0.0.2 22"), ("DISPLAY", ":0"));
        assert_eq!(with(&[display]), None);
        assert_eq!(with(&[("WAYLAND_DISPLAY", "wayland-0")]), None);
        assert_eq!(with(&[ssh]), Some(SSH));
        assert_eq!(with(&[ssh, display]), None);
        assert_eq!(with(&[ssh, ("DISPLAY", "")]), Some(SSH));
        assert_eq!(with(&[ssh, ("BROWSER", "/opt/editor/open %s")]), None);
        assert_eq!(with(&[]), Some(NO_DISPLAY));
        assert_eq!(with(&[("WSL_DISTRO_NAME", "Debian")]), None);
        for text in ["lynx", "/usr/bin/w3m -o x", "www-browser:firefox"] {
            assert_eq!(with(&[display, ("BROWSER", text)]), Some(TEXT), "{text}");
        }
    }
}
