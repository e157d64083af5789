//! Busbar's session service.
