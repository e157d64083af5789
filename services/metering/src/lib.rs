//! Busbar's metering service.
