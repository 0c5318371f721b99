use std::path::Path;

use serde_json::json;

use super::*;
use crate::fleet::config;

fn entry(body: &[u8]) -> config::ConfigFile {
    config::ConfigFile {
        body: body.to_vec(),
        ..config::ConfigFile::default()
    }
}

fn present() -> Present {
    let mut present = Present::default();
    let names = ["", "@", "a/b", "a%2Fb", "..", ".", ".env", "%2Eenv", "x y", "ä"];
    let files = names
        .iter()
        .map(|name| ((*name).to_owned(), entry(name.as_bytes())));
    let contents = [
        ("files", Content::Files(files.collect())),
        ("none", Content::Files([].into())),
        ("yaml", Content::Yaml("a: 1".into())),
    ];
    for (name, content) in contents {
        let config = PresentConfig {
            description: format!("about\n\"{name}\"\\"),
            latest: 1,
            content,
        };
        present.configs.insert(name.to_owned(), config);
    }
    let group = json!({"priority": -1, "selectors": ["label.a = \"x y\""], "layers": [], "later": {"a": {"b": null, "c": [1, null]}}});
    let group = PresentGroup {
        fields: group.as_object().unwrap().clone(),
        revision: 1,
        members: 0,
        in_force: false,
    };
    present.groups.insert("edge".to_owned(), group);
    present
}

#[test]
fn the_fields_of_groups_are_those_of_the_api() {
    let fields = group_fields();
    for known in ["description", "joins_by_facts", "layers", "priority", "selectors"] {
        assert!(fields.iter().any(|field| field == known), "{fields:?}");
    }
}

#[test]
fn any_names_and_texts_survive_a_folder() {
    let (folder, present) = (tempfile::tempdir().unwrap(), present());
    for (path, body) in files(&present).unwrap() {
        let inside = path
            .components()
            .all(|part| matches!(part, std::path::Component::Normal(_)));
        assert!(inside, "{}", path.display());
        // A group's field that this version doesn't know is refused when it is read.
        let body = String::from_utf8(body).unwrap().replace("later = ", "# later = ");
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        assert!(!path.exists(), "two entries in {}", path.display());
        std::fs::write(path, body).unwrap();
    }
    let tree = read(folder.path()).unwrap();
    let configs = tree.configs.unwrap();
    assert_eq!(configs.len(), present.configs.len());
    for (name, config) in &present.configs {
        assert_eq!(configs[name].content, config.content, "{name}");
        assert_eq!(configs[name].description.as_ref(), Some(&config.description));
    }
    let group = &tree.groups.unwrap()["edge"];
    assert_eq!(
        group.fields["selectors"],
        present.groups["edge"].fields["selectors"]
    );
    assert_eq!(group.fields["priority"], -1);
    assert!(tree.agents.unwrap().is_empty());
}

#[test]
fn a_field_that_is_a_table_stands_in_one_line() {
    let text = lines(&present().groups["edge"].fields).unwrap();
    assert!(text.contains("later = { a = { c = [1] } }\n"), "{text}");
}

#[test]
fn a_folder_that_is_none_is_refused() {
    assert!(
        read(Path::new("/nowhere"))
            .unwrap_err()
            .to_string()
            .contains("cannot read /nowhere")
    );
}
