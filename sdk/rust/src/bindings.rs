//! What wit-bindgen makes of the contracts in `wit/`; nothing is written here
//! by hand.
//!
//! A provider's world is put together from two parts: `base`, which all have,
//! and one that exports the module's interface. The linker unites the parts
//! into the world that `wit/worlds.wit` names. Made whole, each world would
//! bring types of its own for the lifecycle, and their export macros would
//! clash.
#![allow(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    clippy::all,
    clippy::unwrap_used,
    clippy::indexing_slicing
)]

pub mod base {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "stheno:worlds/base",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_base_world",
        default_bindings_module: "stheno_sdk::bindings::base",
    });
}

pub mod cache {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package stheno:sdk; world cache-part { export stheno:cache/cache@0.1.0; }",
        world: "stheno:sdk/cache-part",
        with: { "stheno:provider/types@0.1.0": super::base::stheno::provider::types },
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_cache_part",
        default_bindings_module: "stheno_sdk::bindings::cache",
    });
}

pub mod events {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package stheno:sdk; world events-part { export stheno:events/events@0.1.0; }",
        world: "stheno:sdk/events-part",
        with: { "stheno:provider/types@0.1.0": super::base::stheno::provider::types },
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_events_part",
        default_bindings_module: "stheno_sdk::bindings::events",
    });
}

pub mod locking {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package stheno:sdk; world locking-part { export stheno:locking/locking@0.1.0; }",
        world: "stheno:sdk/locking-part",
        with: { "stheno:provider/types@0.1.0": super::base::stheno::provider::types },
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_locking_part",
        default_bindings_module: "stheno_sdk::bindings::locking",
    });
}

pub mod store {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package stheno:sdk;
            world store-part {
                import stheno:store/required@0.1.0;
                import stheno:store/optional@0.1.0;
            }
        ",
        world: "stheno:sdk/store-part",
        with: { "stheno:provider/types@0.1.0": super::base::stheno::provider::types },
        generate_all,
    });
}

pub mod redis {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package stheno:sdk; world redis-part { import stheno:redis/redis@0.1.0; }",
        world: "stheno:sdk/redis-part",
        with: { "stheno:provider/types@0.1.0": super::base::stheno::provider::types },
        generate_all,
    });
}

pub mod sql {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package stheno:sdk; world sql-part { import stheno:sql/sql@0.1.0; }",
        world: "stheno:sdk/sql-part",
        with: { "stheno:provider/types@0.1.0": super::base::stheno::provider::types },
        generate_all,
    });
}

pub mod objects {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package stheno:sdk; world objects-part { import stheno:objects/objects@0.1.0; }",
        world: "stheno:sdk/objects-part",
        with: {
            "stheno:provider/types@0.1.0": super::base::stheno::provider::types,
            "stheno:host/streams@0.1.0": super::base::stheno::host::streams,
        },
        generate_all,
    });
}

pub mod notifications {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package stheno:sdk; world notifications-part { export stheno:notifications/notifications@0.1.0; }",
        world: "stheno:sdk/notifications-part",
        with: { "stheno:provider/types@0.1.0": super::base::stheno::provider::types },
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_notifications_part",
        default_bindings_module: "stheno_sdk::bindings::notifications",
    });
}

pub mod analytics {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package stheno:sdk; world analytics-part { export stheno:analytics/analytics@0.1.0; }",
        world: "stheno:sdk/analytics-part",
        with: { "stheno:provider/types@0.1.0": super::base::stheno::provider::types },
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_analytics_part",
        default_bindings_module: "stheno_sdk::bindings::analytics",
    });
}

pub mod folders {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package stheno:sdk; world folders-part { import stheno:folders/folders@0.1.0; }",
        world: "stheno:sdk/folders-part",
        with: {
            "stheno:provider/types@0.1.0": super::base::stheno::provider::types,
            "stheno:host/streams@0.1.0": super::base::stheno::host::streams,
        },
        generate_all,
    });
}

pub mod files {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package stheno:sdk; world files-part { export stheno:files/files@0.1.0; }",
        world: "stheno:sdk/files-part",
        with: {
            "stheno:provider/types@0.1.0": super::base::stheno::provider::types,
            "stheno:host/streams@0.1.0": super::base::stheno::host::streams,
        },
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_files_part",
        default_bindings_module: "stheno_sdk::bindings::files",
    });
}

pub mod workflows {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package stheno:sdk; world workflows-part { export stheno:workflows/workflows@0.1.0; }",
        world: "stheno:sdk/workflows-part",
        with: { "stheno:provider/types@0.1.0": super::base::stheno::provider::types },
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_workflows_part",
        default_bindings_module: "stheno_sdk::bindings::workflows",
    });
}
