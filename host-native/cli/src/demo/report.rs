//! What a worker process tells the demo, one line each. No line holds a secret.

use std::fmt;
use std::time::Duration;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// Its token is used up; it asks for the lock.
    Waiting,
    /// It has the lock.
    Locked,
    /// It wrote the mark and sends the refresh token now.
    Redeeming,
    /// New tokens are stored.
    Stored,
    /// It got a token, and waited this long where it had to ask for the lock.
    Token(Option<Duration>),
    /// How the protected resource answered to the token.
    Resource(u16),
    /// It got no token, for the reason of this name.
    Failed(String),
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting => f.write_str("waiting"),
            Self::Locked => f.write_str("locked"),
            Self::Redeeming => f.write_str("redeeming"),
            Self::Stored => f.write_str("stored"),
            Self::Token(None) => f.write_str("token"),
            Self::Token(Some(waited)) => write!(f, "token {}", waited.as_micros()),
            Self::Resource(status) => write!(f, "resource {status}"),
            Self::Failed(code) => write!(f, "failed {code}"),
        }
    }
}

impl Report {
    /// Reads a line; `None` for anything that is not a report, the message of a panic say.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let (word, rest) = line.split_once(' ').map_or((line, None), |(word, rest)| (word, Some(rest)));
        match (word, rest) {
            ("waiting", None) => Some(Self::Waiting),
            ("locked", None) => Some(Self::Locked),
            ("redeeming", None) => Some(Self::Redeeming),
            ("stored", None) => Some(Self::Stored),
            ("token", None) => Some(Self::Token(None)),
            ("token", Some(waited)) => Some(Self::Token(Some(Duration::from_micros(waited.parse().ok()?)))),
            ("resource", Some(status)) => Some(Self::Resource(status.parse().ok()?)),
            ("failed", Some(code)) => Some(Self::Failed(code.to_owned())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_report_survives_the_pipe() {
        let waited = Duration::from_micros(93_417);
        let reports = [
            Report::Waiting,
            Report::Locked,
            Report::Redeeming,
            Report::Stored,
            Report::Token(None),
            Report::Token(Some(waited)),
            Report::Resource(401),
            Report::Failed("rotation_lost".into()),
        ];
        for report in reports {
            assert_eq!(Report::parse(&report.to_string()), Some(report));
        }
        assert_eq!(Report::parse("thread 'kraube' panicked at worker.rs"), None);
    }
}
