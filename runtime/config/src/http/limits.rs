//! How much and how long the requests of one grant may be. This is the one home
//! of each of these limits: key, default, range, and what meets whoever reaches
//! it.

use std::time::Duration;

use crate::ByteSize;
use crate::bounded::bounded;

bounded! {
    /// The largest body of a request. Default 32MiB, from 0 to 1TiB. Beyond it
    /// the request is cut off, with `HTTP-request-body-size`.
    HttpMaxRequest(ByteSize), key "max_request", default ByteSize::mib(32), from ByteSize::bytes(0), to ByteSize::gib(1024)
}

bounded! {
    /// The largest body of a response. Default 32MiB, from 0 to 1TiB. Beyond it
    /// the response is cut off, with `HTTP-response-body-size`.
    HttpMaxResponse(ByteSize), key "max_response", default ByteSize::mib(32), from ByteSize::bytes(0), to ByteSize::gib(1024)
}

bounded! {
    /// How long looking up, connecting and TLS may take together. Default 5s,
    /// from 10ms to 5m. Beyond it: `connection-timeout`.
    HttpConnectTimeout(Duration), key "connect_timeout", default Duration::from_secs(5), from Duration::from_millis(10), to Duration::from_secs(300)
}

bounded! {
    /// How long it may take from the call to the head of the response. Default
    /// 30s, from 10ms to 1h. Beyond it: `HTTP-response-timeout`.
    HttpResponseTimeout(Duration), key "response_timeout", default Duration::from_secs(30), from Duration::from_millis(10), to Duration::from_secs(3600)
}

bounded! {
    /// How long it may take from the call to the end of the response. Default
    /// 60s, from 10ms to 24h. Beyond it: `HTTP-response-timeout`.
    HttpTimeout(Duration), key "timeout", default Duration::from_secs(60), from Duration::from_millis(10), to Duration::from_secs(86_400)
}

bounded! {
    /// How many requests may be under way at once, all instances together.
    /// Default 64, from 1 to 10000. One more gets `connection-limit-reached`.
    HttpInFlight(u32), key "max_in_flight", default 64, from 1, to 10_000
}

bounded! {
    /// How many requests may begin in one second, all instances together.
    /// Default 1000, from 1 to 1000000. One more gets `connection-limit-reached`.
    HttpRate(u32), key "requests_per_second", default 1_000, from 1, to 1_000_000
}
