//! Routes of the events.
//!
//! `publish` is for those who send, `consume` for those who receive at least
//! once, `watch` for those who only look, `letters` for what was given up;
//! `event` is how an event looks to all of them.

mod consume;
mod event;
mod letters;
mod publish;
mod subscriptions;
mod watch;

use utoipa_axum::router::OpenApiRouter;

use crate::router::Api;

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .merge(publish::routes())
        .merge(subscriptions::routes())
        .merge(consume::routes())
        .merge(letters::routes())
        .merge(watch::routes())
}
