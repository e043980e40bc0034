//! A recording repeated as often as wanted, each copy at its own time with its own ids, as if the day went on.
//!
//! Uniqueids begin with the second of their creation, so moving every time by a whole number of seconds makes them distinct;
//! bridges get another id. Everything else stays as it was recorded.

use std::ops::Range;

use jiff::civil::DateTime;
use jiff::{Span, ToSpan};

const DAY_SECS: i64 = 24 * 60 * 60;

/// One recorded file as a template.
pub(crate) struct Repeated {
    bytes: Vec<u8>,
    marks: Vec<Mark>,
}

/// Something in the bytes that is different in each copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// Ten digits: seconds since 1970.
    Epoch { at: usize, secs: i64 },
    /// `YYYY-MM-DD HH:MM:SS`.
    Local { at: usize, time: DateTime },
    /// The first eight digits of a UUID.
    Uuid { at: usize, head: u32 },
}

impl Repeated {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        let days = recorded_days(&bytes);
        let mut marks = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            match mark(&bytes, at, &days) {
                Some((mark, len)) => {
                    marks.push(mark);
                    at += len;
                }
                None => at += 1,
            }
        }
        Self { bytes, marks }
    }

    /// First and last second told in the file.
    pub(crate) fn seconds(&self) -> Option<(i64, i64)> {
        let secs = self.marks.iter().filter_map(|mark| match *mark {
            Mark::Epoch { secs, .. } => Some(secs),
            Mark::Local { .. } | Mark::Uuid { .. } => None,
        });
        secs.clone().min().zip(secs.max())
    }

    /// The nth copy, `shift_secs` later.
    pub(crate) fn copy(&self, nth: u32, shift_secs: i64) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        for mark in &self.marks {
            let (at, text) = match *mark {
                Mark::Epoch { at, secs } => (at, (secs + shift_secs).to_string()),
                Mark::Local { at, time } => {
                    let later: Span = shift_secs.seconds();
                    (at, time.saturating_add(later).strftime("%Y-%m-%d %H:%M:%S").to_string())
                }
                Mark::Uuid { at, head } => (at, format!("{:08x}", head ^ nth)),
            };
            bytes[at..at + text.len()].copy_from_slice(text.as_bytes());
        }
        bytes
    }
}

/// The seconds around the first `Timestamp`: other numbers of ten digits, such as an RTP stream's id, are no times.
fn recorded_days(bytes: &[u8]) -> Range<i64> {
    const NAME: &[u8] = b"Timestamp: ";
    let first = bytes.windows(NAME.len()).position(|window| window == NAME).map(|at| at + NAME.len());
    let digits = first.and_then(|at| std::str::from_utf8(bytes.get(at..at + 10)?).ok());
    let secs: i64 = digits.and_then(|digits| digits.parse().ok()).unwrap_or(0);
    secs - DAY_SECS..secs + DAY_SECS
}

/// A mark that begins at `at`, and how long it is.
fn mark(bytes: &[u8], at: usize, days: &Range<i64>) -> Option<(Mark, usize)> {
    let starts = at == 0 || !bytes[at - 1].is_ascii_alphanumeric();
    if !starts || !bytes[at].is_ascii_hexdigit() {
        return None;
    }
    let digits = bytes[at..].iter().take(20).take_while(|b| b.is_ascii_digit()).count();
    let text = |len: usize| std::str::from_utf8(bytes.get(at..at + len)?).ok();
    if digits == 10 {
        let secs: i64 = text(10)?.parse().ok()?;
        return days.contains(&secs).then_some((Mark::Epoch { at, secs }, 10));
    }
    if digits == 4 && bytes.get(at + 4) == Some(&b'-') && bytes.get(at + 10) == Some(&b' ') {
        let time = DateTime::strptime("%Y-%m-%d %H:%M:%S", text(19)?).ok()?;
        return Some((Mark::Local { at, time }, 19));
    }
    let uuid = text(36)?;
    let dashes = [8, 13, 18, 23].iter().all(|&i| uuid.as_bytes()[i] == b'-');
    let head = u32::from_str_radix(&uuid[..8], 16).ok().filter(|_| dashes)?;
    Some((Mark::Uuid { at, head }, 36))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_moves_times_and_ids_and_nothing_else() {
        let line = b"Timestamp: 1795345923.240637\r\nUniqueid: site-a-1795345923.0\r\nBridge: addbd600-d7ad-4899-af9f-c61d8e94984c\r\n\
            \"2026-11-22 11:12:59.240328\" 749500002002 101 ssrc=1598692627\r\n";
        let repeated = Repeated::new(line.to_vec());
        assert_eq!(repeated.seconds(), Some((1_795_345_923, 1_795_345_923)));
        assert_eq!(repeated.copy(0, 0), line);
        let copy = String::from_utf8(repeated.copy(1, 60)).expect("text");
        assert_eq!(
            copy,
            "Timestamp: 1795345983.240637\r\nUniqueid: site-a-1795345983.0\r\nBridge: addbd601-d7ad-4899-af9f-c61d8e94984c\r\n\
            \"2026-11-22 11:13:59.240328\" 749500002002 101 ssrc=1598692627\r\n"
        );
    }
}
