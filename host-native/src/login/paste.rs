//! What a person pastes: one answer on a line.

use super::Arrival;
use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc;
use zeroize::Zeroizing;

/// More of a line than the core looks at.
const MAX_LINE: u64 = 16 * 1024;

/// Reads lines on a thread of its own until the reader ends or the login is over. A read that blocks cannot be ended:
/// the thread stays with the process then, and swallows at most one line.
pub(super) fn start(reader: Box<dyn Read + Send>, arrivals: mpsc::Sender<Arrival>) -> std::io::Result<()> {
    let reading = move || {
        let mut reader = BufReader::new(reader);
        while let Ok(Some(line)) = read_line(&mut reader) {
            if arrivals.send(Arrival::Pasted(line)).is_err() {
                break;
            }
        }
    };
    std::thread::Builder::new().name("kraube-paste".into()).spawn(reading).map(drop)
}

/// One line, of which the core need not see more than is too much. `None` at the end.
fn read_line(reader: &mut impl BufRead) -> std::io::Result<Option<Zeroizing<String>>> {
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_LINE as usize));
    if reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.last() != Some(&b'\n') {
        reader.skip_until(b'\n')?;
    }
    Ok(Some(Zeroizing::new(String::from_utf8_lossy(&line).into_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_and_the_last_needs_no_end() {
        let text = format!("one\n{}\nthree", "x".repeat(1 << 20));
        let mut reader = text.as_bytes();
        let mut next = || read_line(&mut reader).expect("memory can be read").map(|line| line.to_string());
        assert_eq!(next().as_deref(), Some("one\n"));
        assert_eq!(next().map(|line| line.len()), Some(MAX_LINE as usize));
        assert_eq!(next().as_deref(), Some("three"));
        assert_eq!(next(), None);
    }
}
