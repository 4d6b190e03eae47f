//! AWS: signed requests, credentials, and AWS Secrets Manager as a store.

mod credentials;
mod failure;
mod region;
mod secrets_manager;
mod sigv4;
mod wire;
mod xml;

pub use credentials::AwsAuthData;
pub use region::AwsRegion;
pub use secrets_manager::{AwsEndpoints, AwsSecretsManagerSettings, AwsSecretsManagerStore, EntryRemoval};
