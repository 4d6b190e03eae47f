//! Who we are to AWS where no role is assumed.

use std::{fmt, sync::Arc};

use super::{sigv4::Credentials, wire::Wire};
use crate::{StoreError, outer::Attempt};
#[cfg(feature = "cloud-credentials")]
use crate::{aws::ambient::Ambient, egress::EgressClient};

/// The identity that the process itself has at AWS, and whether it is lent to stores without credentials of their own.
#[derive(Clone)]
pub struct ProcessIdentity(Lent);

#[derive(Clone)]
enum Lent {
    /// It isn't, for this reason.
    No(&'static str),
    #[cfg(feature = "cloud-credentials")]
    Yes(Arc<Ambient>),
}

impl ProcessIdentity {
    /// No store gets it. The reason says what to do about it.
    #[must_use]
    pub fn refused(reason: &'static str) -> Self {
        Self(Lent::No(reason))
    }

    /// Whatever the environment, the profiles or the machine give, found when it is first needed. All that is asked for it
    /// goes over `egress`, to where these point.
    #[cfg(feature = "cloud-credentials")]
    #[must_use]
    pub fn lent(egress: Arc<EgressClient>) -> Self {
        Self(Lent::Yes(Arc::new(Ambient::new(egress))))
    }
}

impl fmt::Debug for ProcessIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Lent::No(_) => f.write_str("ProcessIdentity(refused)"),
            #[cfg(feature = "cloud-credentials")]
            Lent::Yes(_) => f.write_str("ProcessIdentity(lent)"),
        }
    }
}

/// An identity that needs no other one.
pub(super) enum Identity {
    Key(Arc<Credentials>),
    #[cfg(feature = "cloud-credentials")]
    Process(Arc<Ambient>),
}

impl Identity {
    /// That of the process, or why it isn't lent.
    pub(super) fn of_process(process: &ProcessIdentity) -> Result<Self, &'static str> {
        match &process.0 {
            Lent::No(reason) => Err(reason),
            #[cfg(feature = "cloud-credentials")]
            Lent::Yes(ambient) => Ok(Self::Process(ambient.clone())),
        }
    }

    #[cfg_attr(not(feature = "cloud-credentials"), expect(clippy::unused_async, reason = "keys are at hand"))]
    pub(super) async fn credentials(&self, wire: &Wire, attempt: &Attempt<'_>) -> Result<Arc<Credentials>, StoreError> {
        #[cfg(not(feature = "cloud-credentials"))]
        let _ = (wire, attempt);
        match self {
            Self::Key(credentials) => Ok(credentials.clone()),
            #[cfg(feature = "cloud-credentials")]
            Self::Process(ambient) => ambient.credentials(wire.store(), wire.now(), attempt.deadline()).await,
        }
    }

    /// AWS says that these have ended. Whether asking again may give others.
    pub(super) fn forget(&self, ended: &Arc<Credentials>) -> bool {
        #[cfg(not(feature = "cloud-credentials"))]
        let _ = ended;
        match self {
            Self::Key(_) => false,
            #[cfg(feature = "cloud-credentials")]
            Self::Process(ambient) => {
                ambient.forget(ended);
                true
            }
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(credentials) => f.debug_tuple("Key").field(credentials).finish(),
            #[cfg(feature = "cloud-credentials")]
            Self::Process(_) => f.write_str("Process"),
        }
    }
}
