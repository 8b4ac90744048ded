//! The whole way of an alarm, with models and people that try what they should not: whatever they
//! do, what happens in the world was approved by the people that policy asks, for exactly that.

#[cfg(test)]
mod injections;
#[cfg(test)]
mod model;
#[cfg(test)]
mod people;
#[cfg(test)]
mod raised;
#[cfg(test)]
mod stage;
