//! How many bytes something is as JSON, without writing it anywhere.

use std::io;

use serde::Serialize;

/// Bytes of JSON; what cannot be written is none.
pub(crate) fn json_bytes<T: Serialize + ?Sized>(value: &T) -> u64 {
    let mut count = Count(0);
    serde_json::to_writer(&mut count, value).map_or(0, |()| count.0)
}

/// Counts what is written.
struct Count(u64);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    proptest! {
        #[test]
        fn it_is_as_long_as_what_is_written(text in "\\PC{0,40}", number in any::<f64>(), flag in any::<bool>()) {
            let value = json!({ &text: [number, flag, null, { "a": text }] });
            prop_assert_eq!(json_bytes(&value), value.to_string().len() as u64);
        }
    }
}
