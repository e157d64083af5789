//! Busbar's ocpp service.
