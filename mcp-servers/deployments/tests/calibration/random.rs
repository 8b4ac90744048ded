//! Numbers by chance, the same for the same seed.

use std::ops::Range;

/// SplitMix64: as good as it has to be here, and many times as fast as a cipher where nothing is optimised.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// From 0 to 1, without 1.
    pub fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Whether what is so likely happens.
    pub fn happens(&mut self, chance: f64) -> bool {
        self.unit() < chance
    }

    pub fn within(&mut self, range: Range<i64>) -> i64 {
        range.start + (self.unit() * (range.end - range.start) as f64) as i64
    }

    pub fn one_of<T: Copy>(&mut self, list: &[T]) -> T {
        list[(self.unit() * list.len() as f64) as usize]
    }

    /// A span in seconds that knows no age.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }

    /// A span in seconds: half are longer than the median, and one in six more than `e` times as long.
    pub fn lognormal(&mut self, median: f64) -> f64 {
        let normal = (-2.0 * (1.0 - self.unit()).ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos();
        median * normal.exp()
    }
}
