//! Busbar's smart-charging service.
