//! Whole transactions in pure code: a scripted station around `Station::step`, first by hand, then with everything
//! at random against what must always hold.

mod authorizing;
mod availability;
mod charging;
mod hostile;
mod matrix;
mod play;
mod random;
mod reserving;
mod reset;
mod samples;
mod stopping;
