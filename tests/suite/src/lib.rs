//! Busbar's test suite.
