/// Where randomness comes from; a parameter, so that tests can repeat what they saw.
pub trait Entropy: Send + Sync {
    /// Fills the whole slice with random bytes fit for keys.
    fn fill(&self, out: &mut [u8]);
}
