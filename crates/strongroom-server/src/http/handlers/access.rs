use axum::response::Response;
use strongroom_api::wire;
use strongroom_domain::Timestamp;
use strongroom_domain::policy::{Decision, GroupAction};
use strongroom_domain::subject::SubjectName;

use super::secret_groups::group_id;
use crate::app::{AccessGrant, AppError, Explanation, GrantOrigin};
use crate::http::call::{Call, ok};
use crate::http::view;

pub(in crate::http) async fn explain(call: Call) -> Result<Response, AppError> {
    let query = call.query();
    let subject = SubjectName::parse(&query.required("subject")?)
        .map_err(|message| AppError::invalid("query.subject", message))?;
    let action = GroupAction::parse(&query.required("action")?).ok_or_else(|| {
        let known = GroupAction::ALL.map(|action| format!("`{}`", action.id())).join(", ");
        AppError::invalid("query.action", format!("must be one of {known}"))
    })?;
    let Explanation { decision, reason, role, through } =
        call.context.explain_access(&subject, action, &query.required("resource")?).await?;
    ok(&wire::ExplainAccessResponse {
        allowed: decision == Decision::Allowed,
        reason,
        decision: match decision {
            Decision::Allowed => wire::AccessDecision::Allowed,
            Decision::Forbidden => wire::AccessDecision::Forbidden,
            Decision::Invisible => wire::AccessDecision::Invisible,
        },
        role: role.map(|role| role.id().to_owned()),
        through: through.into_iter().map(grant).collect(),
    })
}

pub(in crate::http) async fn readers(call: Call) -> Result<Response, AppError> {
    let query = call.query();
    let (offset, limit) = (query.offset()?, query.limit()?);
    let (readers, total) = call.context.list_readers(group_id(&call)?, offset, limit).await?;
    let data = readers.into_iter().map(|reader| wire::Reader {
        subject: reader.subject,
        role: reader.role.id().to_owned(),
        active: reader.active,
        members: reader.members,
        through: reader.through.into_iter().map(grant).collect(),
    });
    ok(&wire::ListReadersResponse {
        data: data.collect(),
        values_hidden_from_people: call.context.app().rules.values_hidden_from_people,
        pagination: view::pagination(total, offset, limit),
    })
}

fn grant(grant: AccessGrant) -> wire::AccessGrant {
    wire::AccessGrant {
        source: match grant.origin {
            GrantOrigin::TenantRole => wire::AccessSource::TenantRole,
            GrantOrigin::Manifest => wire::AccessSource::Manifest,
            GrantOrigin::VirtualAccount => wire::AccessSource::VirtualAccount,
            GrantOrigin::RoleBinding => wire::AccessSource::RoleBinding,
        },
        name: grant.name,
        subject: grant.subject,
        role: grant.role.id().to_owned(),
        expires_at: grant.expires_at.map(Timestamp::to_wire),
        suffices: grant.suffices,
    }
}
