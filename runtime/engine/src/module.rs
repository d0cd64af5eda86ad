//! The modules that the engine can bind a component to.

use stheno_contracts::{analytics, cache, events, files, locking, notifications, workflows};
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

use crate::instance::Slot;

/// One of Stheno's modules, from the engine's side: which interface a provider
/// exports, and how to find its functions in an instance.
pub trait Module: Send + Sync + 'static {
    /// The interface that makes a component a provider of this module.
    const INTERFACE: &'static str;
    /// The world that an author builds against.
    const WORLD: &'static str;

    /// Where the functions are, found once per component.
    type Indices: Send + Sync + 'static;
    /// The functions of one instance.
    type Functions: Send + Sync + 'static;

    /// Finds the interface in the component.
    ///
    /// # Errors
    ///
    /// When the component does not export it as the contract has it.
    fn indices(component: &InstancePre<Slot>) -> wasmtime::Result<Self::Indices>;

    /// Finds the functions in an instance.
    ///
    /// # Errors
    ///
    /// When they are not of the contract's types.
    fn functions(
        indices: &Self::Indices,
        store: &mut Store<Slot>,
        instance: &Instance,
    ) -> wasmtime::Result<Self::Functions>;
}

macro_rules! module {
    ($(#[$doc:meta])* $name:ident, $interface:ident, $world:literal) => {
        $(#[$doc])*
        pub struct $name;

        impl Module for $name {
            const INTERFACE: &'static str = concat!(
                "stheno:", stringify!($interface), "/", stringify!($interface)
            );
            const WORLD: &'static str = $world;

            type Indices = $interface::exports::stheno::$interface::$interface::GuestIndices;
            type Functions = $interface::exports::stheno::$interface::$interface::Guest;

            fn indices(component: &InstancePre<Slot>) -> wasmtime::Result<Self::Indices> {
                Self::Indices::new(component)
            }

            fn functions(
                indices: &Self::Indices,
                store: &mut Store<Slot>,
                instance: &Instance,
            ) -> wasmtime::Result<Self::Functions> {
                indices.load(store, instance)
            }
        }
    };
}

module! {
    /// The cache module.
    CacheModule, cache, "stheno:worlds/cache-provider"
}
module! {
    /// The events module.
    EventsModule, events, "stheno:worlds/events-provider"
}
module! {
    /// The locking module.
    LockingModule, locking, "stheno:worlds/locking-provider"
}
module! {
    /// The notifications module.
    NotificationsModule, notifications, "stheno:worlds/notifications-provider"
}
module! {
    /// The analytics module.
    AnalyticsModule, analytics, "stheno:worlds/analytics-provider"
}
module! {
    /// The files module.
    FilesModule, files, "stheno:worlds/files-provider"
}
module! {
    /// The workflows module.
    WorkflowsModule, workflows, "stheno:worlds/workflows-provider"
}
