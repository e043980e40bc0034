//! Millions of small entries, each packed as it is committed: what is in memory is what is in the log.
//!
//! An entry is one allocation: the length of its key, the key, the packed value. They are kept in the order of keys, so that
//! whoever goes through all of them can stop and go on. Must not know what is packed.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::Bound;

use calltide_eventlog::Change;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Written before every packed value: another layout is another number, and the state is then derived anew.
const LAYOUT: u8 = 1;

/// Key and value of an entry in one piece.
#[derive(Debug, Clone)]
struct Entry(Box<[u8]>);

impl Entry {
    fn new(key: &[u8], value: &[u8]) -> Self {
        // Keys are ids and numbers; one that is longer is refused before it gets here.
        let length = u16::try_from(key.len()).unwrap_or(u16::MAX);
        Self([&length.to_le_bytes(), key, value].concat().into())
    }

    fn parts(&self) -> (&[u8], &[u8]) {
        match self.0.split_first_chunk::<2>() {
            Some((length, rest)) => {
                rest.split_at_checked(usize::from(u16::from_le_bytes(*length))).unwrap_or((rest, &[]))
            }
            None => (&[], &[]),
        }
    }
}

impl Borrow<[u8]> for Entry {
    fn borrow(&self) -> &[u8] {
        self.parts().0
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.parts().0 == other.parts().0
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts().0.cmp(other.parts().0)
    }
}

/// See the module. Keys begin with a letter that says what the entry is.
#[derive(Debug, Default)]
pub(crate) struct Store {
    entries: BTreeSet<Entry>,
    changed: BTreeSet<Box<[u8]>>,
}

impl Store {
    /// Takes an entry in as it was committed; `false` if it has another layout.
    pub(crate) fn restore(&mut self, key: &[u8], value: &[u8]) -> bool {
        self.entries.insert(Entry::new(key, value));
        value.first() == Some(&LAYOUT)
    }

    pub(crate) fn get<T: DeserializeOwned>(&self, key: &[u8]) -> Option<T> {
        self.entries.get(key).and_then(|entry| unpack(entry.parts().1))
    }

    pub(crate) fn has(&self, key: &[u8]) -> bool {
        self.entries.contains(key)
    }

    pub(crate) fn put(&mut self, key: &[u8], value: &impl Serialize) {
        let Ok(packed) = postcard::to_extend(value, vec![LAYOUT]) else { return };
        let entry = Entry::new(key, &packed);
        if self.entries.get(key).is_some_and(|known| known.0 == entry.0) {
            return;
        }
        self.entries.replace(entry);
        self.changed.insert(key.into());
    }

    pub(crate) fn remove(&mut self, key: &[u8]) {
        if self.entries.remove(key) {
            self.changed.insert(key.into());
        }
    }

    /// The keys that begin with `prefix`, from the first one after `after` on.
    pub(crate) fn keys<'a>(&'a self, prefix: &'a [u8], after: Option<&'a [u8]>) -> impl Iterator<Item = &'a [u8]> {
        let from = after.map_or(Bound::Included(prefix), Bound::Excluded);
        let range = self.entries.range::<[u8], _>((from, Bound::Unbounded));
        range.map(|entry| entry.parts().0).take_while(move |key| key.starts_with(prefix))
    }

    /// All entries whose key begins with `prefix`, unpacked.
    pub(crate) fn all<'a, T: DeserializeOwned>(&'a self, prefix: &'a [u8]) -> impl Iterator<Item = (&'a [u8], T)> {
        let range = self.entries.range::<[u8], _>((Bound::Included(prefix), Bound::Unbounded));
        let within = range.map(Entry::parts).take_while(move |(key, _)| key.starts_with(prefix));
        within.filter_map(|(key, value)| Some((key, unpack(value)?)))
    }

    /// The last key before `key` that begins with `prefix`.
    pub(crate) fn last_before(&self, prefix: &[u8], key: &[u8]) -> Option<&[u8]> {
        let range = self.entries.range::<[u8], _>((Bound::Unbounded, Bound::Excluded(key)));
        range.map(|entry| entry.parts().0).next_back().filter(|key| key.starts_with(prefix))
    }

    /// The same from the key `from` on.
    pub(crate) fn all_from<'a, T: DeserializeOwned>(
        &'a self,
        prefix: &'a [u8],
        from: &'a [u8],
    ) -> impl Iterator<Item = (&'a [u8], T)> {
        let range = self.entries.range::<[u8], _>((Bound::Included(from), Bound::Unbounded));
        let within = range.map(Entry::parts).take_while(move |(key, _)| key.starts_with(prefix));
        within.filter_map(|(key, value)| Some((key, unpack(value)?)))
    }

    /// The entries that changed since the last call.
    pub(crate) fn changes(&mut self) -> Vec<Change> {
        let changed = std::mem::take(&mut self.changed);
        let value = |key: &[u8]| self.entries.get(key).map(|entry| entry.parts().1.to_vec());
        changed.into_iter().map(|key| Change { value: value(&key), key: key.into() }).collect()
    }
}

/// What a key says beyond its letter.
pub(crate) fn name(key: &[u8]) -> Option<String> {
    std::str::from_utf8(key.get(1..)?).ok().map(str::to_owned)
}

fn unpack<T: DeserializeOwned>(packed: &[u8]) -> Option<T> {
    match packed.split_first() {
        Some((&LAYOUT, rest)) => postcard::from_bytes(rest).ok(),
        Some(_) | None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_kept_in_the_order_of_keys_and_what_changed_is_told_once() {
        let mut store = Store::default();
        for (key, value) in [("kb/2", 2_u32), ("ka/1", 1), ("kb/1", 3), ("r", 4)] {
            store.put(key.as_bytes(), &value);
        }
        store.remove(b"ka/1");
        store.remove(b"ka/1");
        let changes = store.changes();
        let told: Vec<_> = changes.iter().map(|change| (&*change.key, change.value.is_some())).collect();
        assert_eq!(told, [(&b"ka/1"[..], false), (b"kb/1", true), (b"kb/2", true), (b"r", true)]);
        assert_eq!(store.changes(), []);
        store.put(b"kb/1", &3_u32);
        assert_eq!(store.changes(), [], "what stays as it is has not changed");
        assert_eq!(store.keys(b"kb/", None).collect::<Vec<_>>(), [b"kb/1", b"kb/2"]);
        assert_eq!(store.keys(b"kb/", Some(b"kb/1")).collect::<Vec<_>>(), [b"kb/2"]);

        let mut restored = Store::default();
        for Change { key, value } in changes {
            assert!(value.is_none_or(|value| restored.restore(&key, &value)));
        }
        assert_eq!(restored.all::<u32>(b"").map(|(_, value)| value).collect::<Vec<_>>(), [3, 2, 4]);
        assert!(!restored.restore(b"k", &[LAYOUT + 1]));
    }
}
