//! What people ordered of circuit breakers, by hand: a file of lines that is only ever added to.
//!
//! The file is the record of who held what open since when, and outlives the process: it is read
//! again whenever it is another or has changed, and the last order that fits a gate counts. A socket
//! to the daemon was rejected: an order must count for one that is down just now.

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use midwatch_policy::Timestamp;
use serde::{Deserialize, Serialize};

/// What is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ordered {
    /// The breaker is open until it is ordered closed.
    Open,
    /// The breaker is closed, and opens by itself again when it has to.
    Close,
}

/// One order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// When.
    pub at: Timestamp,
    /// Part of the names of the gates that it is for, such as a region or a model.
    pub gates: String,
    /// What.
    pub to: Ordered,
    /// Who.
    pub by: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Order {
    /// Whether it is for the gate of this name.
    pub fn is_for(&self, gate: &str) -> bool {
        gate.contains(&self.gates)
    }

    /// Who ordered it, and why, in words.
    pub fn whose(&self) -> String {
        match &self.why {
            Some(why) => format!("{} ({why})", self.by),
            None => self.by.clone(),
        }
    }

    /// Adds it to a file; when this returns it is on the disk. It begins with an end of line: what
    /// a full disk left of the one before must not swallow it.
    pub fn append(&self, file: &Path) -> io::Result<()> {
        let line = format!("\n{}\n", serde_json::to_string(self)?);
        let mut file = OpenOptions::new().create(true).append(true).open(file)?;
        file.write_all(line.as_bytes())?;
        file.sync_all()
    }

    /// All orders of a file, the oldest first; none where there is no file. A line that is no order
    /// is skipped and told.
    pub fn all(file: &Path) -> io::Result<Vec<Self>> {
        let bytes = match std::fs::read(file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut orders = Vec::new();
        // By bytes: half a line may end within a character.
        for line in bytes.split(|byte| *byte == b'\n') {
            match serde_json::from_slice(line) {
                Ok(order) => orders.push(order),
                Err(_) if line.trim_ascii().is_empty() => {}
                Err(error) => tracing::error!(file = %file.display(), %error, "a line is no order"),
            }
        }
        Ok(orders)
    }
}

/// The orders of a file, as they stand.
#[derive(Debug, Default)]
pub struct Orders {
    file: Option<PathBuf>,
    read: Mutex<Read>,
}

#[derive(Debug, Default)]
struct Read {
    /// The file as it was then.
    stamp: Stamp,
    orders: Vec<Order>,
}

/// What tells a file from another, and from itself after a change. A rotated file may be as long as
/// the one before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
    inode: u64,
}

impl Stamp {
    /// That of a file now; of none where there is none.
    fn of(file: &Path) -> Self {
        std::fs::metadata(file).map_or_else(
            |_| Self::default(),
            |known| Self { length: known.len(), modified: known.modified().ok(), inode: known.ino() },
        )
    }
}

impl Orders {
    /// Those of this file.
    pub fn new(file: Option<PathBuf>) -> Self {
        Self { file, read: Mutex::default() }
    }

    /// The file.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The last order for a gate. What cannot be read now stays as it was read last.
    pub(super) fn of(&self, gate: &str) -> Option<Order> {
        let file = self.file.as_deref()?;
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = Stamp::of(file);
        if stamp != read.stamp {
            match Order::all(file) {
                Ok(orders) => *read = Read { stamp, orders },
                Err(error) => tracing::error!(file = %file.display(), %error, "orders cannot be read"),
            }
        }
        read.orders.iter().rev().find(|order| order.is_for(gate)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::at;

    fn order(gates: &str, to: Ordered) -> Order {
        Order { at: at("02:00"), gates: gates.to_owned(), to, by: "first-on-call".to_owned(), why: None }
    }

    #[test]
    fn the_last_order_that_fits_counts_and_a_file_is_read_again_when_it_grows() {
        let file = std::env::temp_dir().join(format!("midwatch-orders-{}", std::process::id()));
        let _ = std::fs::remove_file(&file);
        let orders = Orders::new(Some(file.clone()));
        assert_eq!(orders.of("us-east-1 m"), None);
        order("us-east-1", Ordered::Open).append(&file).unwrap();
        assert_eq!(orders.of("us-east-1 m").unwrap().to, Ordered::Open);
        assert_eq!(orders.of("us-west-2 m"), None);
        // Half a line, such as of a full disk, takes nothing away from the others: it has no end, and
        // may break off within a character.
        let half = [b"{\"by\": \"".as_slice(), &[0xc3]].concat();
        std::fs::OpenOptions::new().append(true).open(&file).unwrap().write_all(&half).unwrap();
        order("us-west-2", Ordered::Close).append(&file).unwrap();
        assert_eq!(orders.of("us-west-2 m"), Some(order("us-west-2", Ordered::Close)));
        assert_eq!(orders.of("us-east-1 m"), Some(order("us-east-1", Ordered::Open)));
        order(" m", Ordered::Close).append(&file).unwrap();
        assert_eq!(orders.of("us-east-1 m").unwrap().to, Ordered::Close);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(Orders::default().of("m"), None);
    }

    #[test]
    fn another_file_of_the_same_length_is_read() {
        let file = std::env::temp_dir().join(format!("midwatch-orders-rotated-{}", std::process::id()));
        let _ = std::fs::remove_file(&file);
        let orders = Orders::new(Some(file.clone()));
        order("us-east-1", Ordered::Open).append(&file).unwrap();
        assert_eq!(orders.of("us-east-1 m").unwrap().by, "first-on-call");
        let length = std::fs::metadata(&file).unwrap().len();
        let next = file.with_extension("next");
        let other = Order { by: "later-on-call".to_owned(), ..order("us-east-1", Ordered::Open) };
        other.append(&next).unwrap();
        assert_eq!(std::fs::metadata(&next).unwrap().len(), length);
        std::fs::rename(&next, &file).unwrap();
        assert_eq!(orders.of("us-east-1 m"), Some(other));
        std::fs::remove_file(&file).unwrap();
    }
}
