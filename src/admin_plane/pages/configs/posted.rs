//! A config's form as a browser posts it, and the content that it means.

use std::collections::BTreeMap;

use super::{ConfigForm, FileForm};
use crate::admin_plane::pages::handle::posted_text;
use crate::admin_plane::pages::scene::Errors;
use crate::fleet::config::{ConfigFile, Content, Kind};

/// The form from its fields in their order. `before` is the content that was edited: it says which line ends files had.
pub(super) fn form(typed: &[(String, String)], before: Option<&Content>) -> ConfigForm {
    let one = |name: &str| {
        let found = typed.iter().find(|(field, _)| field == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let all = |name: &'static str| {
        typed
            .iter()
            .filter(move |(field, _)| field == name)
            .map(|(_, value)| value)
    };
    let kind = if one("kind") == "files" {
        Kind::Files
    } else {
        Kind::Collector
    };
    let files = all("file_name").zip(all("file_type")).zip(all("file_body"));
    let files = files.map(|((name, content_type), body)| FileForm {
        body: posted_text(body, body_before(before, name.trim())),
        name: name.trim().to_owned(),
        content_type: content_type.trim().to_owned(),
    });
    let yaml_before = match before {
        Some(Content::Yaml(yaml)) => Some(yaml.as_str()),
        Some(Content::Files(_)) | None => None,
    };
    ConfigForm {
        name: one("name"),
        description: one("description"),
        kind,
        yaml: posted_text(&one("content"), yaml_before),
        files: files
            .filter(|file| !file.name.is_empty() || !file.body.trim().is_empty())
            .collect(),
        message: one("message"),
        base: one("base").parse().unwrap_or(0),
        allow_blank: one("allow_blank") == "1",
        starter: one("starter"),
    }
}

fn body_before<'a>(before: Option<&'a Content>, name: &str) -> Option<&'a str> {
    match before? {
        Content::Files(files) => std::str::from_utf8(&files.get(name)?.body).ok(),
        Content::Yaml(_) => None,
    }
}

/// The content that a form means. A file whose name was emptied is left out; what the form doesn't show of a file stays as
/// it is in `before`.
pub(super) fn content(form: &ConfigForm, before: Option<&Content>) -> Result<Content, Errors> {
    if form.kind == Kind::Collector {
        return Ok(Content::Yaml(form.yaml.clone()));
    }
    let mut files = BTreeMap::new();
    for file in form.files.iter().filter(|file| !file.name.is_empty()) {
        // Read as the API reads it, so that `base64:` means the same in both places.
        let json = serde_json::json!({ "body": file.body, "content_type": file.content_type });
        let mut parsed: ConfigFile = serde_json::from_value(json)
            .map_err(|error| Errors::at("content", &format!("{}: {error}", file.name)))?;
        if let Some(Content::Files(before)) = before
            && let Some(same) = before.get(&file.name)
        {
            parsed.role.clone_from(&same.role);
        }
        if files.insert(file.name.clone(), parsed).is_some() {
            return Err(Errors::at(
                "content",
                &format!("two files have the name {}; rename one", file.name),
            ));
        }
    }
    Ok(Content::Files(files))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn files_are_read_side_by_side_and_an_emptied_name_removes_one() {
        let form = form(
            &typed(&[
                ("kind", "files"),
                ("file_name", "a.conf"),
                ("file_type", "text/plain"),
                ("file_body", "one\r\n"),
                ("file_name", ""),
                ("file_type", ""),
                ("file_body", "gone"),
                ("file_name", ""),
                ("file_type", ""),
                ("file_body", ""),
            ]),
            None,
        );
        assert_eq!(form.files.len(), 2, "what has a body is kept to be shown again");
        let Content::Files(files) = content(&form, None).unwrap() else {
            panic!()
        };
        assert_eq!(files.len(), 1);
        assert_eq!(files["a.conf"].body, b"one\n");
        assert_eq!(files["a.conf"].content_type, "text/plain");
    }

    #[test]
    fn two_files_of_one_name_are_refused() {
        let fields = [
            ("kind", "files"),
            ("file_name", "a"),
            ("file_type", ""),
            ("file_body", "1"),
            ("file_name", "a"),
            ("file_type", ""),
            ("file_body", "2"),
        ];
        let errors = content(&form(&typed(&fields), None), None).unwrap_err();
        assert!(errors.field("content").unwrap().contains("rename"));
    }

    #[test]
    fn what_is_no_text_or_not_shown_survives_editing() {
        let before = Content::Files(
            [(
                "bin".to_owned(),
                ConfigFile {
                    body: vec![0xff, 0],
                    role: "helper".to_owned(),
                    ..ConfigFile::default()
                },
            )]
            .into(),
        );
        let shown = ConfigForm::of("x", &before, 1);
        let file = &shown.files[0];
        assert!(file.body.starts_with("base64:"), "{}", file.body);
        let fields = [
            ("kind", "files"),
            ("file_name", "bin"),
            ("file_type", ""),
            ("file_body", file.body.as_str()),
        ];
        assert_eq!(
            content(&form(&typed(&fields), Some(&before)), Some(&before)).unwrap(),
            before
        );
    }
}
