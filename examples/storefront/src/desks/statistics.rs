//! The statistics: each thing that happens to an order, tracked.

use serde_json::json;
use stheno::{Event, JsonObject, Track};

use super::{Office, Trouble};
use crate::sale::Sale;

pub(super) const ID: &str = "statistics";
pub(super) const PATTERN: &str = "order.*";

pub(super) async fn count(office: Office, event: Event, sale: Sale) -> Result<(), Trouble> {
    let properties = json!({
        "day": office.day.as_str(),
        "order": sale.order,
        "cents": sale.cents,
    });
    let what =
        Track::new(event.name).actor(sale.customer).properties(JsonObject::new(&properties)?);
    office.meters.analytics.time(office.runtime.analytics().track(what)).await?;
    Ok(())
}
