//! Busbar's power service.
