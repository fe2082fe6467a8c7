//! Where the credentials are, unless a program says otherwise. The command and the library ask the same function.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

/// The path that was given, or the default one.
///
/// # Errors
/// An empty path was given, or [`default_credentials_path`] failed.
pub fn credentials_path(explicit: Option<&Path>) -> Result<PathBuf, PathError> {
    match explicit {
        // An unset variable in a script must not turn into the default file.
        Some(path) if path.as_os_str().is_empty() => Err(PathError::Empty),
        Some(path) => Ok(path.to_path_buf()),
        None => default_credentials_path(),
    }
}

/// `KRAUBE_CREDENTIALS_PATH`, else `$XDG_CONFIG_HOME/kraube/credentials.json`, else
/// `~/.config/kraube/credentials.json` (on Windows under `%USERPROFILE%`).
///
/// # Errors
/// [`PathError::NoHome`] where none of them is set.
pub fn default_credentials_path() -> Result<PathBuf, PathError> {
    lookup(|name| std::env::var_os(name))
}

/// The credentials of the profile `name`, for several accounts: `profiles/NAME/credentials.json` beside the
/// [default ones](default_credentials_path).
///
/// # Errors
/// [`PathError::Profile`]: the name has other characters than `a` to `z`, digits, `-` and `_`, begins with neither letter
/// nor digit, is longer than 64, or is that of a device on Windows. The others are the same, and allowed, on every file
/// system.
pub fn profile_path(name: &str) -> Result<PathBuf, PathError> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    let good = name.len() <= 64 && name.chars().all(plain) && !name.starts_with(['-', '_']) && !name.is_empty();
    if !good || DEVICES.contains(&name.trim_end_matches(|c: char| c.is_ascii_digit())) {
        return Err(PathError::Profile);
    }
    let default = default_credentials_path()?;
    let file = default.file_name().ok_or(PathError::Empty)?;
    Ok(default.with_file_name(PROFILES).join(name).join(file))
}

/// Where a file is that all profiles share, if there is none beside these credentials.
pub(crate) fn shared(credentials: &Path, name: &str) -> Option<PathBuf> {
    let profiles = credentials.parent()?.parent().filter(|dir| dir.file_name().is_some_and(|name| name == PROFILES))?;
    Some(profiles.with_file_name(name))
}

/// The directory of all profiles.
const PROFILES: &str = "profiles";
/// What is a device on Windows in every directory, some with a digit.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "com", "lpt"];

/// There is no path for the credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathError {
    /// The given path is empty.
    Empty,
    /// The environment names neither the file nor a home directory.
    NoHome,
    /// The name of a profile cannot be one of a directory everywhere.
    Profile,
}

impl PathError {
    /// A stable name for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Empty => "path_empty",
            Self::NoHome => "path_no_home",
            Self::Profile => "path_profile",
        }
    }
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the path of the credentials is empty; give one, or none for the default"),
            Self::Profile => {
                f.write_str("the name of a profile is made of a to z, digits, - and _, begins with a letter or digit, and names no device")
            }
            Self::NoHome => {
                write!(f, "{HOME} is not set to an absolute path; set it, or set {OVERRIDE} to the path of the file")
            }
        }
    }
}

impl std::error::Error for PathError {}

const OVERRIDE: &str = "KRAUBE_CREDENTIALS_PATH";
const HOME: &str = if cfg!(windows) { "USERPROFILE" } else { "HOME" };

fn lookup(var: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, PathError> {
    let path = |name| var(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(file) = path(OVERRIDE) {
        return Ok(file);
    }
    // The XDG base directory specification: a relative path here is invalid and is to be ignored.
    let config = path("XDG_CONFIG_HOME").filter(|dir| dir.is_absolute());
    let home = || path(HOME).filter(|dir| dir.is_absolute()).map(|dir| dir.join(".config"));
    let config = config.or_else(home).ok_or(PathError::NoHome)?;
    Ok(config.join("kraube").join("credentials.json"))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn with(vars: &[(&str, &str)]) -> Result<PathBuf, PathError> {
        lookup(|name| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value)))
    }

    #[test]
    fn the_first_that_is_set_wins() {
        let all = [(OVERRIDE, "rel/file.json"), ("XDG_CONFIG_HOME", "/xdg"), ("HOME", "/home/u")];
        assert_eq!(with(&all), Ok("rel/file.json".into()));
        assert_eq!(with(&all[1..]), Ok("/xdg/kraube/credentials.json".into()));
        assert_eq!(with(&all[2..]), Ok("/home/u/.config/kraube/credentials.json".into()));
        assert_eq!(with(&[]), Err(PathError::NoHome));
    }

    #[test]
    fn empty_and_relative_values_do_not_count() {
        let vars = [(OVERRIDE, ""), ("XDG_CONFIG_HOME", "relative"), ("HOME", "/h")];
        assert_eq!(with(&vars), Ok("/h/.config/kraube/credentials.json".into()));
        assert_eq!(with(&[("XDG_CONFIG_HOME", ""), ("HOME", "")]), Err(PathError::NoHome));
        assert_eq!(with(&[("HOME", "relative")]), Err(PathError::NoHome));
    }

    #[test]
    fn a_profile_is_a_plain_name() {
        for bad in ["", "..", "a/b", "Work", "a.b", "-a", "_a", "con", "com1", "a b", "\u{e9}", &"a".repeat(65)] {
            assert_eq!(profile_path(bad), Err(PathError::Profile), "{bad}");
        }
    }

    #[test]
    fn what_profiles_share_is_beside_the_default_credentials() {
        let profile = Path::new("/c/profiles/work/credentials.json");
        assert_eq!(shared(profile, "providers.toml"), Some("/c/providers.toml".into()));
        assert_eq!(shared(Path::new("/c/credentials.json"), "providers.toml"), None);
    }

    #[test]
    fn an_explicit_path_is_taken_as_it_is_but_never_empty() {
        assert_eq!(credentials_path(Some(Path::new("a/b"))), Ok("a/b".into()));
        assert_eq!(credentials_path(Some(Path::new(""))), Err(PathError::Empty));
    }
}
