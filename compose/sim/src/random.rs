//! Randomness that is the same for the same seed, whatever order things are asked in.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The generator everything is drawn from.
pub(crate) type Rng = ChaCha8Rng;

/// A generator of its own for one purpose: seed, a label and a position.
pub(crate) fn generator(seed: u64, label: &str, position: i64) -> Rng {
    Rng::seed_from_u64(hash(seed, label) ^ position.unsigned_abs().wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

/// FNV-1a of a label, mixed with a seed.
pub(crate) fn hash(seed: u64, label: &str) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325 ^ seed.wrapping_mul(0x2545_F491_4F6C_DD1D);
    label.bytes().fold(start, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

/// So many lower-case hexadecimal digits.
pub(crate) fn hex(rng: &mut Rng, digits: usize) -> String {
    (0..digits).filter_map(|_| char::from_digit(rng.random_range(0..16), 16)).collect()
}

/// A version 4 UUID.
pub(crate) fn uuid(rng: &mut Rng) -> String {
    let d = hex(rng, 30);
    let part = |from: usize, to: usize| d.get(from..to).unwrap_or_default();
    format!("{}-{}-4{}-a{}-{}", part(0, 8), part(8, 12), part(12, 15), part(15, 18), part(18, 30))
}

/// Rounds up or down so that the mean is right.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and not negative")]
pub(crate) fn round(rng: &mut Rng, value: f64) -> u32 {
    let value = value.max(0.0);
    let floor = value.floor();
    floor as u32 + u32::from(rng.random_bool((value - floor).clamp(0.0, 1.0)))
}

/// One of several; `None` only if there are none.
pub(crate) fn pick<'a, T>(rng: &mut Rng, from: &'a [T]) -> Option<&'a T> {
    if from.is_empty() { None } else { from.get(rng.random_range(0..from.len())) }
}
