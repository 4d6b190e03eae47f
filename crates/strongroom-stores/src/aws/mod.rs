//! AWS: signed requests, credentials, and AWS Secrets Manager as a store.

#[cfg(feature = "cloud-credentials")]
mod ambient;
mod credentials;
mod failure;
mod identity;
mod region;
mod secrets_manager;
mod sigv4;
mod wire;
mod xml;

pub use credentials::AwsAuthData;
pub use identity::ProcessIdentity;
pub use region::AwsRegion;
pub use secrets_manager::{AwsEndpoints, AwsSecretsManagerSettings, AwsSecretsManagerStore, EntryRemoval};
