//! The pages that a browser is shown at the redirect URI: bytes that never change, so nothing of a request can be in
//! them. Without scripts, and with the one style that the policy names by its hash.

/// What is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    /// The code was received: the browser is sent on, so that it is not in the address that the history keeps.
    Received,
    /// Where the browser is sent on to.
    Done,
    /// The person or the server said no.
    Denied,
    /// Not the answer that this login waits for.
    Ignored,
    /// The request cannot be understood, or has a body.
    BadRequest,
    /// The `Host` is not ours (DNS rebinding).
    WrongHost,
    /// Another path.
    NotFound,
    /// Another method than `GET`.
    NotGet,
    /// A request line above 8 KiB.
    LineTooLong,
    /// A head above 16 KiB.
    HeadTooLong,
    /// Another version than HTTP/1.1.
    Version,
}

/// Where the browser ends. The code is not in this address.
pub(super) const DONE: &str = "/done";

impl Page {
    /// The whole response. The connection is closed after each.
    pub(super) fn response(self) -> Vec<u8> {
        let (status, title, text) = self.parts();
        let mut extra = String::new();
        if self == Self::Received {
            extra = format!("Location: {DONE}\r\n");
        } else if self == Self::NotGet {
            extra = "Allow: GET\r\n".to_owned();
        }
        let body = format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
             <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head>\
             <body><main><h1>{title}</h1><p>{text}</p></main></body></html>"
        );
        let length = body.len();
        format!(
            "HTTP/1.1 {status}\r\n{extra}Content-Type: text/html; charset=utf-8\r\nContent-Length: {length}\r\n\
             Content-Security-Policy: default-src 'none'; style-src '{STYLE_HASH}'; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'\r\n\
             X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nCache-Control: no-store\r\n\
             Connection: close\r\n\r\n{body}"
        )
        .into_bytes()
    }

    fn parts(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Received => ("303 See Other", "Answer received", "You can close this page."),
            Self::Done => (
                "200 OK",
                "Answer received",
                "You can close this page and go back to the program, which says whether you are logged in.",
            ),
            Self::Denied => {
                ("200 OK", "Not logged in", "Access was not granted. You can close this page; the program says more.")
            }
            Self::Ignored => (
                "400 Bad Request",
                "Not the awaited answer",
                "This is not the answer that the login waits for, which goes on. Use the newest login page.",
            ),
            Self::BadRequest => ("400 Bad Request", "Bad request", "This request cannot be understood here."),
            Self::WrongHost => ("403 Forbidden", "Forbidden", "This address is not served here."),
            Self::NotFound => ("404 Not Found", "Not found", "There is nothing at this address."),
            Self::NotGet => ("405 Method Not Allowed", "Method not allowed", "Only GET is answered here."),
            Self::LineTooLong => ("414 URI Too Long", "Address too long", "The address is longer than 8 KiB."),
            Self::HeadTooLong => (
                "431 Request Header Fields Too Large",
                "Request too large",
                "The header fields are larger than 16 KiB.",
            ),
            Self::Version => ("505 HTTP Version Not Supported", "HTTP/1.1 only", "Only HTTP/1.1 is spoken here."),
        }
    }
}

const STYLE: &str = "body{margin:0;min-height:100vh;display:grid;place-items:center;background:#f6f5f2;color:#22201c;\
font:1.05rem/1.6 system-ui,sans-serif}main{max-width:30rem;margin:1rem;padding:2rem 2.5rem;background:#fff;\
border-radius:.75rem;box-shadow:0 1px 8px #0002}h1{margin:0 0 .5rem;font-size:1.4rem}p{margin:0}\
@media(prefers-color-scheme:dark){body{background:#171614;color:#eceae4}main{background:#23211e}}";

/// The SHA-256 of [`STYLE`] in base64, as a content security policy names it.
const STYLE_HASH: &str = "sha256-7rMqIS3qec9I+A2fhXIcYR/HLXW4NADKYyai2XZ/pYQ=";

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use sha2::{Digest, Sha256};

    const ALL: [Page; 11] = [
        Page::Received,
        Page::Done,
        Page::Denied,
        Page::Ignored,
        Page::BadRequest,
        Page::WrongHost,
        Page::NotFound,
        Page::NotGet,
        Page::LineTooLong,
        Page::HeadTooLong,
        Page::Version,
    ];

    #[test]
    fn the_policy_names_the_style_that_is_served() {
        let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(STYLE));
        assert_eq!(STYLE_HASH, format!("sha256-{hash}"));
    }

    #[test]
    fn every_response_is_whole_and_has_the_protecting_headers() {
        for page in ALL {
            let response = String::from_utf8(page.response()).expect("it is ASCII");
            let (head, body) = response.split_once("\r\n\r\n").expect("a head and a body");
            let has = |header: &str| head.split("\r\n").any(|line| line == header);
            for header in [
                "Content-Type: text/html; charset=utf-8",
                "X-Content-Type-Options: nosniff",
                "Referrer-Policy: no-referrer",
                "Cache-Control: no-store",
                "Connection: close",
            ] {
                assert!(has(header), "{page:?}: {header}");
            }
            assert!(has(&format!("Content-Length: {}", body.len())), "{page:?}");
            assert!(head.contains("Content-Security-Policy: default-src 'none'; style-src 'sha256-"), "{page:?}");
            assert!(head.contains("frame-ancestors 'none'") && !head.contains("unsafe"), "{page:?}");
            assert!(!head.to_lowercase().contains("access-control"), "{page:?}");
            assert!(!body.contains("<script") && !body.contains("http:") && !body.contains("https:"), "{page:?}");
        }
    }
}
