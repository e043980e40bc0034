//! Which bytes of a string JSON writes as they are: most of every event is such text, looked through twice on its way.
//!
//! Eight bytes at a time, as one number; the lowest byte that a test marks is always right, those above it need not be.

const ONES: u64 = u64::MAX / 255;
const HIGH: u64 = ONES << 7;

/// How many bytes come before the first quote, backslash or control character.
pub fn plain(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    for (nth, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = equal(word, b'"') | equal(word, b'\\') | control(word);
        if found != 0 {
            return nth * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let special = |&byte: &u8| byte < b' ' || byte == b'"' || byte == b'\\';
    bytes.len() - rest.len() + rest.iter().position(special).unwrap_or(rest.len())
}

/// Marks the bytes that equal this one in their highest bit.
const fn equal(word: u64, byte: u8) -> u64 {
    let differs = word ^ (ONES * byte as u64);
    differs.wrapping_sub(ONES) & !differs & HIGH
}

/// Marks the bytes below a space in their highest bit.
const fn control(word: u64) -> u64 {
    word.wrapping_sub(ONES * b' ' as u64) & !word & HIGH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_that_is_escaped_is_found_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            for length in 1..20 {
                for at in 0..length {
                    for filler in [b' ', b'a', b'!', b'#', b'[', b']', 0x7f, 0x80, 0xff] {
                        let mut bytes = vec![filler; length];
                        bytes[at] = byte;
                        let escaped = byte < b' ' || byte == b'"' || byte == b'\\';
                        let expected = if escaped { at } else { length };
                        assert_eq!(plain(&bytes), expected, "{byte:#x} at {at} of {length} among {filler:#x}");
                        bytes.extend(*b"\"\\\x1f");
                        assert_eq!(
                            plain(&bytes),
                            expected,
                            "{byte:#x} at {at} of {length} among {filler:#x}, more after"
                        );
                    }
                }
            }
        }
    }
}
