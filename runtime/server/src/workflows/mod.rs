//! Routes of the workflows.
//!
//! `definitions` says what runs do, `runs` starts and looks, `schedules` starts by
//! itself, `tasks` is for those who do the steps, `watch` for those who only look
//! at ends; `body` is how inputs and results look to all of them.

mod body;
mod definitions;
mod runs;
mod schedules;
mod tasks;
mod watch;

use utoipa_axum::router::OpenApiRouter;

use crate::router::Api;

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .merge(definitions::routes())
        .merge(runs::routes())
        .merge(schedules::routes())
        .merge(tasks::routes())
        .merge(watch::routes())
}
