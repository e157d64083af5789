//! Busbar's faults service.
