//! Busbar's test bench.
