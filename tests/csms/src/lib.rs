//! Busbar's test csms.
