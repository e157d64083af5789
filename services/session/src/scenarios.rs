//! Whole transactions in pure code: a scripted station around `Station::step`, first by hand, then with everything
//! at random against what must always hold.

mod availability;
mod charging;
mod play;
mod random;
mod reset;
mod samples;
