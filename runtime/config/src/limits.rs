//! What one provider may use up. This is the one home of each limit: its
//! key, unit, default, range, and what meets whoever reaches it.

use std::time::Duration;

use crate::ByteSize;
use crate::bounded::{self, bounded};
use crate::decode::{Decoder, Node};

macro_rules! limits {
    ($(
        $(#[$doc:meta])*
        $field:ident: $name:ident($value:ty), default $default:expr, from $min:expr, to $max:expr;
    )*) => {
        $(bounded! {
            $(#[$doc])*
            $name($value), key stringify!($field), default $default, from $min, to $max
        })*

        /// The limits of one provider: `[modules.NAME.limits]`.
        ///
        /// Each field's type says what the limit counts, its default and what
        /// happens at it.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Limits {
            $(#[doc = concat!("`", stringify!($field), "`; see [`", stringify!($name), "`].")]
            pub $field: $name,)*
        }

        impl Limits {
            /// The keys in `stheno.toml`.
            pub const KEYS: &'static [&'static str] = &[$(stringify!($field)),*];

            pub(crate) fn decode(decoder: &mut Decoder<'_>, node: &Node<'_>) -> Self {
                let Some(section) = decoder.section(node, Self::KEYS, "limits = { memory = \"256MiB\" }") else {
                    return Self::default();
                };
                Self { $($field: bounded::decode(decoder, &section),)* }
            }
        }

        #[cfg(test)]
        mod tests {
            use super::*;

            #[test]
            fn every_default_lies_in_its_range_and_bounds_are_inclusive() {
                $(
                    assert_eq!($name::new($name::DEFAULT.get()), Ok($name::DEFAULT));
                    assert_eq!($name::new($name::MIN.get()), Ok($name::MIN));
                    assert_eq!($name::new($name::MAX.get()), Ok($name::MAX));
                    assert!($name::MIN < $name::MAX);
                )*
            }

            #[test]
            fn beyond_its_range_no_limit_can_be_made() {
                let error = MemoryLimit::new(ByteSize::bytes((1 << 20) - 1)).unwrap_err();
                assert_eq!(error.to_string(), "`memory` must lie between 1MiB and 4GiB");
                assert!(MemoryLimit::new(ByteSize::bytes((4 << 30) + 1)).is_err());
                assert!(TimeoutLimit::new(Duration::ZERO).is_err());
                assert!(InstancesLimit::new(0).is_err());
            }
        }
    };
}

limits! {
    /// The linear memory of one instance. Default 256MiB, from 1MiB to 4GiB
    /// (all that 32-bit Wasm can address).
    ///
    /// A guest that grows beyond it traps: its call fails with `internal` and
    /// its instance is dropped. Other calls notice nothing.
    memory: MemoryLimit(ByteSize), default ByteSize::mib(256), from ByteSize::mib(1), to ByteSize::gib(4);

    /// The CPU time of one call. Default 1s, from 10ms to 1h. Time that the
    /// guest waits for the host does not count.
    ///
    /// A guest that computes for longer is interrupted: its call fails with
    /// `timeout` and its instance is dropped.
    cpu: CpuLimit(Duration), default Duration::from_secs(1), from Duration::from_millis(10), to Duration::from_secs(3600);

    /// The wall time of one call, waiting included. Default 10s, from 1ms to
    /// 1h.
    ///
    /// A call that takes longer fails with `timeout`, what it waited for in
    /// the host is cancelled, and its instance is dropped.
    timeout: TimeoutLimit(Duration), default Duration::from_secs(10), from Duration::from_millis(1), to Duration::from_secs(3600);

    /// How many instances may serve side by side. Default 8, from 1 to 1024.
    /// They are made as callers need them. A provider that describes itself
    /// as one instance has one, whatever stands here.
    ///
    /// When all are busy, calls wait; see [`QueueLimit`].
    instances: InstancesLimit(u32), default 8, from 1, to 1024;

    /// How many calls may wait for an instance. Default 1024, from 0 (none
    /// ever waits) to 1000000.
    ///
    /// One more fails at once with `unavailable` and reaches no guest.
    queue: QueueLimit(u32), default 1024, from 0, to 1_000_000;

    /// After how many calls an instance is retired and another takes its
    /// place. Default 100000, from 1 to 1000000000. It bounds what a guest
    /// can leak; no call fails by it.
    calls_per_instance: CallsPerInstanceLimit(u32), default 100_000, from 1, to 1_000_000_000;

    /// The bytes that the host holds for the provider, spools first of all, and
    /// the most that the host copies out of a guest in one crossing. Default
    /// 64MiB, from 64KiB to 1TiB.
    ///
    /// A write to a spool beyond it gives the guest `unavailable`. A crossing
    /// beyond it traps: the call fails with `internal` and the instance is
    /// dropped.
    host_bytes: HostBytesLimit(ByteSize), default ByteSize::mib(64), from ByteSize::kib(64), to ByteSize::gib(1024);

    /// How many handles (readers, writers, what WASI gives) one instance may
    /// hold. Default 1024, from 1 to 1000000.
    ///
    /// A spool too many gives the guest `unavailable`, and the instance stays.
    /// Another handle too many traps: the call fails with `internal` and the
    /// instance is dropped.
    handles: HandlesLimit(u32), default 1024, from 1, to 1_000_000;

    /// The log lines of the provider in one second, all instances together.
    /// Default 200, from 0 (silent) to 1000000.
    ///
    /// Lines beyond it are dropped and counted; no call fails by it.
    log_lines_per_second: LogRateLimit(u32), default 200, from 0, to 1_000_000;
}
