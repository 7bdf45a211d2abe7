//! `/api/v1/login` and what belongs to it.

use utoipa_axum::router::OpenApiRouter;

pub(super) fn router() -> OpenApiRouter {
    OpenApiRouter::new()
}
