//! Busbar's settings service.
