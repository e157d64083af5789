//! Names, units, wire types and proxies.
