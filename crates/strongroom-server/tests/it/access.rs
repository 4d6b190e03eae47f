use crate::support::GROUPS;
