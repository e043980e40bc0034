//! Which partition a key belongs to: as Kafka's own clients decide it, so that producers in any language agree.
//!
//! Java's default partitioner: 32-bit murmur2 of the key's bytes, without its sign, modulo the number of partitions
//! (`org.apache.kafka.common.utils.Utils.murmur2`). It holds for every log, so that records keep their place when they move
//! from one kind of log to another.

use crate::Partition;

const SEED: u32 = 0x9747_b28c;
const MIX: u32 = 0x5bd1_e995;

/// The partition of a key in a topic of so many partitions.
pub fn partition_of(key: &[u8], partitions: u32) -> Partition {
    (murmur2(key) & 0x7fff_ffff) % partitions.max(1)
}

fn murmur2(bytes: &[u8]) -> u32 {
    let (words, rest) = bytes.as_chunks::<4>();
    // Java's arrays are at most as long as fits.
    let mut hash = SEED ^ u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    for word in words {
        let mut mixed = u32::from_le_bytes(*word).wrapping_mul(MIX);
        mixed ^= mixed >> 24;
        hash = hash.wrapping_mul(MIX) ^ mixed.wrapping_mul(MIX);
    }
    if !rest.is_empty() {
        let last = rest.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
        hash = (hash ^ last).wrapping_mul(MIX);
    }
    hash = (hash ^ hash >> 13).wrapping_mul(MIX);
    hash ^ hash >> 15
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of Kafka's own tests (`UtilsTest.testMurmur2`).
    #[test]
    fn hashes_are_those_of_kafkas_java_client() {
        for (key, expected) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), expected, "{key}");
        }
    }

    #[test]
    fn a_partition_is_within_the_topic() {
        for partitions in 0..20 {
            for n in 0..100 {
                assert!(partition_of(format!("pbx-{n}").as_bytes(), partitions) < partitions.max(1));
            }
        }
        assert_eq!(partition_of(b"foobar", 10), (790_332_482_u32.wrapping_neg() & 0x7fff_ffff) % 10);
    }
}
