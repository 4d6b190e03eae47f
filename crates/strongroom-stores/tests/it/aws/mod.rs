//! AWS Secrets Manager: over moto, and over a model that is stricter and gets into trouble.

#[cfg(feature = "cloud-credentials")]
mod ambient;
mod entries;
mod on_moto;
mod on_strict;
mod setting;
mod strict;
