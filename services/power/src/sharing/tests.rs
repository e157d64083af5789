//! The rules of hardware notes §6.2, each by its number, and random plays against what must always hold.

mod random;
mod rules;
mod world;
