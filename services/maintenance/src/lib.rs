//! Busbar's maintenance service.
