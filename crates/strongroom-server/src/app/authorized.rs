//! The witness of a permission: what changes or reveals a thing asks for it by type.

use std::marker::PhantomData;
use std::ops::Deref;

use strongroom_domain::policy::{self, Decision, GroupAction};
use strongroom_domain::role::GroupRole;
use strongroom_metadata::{GroupRef, GroupState, SecretRow};

use super::{AppError, Context, Resource};
use crate::audit::{Event, Outcome, Target};

/// A permission, as a type.
pub(crate) trait Permission {
    const ACTION: GroupAction;
}

macro_rules! permissions {
    ($($name:ident),+) => {$(
        /// The right to do the action of the same name.
        #[derive(Debug)]
        pub(crate) struct $name;
        impl Permission for $name {
            const ACTION: GroupAction = GroupAction::$name;
        }
    )+};
}
permissions!(See, ReadValues, WriteSecrets, Manage);

/// A thing that the caller may do `P` with. Only [`Context::authorize`] and [`Context::permits`] make one.
#[derive(Debug)]
pub(crate) struct Authorized<T, P> {
    thing: T,
    permission: PhantomData<P>,
}

impl<T, P> Authorized<T, P> {
    pub(crate) fn into_inner(self) -> T {
        self.thing
    }
}

impl<T, P> Deref for Authorized<T, P> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.thing
    }
}

/// A thing that belongs to a group.
pub(crate) trait OfGroup {
    const RESOURCE: Resource;
    fn role(&self) -> Option<GroupRole>;
    fn target(&self, context: &Context) -> Target;
}

impl OfGroup for GroupState {
    const RESOURCE: Resource = Resource::SecretGroup;

    fn role(&self) -> Option<GroupRole> {
        self.group.role
    }

    fn target(&self, context: &Context) -> Target {
        Target::group(&context.app().tenant, self.group.id, &self.group.name)
    }
}

impl OfGroup for GroupRef {
    const RESOURCE: Resource = Resource::SecretGroup;

    fn role(&self) -> Option<GroupRole> {
        self.role
    }

    fn target(&self, context: &Context) -> Target {
        Target::group(&context.app().tenant, self.id, &self.name)
    }
}

impl OfGroup for SecretRow {
    const RESOURCE: Resource = Resource::Secret;

    fn role(&self) -> Option<GroupRole> {
        self.role
    }

    fn target(&self, context: &Context) -> Target {
        Target::secret(&context.app().tenant, self.id, &self.group_name, &self.key)
    }
}

impl<T: OfGroup> OfGroup for &T {
    const RESOURCE: Resource = T::RESOURCE;

    fn role(&self) -> Option<GroupRole> {
        (*self).role()
    }

    fn target(&self, context: &Context) -> Target {
        (*self).target(context)
    }
}

impl Context {
    /// The witness, or the error that the caller gets: 404 where they may not know of the thing, else 403.
    pub(crate) fn authorize<T: OfGroup, P: Permission>(&self, thing: T) -> Result<Authorized<T, P>, AppError> {
        match self.decide::<T, P>(&thing) {
            Decision::Allowed => Ok(Authorized { thing, permission: PhantomData }),
            Decision::Invisible => Err(AppError::NotFound(T::RESOURCE)),
            Decision::Forbidden => {
                let action = match P::ACTION {
                    GroupAction::See => "SEE",
                    GroupAction::ReadValues => "READ_SECRET_VALUE",
                    GroupAction::WriteSecrets => "WRITE_SECRETS",
                    GroupAction::Manage => "MANAGE_SECRET_GROUP",
                };
                let message = match P::ACTION {
                    GroupAction::See | GroupAction::ReadValues => {
                        "your role on this secret group doesn't let you read its values"
                    }
                    GroupAction::WriteSecrets => "your role on this secret group doesn't let you change its secrets",
                    GroupAction::Manage => "this takes the role secret-group-admin on the secret group",
                };
                Err(self.refusal(action, thing.target(self), message))
            }
        }
    }

    /// 403, with its event.
    pub(crate) fn refusal(&self, action: &'static str, target: Target, message: &'static str) -> AppError {
        let event = Event { action, outcome: Outcome::Denied, ..Event::of(target) };
        AppError::Forbidden(message, Box::new(self.event(event)))
    }

    /// The witness, where the lack of it is no error.
    pub(crate) fn permits<T: OfGroup, P: Permission>(&self, thing: T) -> Option<Authorized<T, P>> {
        (self.decide::<T, P>(&thing) == Decision::Allowed).then_some(Authorized { thing, permission: PhantomData })
    }

    /// Whether the caller could do it with a group on which grants give them a role.
    pub(crate) fn could<P: Permission>(&self, role: Option<GroupRole>) -> bool {
        policy::decide(self.caller().standing.toward(role), P::ACTION, self.app().rules) == Decision::Allowed
    }

    fn decide<T: OfGroup, P: Permission>(&self, thing: &T) -> Decision {
        policy::decide(self.caller().standing.toward(thing.role()), P::ACTION, self.app().rules)
    }
}
