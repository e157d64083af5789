//! Busbar's hmi service.
