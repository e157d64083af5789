//! Busbar's ctl service.
