//! The WIT package as text, and what the components import.

use crate::support::folder;
use std::path::Path;
use wasmparser::{Parser, Payload};
use wit_parser::{Resolve, TypeDefKind};

fn package() -> Resolve {
    let mut resolve = Resolve::default();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("wit");
    resolve.push_path(folder).expect("the package parses");
    resolve
}

#[test]
fn every_item_is_documented() {
    let resolve = package();
    let mut bare = Vec::new();
    let mut see = |name: String, docs: &wit_parser::Docs| {
        if docs.contents.as_deref().unwrap_or_default().trim().is_empty() {
            bare.push(name);
        }
    };
    for (_, package) in &resolve.packages {
        see(package.name.to_string(), &package.docs);
    }
    for (_, interface) in &resolve.interfaces {
        let of = interface.name.clone().unwrap_or_default();
        see(of.clone(), &interface.docs);
        for (name, function) in &interface.functions {
            see(format!("{of}/{name}"), &function.docs);
        }
        for (name, id) in &interface.types {
            let item = &resolve.types[*id];
            let of = format!("{of}/{name}");
            match &item.kind {
                // Imported from another interface, where it is documented.
                TypeDefKind::Type(wit_parser::Type::Id(_)) => continue,
                TypeDefKind::Record(record) => {
                    record.fields.iter().for_each(|field| see(format!("{of}.{}", field.name), &field.docs));
                }
                TypeDefKind::Variant(variant) => {
                    variant.cases.iter().for_each(|case| see(format!("{of}.{}", case.name), &case.docs));
                }
                TypeDefKind::Enum(cases) => {
                    cases.cases.iter().for_each(|case| see(format!("{of}.{}", case.name), &case.docs));
                }
                _ => {}
            }
            // The exchange is documented by what consumes it.
            see(of, &item.docs);
        }
    }
    for (_, world) in &resolve.worlds {
        see(world.name.clone(), &world.docs);
    }
    assert!(bare.is_empty(), "without a word of documentation: {bare:#?}");
    assert_eq!(resolve.worlds.len(), 2);
}

#[test]
fn the_pure_component_imports_no_function() {
    let imports = imports("sans-io");
    assert!(imports.is_empty(), "{imports:?}");
}

#[test]
fn the_provider_imports_what_its_world_says() {
    let allowed =
        ["kraube:auth/store@", "kraube:auth/types@", "wasi:http/", "wasi:clocks/", "wasi:random/random@", "wasi:io/"];
    let imports = imports("token-provider");
    let more: Vec<_> = imports.iter().filter(|name| !allowed.iter().any(|allowed| name.starts_with(allowed))).collect();
    assert!(more.is_empty(), "{more:?}");
    assert!(imports.iter().any(|name| name.starts_with("kraube:auth/store@")), "{imports:?}");
}

/// What the component itself imports; what is inside of it is not looked at.
fn imports(name: &str) -> Vec<String> {
    let file = folder().join(name).with_extension("wasm");
    let bytes = std::fs::read(file).expect("run `cargo xtask wasi`");
    let (mut found, mut depth) = (Vec::new(), 0);
    for payload in Parser::new(0).parse_all(&bytes) {
        match payload.expect("it is a component") {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) if depth > 0 => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 0 => {
                found.extend(section.into_iter().map(|import| import.expect("it can be read").name.name.to_owned()));
            }
            _ => {}
        }
    }
    found
}
