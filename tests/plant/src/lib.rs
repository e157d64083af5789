//! Busbar's test plant.
