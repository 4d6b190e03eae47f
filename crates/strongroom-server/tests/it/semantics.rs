//! What the contract's calls mean: the checklist of its dossier, and what stands beside the contract.

mod groups;
mod lists;
mod manifests;
mod safe_writes;
mod secrets;
