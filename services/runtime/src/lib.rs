//! The shell that every Busbar process shares.
