//! The `midwatch` binary, started as a person or a script starts it: whatever it is given, it says
//! clearly what is wrong, reports what could be had, and its exit code says whether somebody has to
//! look (1) or whether the command itself was wrong (2). It never changes anything.

#[cfg(test)]
mod bench;
#[cfg(test)]
mod input;
#[cfg(test)]
mod narrow;
#[cfg(test)]
mod outage;
#[cfg(test)]
mod policy;
#[cfg(test)]
mod processes;
#[cfg(test)]
mod secrets;
